"""Many peers that connect at once, as after a change of leader, do not end a server with TLS."""

import socket
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from berth.certificates import create_authority, issue
from berth.clock import SystemClock
from berth.entropy import SystemEntropy
from berth.wire.tls import Role

PEERS = 16
HANDSHAKES = 100
"""For each peer. One server crashed after 355 in all, when it was told its certificate at each."""


def test_a_storm_of_handshakes_ends_no_server(tmp_path: Path) -> None:
    clock, entropy = SystemClock(), SystemEntropy()
    authority = create_authority(tmp_path, clock=clock, entropy=entropy)
    files = issue(authority, Role.SCHEDULER, "s1", [], tmp_path, clock=clock, entropy=entropy)
    context = ssl.create_default_context(cafile=str(files.ca_file))
    context.load_cert_chain(files.cert_file, files.key_file)
    context.set_alpn_protocols(["h2"])
    command = [sys.executable, "-m", "tests.contract.tls_server"]
    command += map(str, (files.ca_file, files.cert_file, files.key_file))
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        port = int(server.stdout.readline())

        def connect() -> list[str | None]:
            spoken = []
            for _ in range(HANDSHAKES):
                with (
                    socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
                    context.wrap_socket(plain, server_hostname=Role.SCHEDULER.tls_name) as secure,
                ):
                    spoken.append(secure.selected_alpn_protocol())
            return spoken

        with ThreadPoolExecutor(PEERS) as pool:
            storm = [pool.submit(connect) for _ in range(PEERS)]
            for _ in range(5):  # A renewed certificate may come in the midst of it.
                server.stdin.write("exchange\n")
                server.stdin.flush()
                assert server.stdout.readline() == "exchanged\n", f"exit code {server.wait()}"
            for peer in storm:
                assert set(peer.result()) == {"h2"}
        server.stdin.close()
        assert server.wait() == 0
