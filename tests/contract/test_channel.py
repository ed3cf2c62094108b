"""Servers and channels on real sockets: taken ports, big messages, frozen peers, reconnecting."""

import asyncio
import socket
import time
from contextlib import asynccontextmanager

import grpc
import grpc.aio
import pytest

from berth.errors import ConfigError
from berth.wire.channel import (
    MESSAGE_BYTES_MAX,
    SERVER_KEEPALIVE,
    SESSION_KEEPALIVE,
    Keepalive,
    bind,
    make_server,
    open_channel,
)
from tests.hosts.ports import free_port

PING = bytes((0, 0, 8, 6, 0))
"""How a frame of HTTP/2 begins that asks and is no answer: its length, its type, no flags."""


class Methods(grpc.GenericRpcHandler):
    def __init__(self):
        self.ended = asyncio.Event()
        self.began = asyncio.Event()

    async def echo(self, request, context):
        return request

    async def wait(self, request, context):
        self.began.set()
        try:
            yield b"open"
            await asyncio.sleep(90)
        finally:
            self.ended.set()

    def service(self, details):
        return {
            "/t/echo": grpc.unary_unary_rpc_method_handler(self.echo),
            "/t/wait": grpc.unary_stream_rpc_method_handler(self.wait),
        }.get(details.method)


@asynccontextmanager
async def serving(address="127.0.0.1:0", **options):
    server = make_server(**options)
    methods = Methods()
    server.add_generic_rpc_handlers((methods,))
    port = bind(server, address, None)
    await server.start()
    try:
        yield port, methods
    finally:
        await server.stop(None)


class Relay:
    """Carries bytes between a client and a server until it is frozen, as a cut cable would."""

    def __init__(self, port):
        self._port = port
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._carrying = []
        self._is_counting = False
        self.asked_by_client = self.asked_by_server = 0

    def count_pings(self):
        self._is_counting = True

    @asynccontextmanager
    async def running(self):
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        async with asyncio.TaskGroup() as self._tasks:
            try:
                yield server.sockets[0].getsockname()[1]
            finally:
                server.close()
                for carrying in self._carrying:
                    carrying.cancel()

    def freeze(self):
        self._flowing.clear()

    async def _connected(self, reader, writer):
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._carrying += [
            self._tasks.create_task(self._carry(reader, to_writer, from_client=True)),
            self._tasks.create_task(self._carry(to_reader, writer, from_client=False)),
        ]

    async def _carry(self, reader, writer, *, from_client):
        try:
            while data := await reader.read(65536):
                if self._is_counting and PING in data:
                    if from_client:
                        self.asked_by_client += 1
                    else:
                        self.asked_by_server += 1
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


def test_a_taken_port_is_refused_with_its_address():
    async def run():
        async with serving() as (port, _):
            for address in (f"127.0.0.1:{port}", f"0.0.0.0:{port}"):
                with pytest.raises(ConfigError) as caught:
                    bind(make_server(), address, None)
                text = str(caught.value)
                assert f'cannot listen on "{address}": Address already in use' in text
                assert "choose another address" in text

    asyncio.run(run())


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("192.0.2.1:0", "Cannot assign requested address"),
        ("host.invalid:1", r"cannot listen on \"host.invalid:1\": "),
        ("unix:/nowhere/at/all/s", "check that its folder exists"),
    ],
)
def test_an_address_that_is_not_ours_is_refused(address, problem):
    async def run():
        bind(make_server(), address, None)

    with pytest.raises(ConfigError, match=problem):
        asyncio.run(run())


def test_a_unix_socket_serves_too(tmp_path):
    async def run():
        async with (
            serving(f"unix:{tmp_path}/s"),
            open_channel(f"unix:{tmp_path}/s", None) as channel,
        ):
            return await channel.unary_unary("/t/echo")(b"x", timeout=30)

    assert asyncio.run(run()) == b"x"


def test_large_messages_pass_and_larger_ones_do_not():
    async def run():
        async with serving() as (port, _), open_channel(f"127.0.0.1:{port}", None) as channel:
            echo = channel.unary_unary("/t/echo")
            large = bytes(20 * 1024 * 1024)  # Five times what gRPC takes unless told otherwise.
            assert await echo(large, timeout=30) == large
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await echo(bytes(MESSAGE_BYTES_MAX + 1), timeout=30)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    asyncio.run(run())


