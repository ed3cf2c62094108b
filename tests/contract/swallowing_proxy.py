"""A TCP proxy before an etcd member that lets requests through and loses their answers."""

import asyncio
import contextlib

from tests.contract.etcd_process import EtcdMember


class SwallowingProxy:
    """Forwards to etcd; on demand it swallows the answers to come and then cuts the connections."""

    def __init__(self, target: EtcdMember) -> None:
        host, port = target.address.split(":")
        self._target = host, int(port)
        self._is_swallowing = False
        self._writers: set[asyncio.StreamWriter] = set()
        self.swallowed_bytes = 0

    async def __aenter__(self) -> "SwallowingProxy":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._cut()
        await asyncio.sleep(0.05)

    async def lose_answers(self, duration_s: float) -> None:
        self._is_swallowing = True
        await asyncio.sleep(duration_s)
        self._cut()
        self._is_swallowing = False

    def _cut(self) -> None:
        for writer in self._writers:
            writer.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, up_writer}
        await asyncio.gather(
            self._pump(reader, up_writer, is_answer=False),
            self._pump(up_reader, writer, is_answer=True),
        )
        self._writers -= {writer, up_writer}

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if is_answer and self._is_swallowing:
                    self.swallowed_bytes += len(data)
                else:
                    sink.write(data)
                    await sink.drain()
        sink.close()
