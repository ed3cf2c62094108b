"""A certificate is exchanged while the process runs: on real connections, both sides."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography import x509

from berth.certificates import create_authority, issue
from berth.clock import SystemClock
from berth.entropy import SystemEntropy
from berth.errors import ConfigError
from berth.wire.channel import Channels, bind, make_server, open_channel
from berth.wire.live_tls import LiveTls
from berth.wire.tls import Role, TlsSettings

PORTS = {"clock": SystemClock(), "entropy": SystemEntropy()}


class ShowPeer(grpc.GenericRpcHandler):
    """One method, /test/Show, that answers with the caller's certificate."""

    def service(self, details):
        async def answer(_, context):
            return context.auth_context()["x509_pem_cert"][0]

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
def authority(tmp_path: Path):
    return create_authority(tmp_path, **PORTS)


def issued(authority, folder: Path) -> TlsSettings:
    return issue(authority, Role.SCHEDULER, "scheduler-1", [], folder, **PORTS)


@asynccontextmanager
async def serving(tls: LiveTls) -> AsyncIterator[int]:
    server = make_server()
    server.add_generic_rpc_handlers((ShowPeer(),))
    port = bind(server, "127.0.0.1:0", tls)
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


async def served(port: int, files: TlsSettings) -> int:
    """Return the serial number of the certificate that a server shows a new client."""
    context = ssl.create_default_context(cafile=str(files.ca_file))
    context.load_cert_chain(files.cert_file, files.key_file)
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
    return x509.load_der_x509_certificate(found).serial_number


async def shown(channel: grpc.aio.Channel) -> int:
    """Return the serial number of the certificate that a client shows."""
    call = channel.unary_unary("/test/Show")
    return x509.load_pem_x509_certificate(await call(b"")).serial_number


def serial(files: TlsSettings) -> int:
    return x509.load_pem_x509_certificate(files.cert_file.read_bytes()).serial_number


def test_an_exchange_shows_at_the_next_connection_and_breaks_none(authority, tmp_path) -> None:
    async def play() -> None:
        files = issued(authority, tmp_path)
        first = serial(files)
        tls = LiveTls(files)
        told: list[TlsSettings] = []
        channels = Channels(lambda target: open_channel(target, tls))
        tls.on_exchange(told.append)
        tls.on_exchange(lambda _: channels.renew())
        async with serving(tls) as port:
            target = f"127.0.0.1:{port}"
            lasting = await channels.to(target)
            assert await shown(lasting) == await served(port, files) == first
            issued(authority, tmp_path)
            second = serial(files)
            before = tls.server_context()
            assert await served(port, files) == first != second, "not before it is asked for"
            tls.prepare(files)()
            assert told == [files]
            assert tls.server_context() is not before, "HTTP shows it too"
            assert await served(port, files) == second
            assert await shown(lasting) == first, "what is connected stays so"
            assert await shown(await channels.to(target)) == second
            tls.prepare(files)()
            assert told == [files], "nothing has changed"
            await channels.aclose()

    asyncio.run(play())


def test_files_that_do_not_fit_change_nothing(authority, tmp_path) -> None:
    async def play() -> None:
        files = issued(authority, tmp_path / "own")
        other = issued(authority, tmp_path / "other")
        tls = LiveTls(files)
        async with serving(tls) as port:
            mixed = TlsSettings(files.ca_file, other.cert_file, files.key_file)
            with pytest.raises(ConfigError, match="is not the key of"):
                tls.prepare(mixed)
            before = serial(files)
            files.cert_file.write_text("broken")
            with pytest.raises(ConfigError, match="not what it should be"):
                tls.prepare(files)
            assert await served(port, other) == before
            async with open_channel(f"127.0.0.1:{port}", tls) as channel:
                assert await shown(channel) == before

    asyncio.run(play())