def test_both_sides_notice_that_the_other_is_cut_off():
    keepalive = Keepalive(time_s=1.0, timeout_s=3.0)  # A busy machine answers late.

    async def run():
        async with serving(keepalive=keepalive) as (port, methods):
            relay = Relay(port)
            async with relay.running() as relay_port:
                target = f"127.0.0.1:{relay_port}"
                async with open_channel(target, None, keepalive=keepalive) as channel:
                    call = channel.unary_stream("/t/wait")(b"")
                    assert await call.read() == b"open"
                    # Quiet for longer than any limit, but answered: nobody gives up.
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(asyncio.shield(call.code()), 6)
                    assert not methods.ended.is_set()
                    relay.freeze()
                    # The call itself would go on for a minute and a half.
                    await asyncio.wait_for(methods.ended.wait(), 30)
                    assert await asyncio.wait_for(call.code(), 30) is grpc.StatusCode.UNAVAILABLE

    asyncio.run(run())


def test_an_agent_pings_and_its_leader_need_not():
    """A leader's clock begins anew with each PING of its agent, and its own is never due."""

    async def pings(server_s, client_s):
        async with serving(keepalive=Keepalive(server_s, 2.0)) as (port, _):
            relay = Relay(port)
            async with relay.running() as relay_port:
                keepalive = Keepalive(client_s, 2.0)
                channel = open_channel(f"127.0.0.1:{relay_port}", None, keepalive=keepalive)
                async with channel:
                    call = channel.unary_stream("/t/wait")(b"")
                    assert await call.read() == b"open"
                    relay.count_pings()
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(asyncio.shield(call.code()), 6.5)
                    call.cancel()
        return relay.asked_by_client, relay.asked_by_server

    by_client, by_server = asyncio.run(pings(4.0, 1.0))
    assert by_client > 0
    assert by_server == 0
    by_client, by_server = asyncio.run(pings(1.0, 60.0))
    assert by_client == 0
    assert by_server > 0, "where the client does not ask, the server does"
    assert SESSION_KEEPALIVE.time_s < SERVER_KEEPALIVE.time_s


def test_a_conversation_needs_no_pings():
    """gRPC would send one with nearly every message, to measure the way, and have it answered."""

    async def run():
        async with serving() as (port, _):
            relay = Relay(port)
            async with (
                relay.running() as relay_port,
                open_channel(f"127.0.0.1:{relay_port}", None) as channel,
            ):
                echo = channel.unary_unary("/t/echo")
                await echo(b"open", wait_for_ready=True)
                relay.count_pings()
                for _ in range(10):
                    await echo(bytes(2000))
                    await asyncio.sleep(0.05)
        return relay.asked_by_client, relay.asked_by_server

    assert asyncio.run(run()) == (0, 0)


def test_a_server_that_comes_back_is_found_within_two_seconds_and_a_little():
    async def run():
        port = free_port()
        async with open_channel(f"127.0.0.1:{port}", None) as channel:
            echo = channel.unary_unary("/t/echo")
            for _ in range(12):  # Away long enough for the back-off to reach its greatest.
                with pytest.raises(grpc.aio.AioRpcError):
                    await echo(b"x", timeout=30)
                await asyncio.sleep(0.4)
            async with serving(f"127.0.0.1:{port}"):
                back = time.monotonic()
                assert await echo(b"x", timeout=30, wait_for_ready=True) == b"x"
                assert time.monotonic() - back < 5.5

    asyncio.run(run())


def test_a_proxy_in_the_environment_is_not_used(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        for name in ("http_proxy", "https_proxy", "grpc_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")

        async def run():
            async with serving() as (port, _), open_channel(f"127.0.0.1:{port}", None) as channel:
                return await channel.unary_unary("/t/echo")(b"x", timeout=30)

        assert asyncio.run(run()) == b"x"
        with pytest.raises(BlockingIOError):
            proxy.accept()
