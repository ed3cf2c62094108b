"""A gRPC server with a live certificate, as a process of its own: a crash of it ends no test run.

`python -m tests.contract.tls_server CA CERT KEY` prints its port. For each line that it is sent it
reads the files anew and answers "exchanged".
"""

import asyncio
import sys
from pathlib import Path

import grpc

from berth.wire.channel import bind, make_server
from berth.wire.live_tls import LiveTls
from berth.wire.tls import TlsSettings


async def serve(files: TlsSettings) -> None:
    tls, server = LiveTls(files), make_server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", {}),))
    port = bind(server, "127.0.0.1:0", tls)
    await server.start()
    print(port, flush=True)
    loop = asyncio.get_running_loop()
    while await loop.run_in_executor(None, sys.stdin.readline):
        tls.prepare(files)()
        print("exchanged", flush=True)
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(serve(TlsSettings(*map(Path, sys.argv[1:]))))
