"""Clients of the Docker API that send or read slowly, over real sockets: nobody waits for them.

The application is the real one, on a fake control API whose logs never end.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from berth.bounded_http import HEAD_BYTES_MAX, BoundedProtocol
from berth.client import ControlClient
from berth.clock import SystemClock
from berth.observability import embedded_server, listener_address, open_listener
from berth.v1 import streams_pb2
from gateway.app import docker_app
from gateway.connect import open_gateway
from gateway.doors import local_door
from gateway.requests import BODY_BYTES_MAX
from tests.fakes.control import FakeControl, serving
from tests.unit.gateway.asking import SETTINGS, SPEC

PATIENCE_S = 60.0
CROWD = 50
LINE = b"x" * 8192 + b"\n"


class EndlessLogs(FakeControl):
    """Its services write for ever; counts what each reader took."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[int] = []

    async def ServiceLogs(  # noqa: N802 - gRPC's name
        self, request: Any, context: Any
    ) -> AsyncIterator[Any]:
        reader = len(self.taken)
        self.taken.append(0)
        task = self.tasks[0]
        while True:
            self.taken[reader] += 1
            line = streams_pb2.LogLine(task_id=task.id, time_ns=1, data=LINE)
            yield streams_pb2.LogChunk(node_id=task.node_id, lines=[line])
            await asyncio.sleep(0)


@dataclass
class Served:
    """A gateway behind a socket."""

    control: EndlessLogs
    port: int
    opened: list[asyncio.StreamWriter] = field(default_factory=list)

    async def connect(self, sent: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection that stays, and say something."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=4096)
        self.opened.append(writer)
        writer.write(sent)
        return reader, writer

    async def ask(self, sent: bytes) -> tuple[int, bytes]:
        """Send a whole request; return status and body."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(sent)
            answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
        finally:
            writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body


def a_request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """Return a whole request, after which the connection ends."""
    head = {
        "Host": "localhost", "Connection": "close", "Content-Type": "application/json",
        "Content-Length": str(len(body)), **headers,
    }  # fmt: skip
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


PING = a_request("GET", "/_ping")
CREATE = a_request("POST", "/services/create", json.dumps({**SPEC, "Name": "other"}).encode())
LOGS = a_request("GET", "/services/web/logs?stdout=1&stderr=1&follow=1&details=1")


def served(
    scenario: Callable[[Served], Any], protocol: type[BoundedProtocol] = BoundedProtocol
) -> None:
    """Run a scenario on a gateway with one service whose logs never end."""

    @asynccontextmanager
    async def door() -> AsyncIterator[Served]:
        control = EndlessLogs()
        control.add_node("host-1")
        async with serving(control) as address:
            client = ControlClient([address], repeats_refusals=False)
            gateway = open_gateway(SETTINGS, client, CollectorRegistry(), SystemClock())
            events = asyncio.ensure_future(gateway.events.run())
            listener = open_listener("http_listen", "127.0.0.1:0")
            port = int(listener_address(listener).rpartition(":")[2])
            server = embedded_server(local_door(docker_app(gateway)), protocol)
            running = asyncio.ensure_future(server.serve_on(listener))
            it = Served(control, port)
            try:
                yield it
            finally:
                for writer in it.opened:
                    writer.close()
                running.cancel()
                events.cancel()
                await asyncio.wait({running, events})
                await client.close()

    async def run() -> None:
        async with door() as it:
            made = a_request("POST", "/services/create", json.dumps(SPEC).encode())
            status, _ = await it.ask(made)
            assert status == 201
            it.control.run_all()
            it.control.calls.clear()
            await scenario(it)

    asyncio.run(run())


@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET /_ping HT", id="half a line"),
        pytest.param(b"POST /services/create HTTP/1.1\r\nHost: x\r\nX-A: ", id="half a head"),
        pytest.param(CREATE[:-20], id="most of a body"),
        pytest.param(
            b"POST /services/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"Na',
            id="half a chunk",
        ),
    ],
)
def test_who_sends_by_drops_holds_nobody_up(beginning: bytes) -> None:
    async def scenario(it: Served) -> None:
        crowd = [await it.connect(beginning) for _ in range(CROWD)]
        dripping = asyncio.ensure_future(drip(crowd))
        try:
            assert await it.ask(PING) == (200, b"OK")
            status, _ = await it.ask(CREATE)
            assert status == 201
        finally:
            dripping.cancel()
            await asyncio.wait({dripping})
        created = [name for name, _ in it.control.calls if name == "CreateService"]
        assert created == ["CreateService"], "of the others nothing was done"

    async def drip(crowd: list[tuple[Any, asyncio.StreamWriter]]) -> None:
        while True:
            await asyncio.sleep(0.05)
            for _, writer in crowd:
                writer.write(b" ")

    served(scenario)


def test_who_goes_away_in_the_middle_of_a_body_has_done_nothing() -> None:
    async def scenario(it: Served) -> None:
        for _ in range(CROWD):
            _, writer = await it.connect(CREATE[:-20])
            await writer.drain()
            writer.close()
        assert await it.ask(PING) == (200, b"OK")
        assert it.control.calls == []

    served(scenario)


def test_who_stops_reading_logs_holds_nobody_up_and_takes_no_memory() -> None:
    async def scenario(it: Served) -> None:
        for _ in range(5):
            reader, _ = await it.connect(LOGS)
            await reader.readexactly(100)  # It flows; from here on nobody reads.
        stalled, looks = [0], 0
        while looks < 20:  # Until what lies between is full.
            looks = looks + 1 if stalled == it.control.taken else 0
            stalled = list(it.control.taken)
            await asyncio.sleep(0.1)
        assert max(stalled) * len(LINE) < 64 * 2**20

        reader, _ = await it.connect(LOGS)
        for _ in range(500):
            await asyncio.wait_for(reader.readexactly(len(LINE)), PATIENCE_S)
        assert it.control.taken[:5] == stalled, "who does not read is not read for"
        assert await it.ask(PING) == (200, b"OK")
        assert (await it.ask(CREATE))[0] == 201

    served(scenario)


def test_who_stops_reading_events_holds_nobody_up() -> None:
    listen = a_request("GET", '/events?filters={"type":["service"]}')

    async def scenario(it: Served) -> None:
        for _ in range(CROWD):
            await it.connect(listen)
        reader, _ = await it.connect(listen)
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
        assert (await it.ask(CREATE))[0] == 201
        await asyncio.wait_for(reader.readuntil(b'"create"'), PATIENCE_S)

    served(scenario)


class Hasty(BoundedProtocol):
    """Bounds that a test can wait for."""

    head_s = 0.3


@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET /_ping HT", id="half a head"),
        pytest.param(
            a_request("GET", "/_ping", Connection="keep-alive") + b"GET /_pi", id="a second head"
        ),
        pytest.param(
            b"POST /swarm/init HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
            id="a body that nobody wants any more",
        ),
    ],
)
def test_who_does_not_finish_a_request_is_let_go(beginning: bytes) -> None:
    async def scenario(it: Served) -> None:
        reader, writer = await it.connect(beginning)

        async def drip() -> None:
            while True:
                writer.write(b"a")
                await asyncio.sleep(0.05)

        dripping = asyncio.ensure_future(drip())
        try:
            # The connection ends, or breaks: what was on its way then comes to nobody.
            await asyncio.wait_for(reader.read(-1), PATIENCE_S)
        except ConnectionError:
            pass
        finally:
            dripping.cancel()
            await asyncio.wait({dripping})
        assert await it.ask(PING) == (200, b"OK")

    served(scenario, Hasty)


def test_whose_request_is_under_way_is_not_let_go() -> None:
    async def scenario(it: Served) -> None:
        logs, _ = await it.connect(LOGS)
        half, writer = await it.connect(CREATE[:-20])
        await asyncio.sleep(3 * Hasty.head_s)
        await asyncio.wait_for(logs.readexactly(10 * len(LINE)), PATIENCE_S)
        writer.write(CREATE[-20:])
        assert (await asyncio.wait_for(half.read(), PATIENCE_S)).startswith(b"HTTP/1.1 201")

    served(scenario, Hasty)


def test_a_head_without_end_is_refused() -> None:
    async def scenario(it: Served) -> None:
        reader, writer = await it.connect(b"GET /_ping HTTP/1.1\r\nX-Long: ")
        sent = 0
        try:
            while sent < 4 * HEAD_BYTES_MAX:
                writer.write(b"x" * 65536)
                await writer.drain()
                sent += 65536
            answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
        except ConnectionError:
            answer = b""  # It was refused before all of it was sent.
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
        assert await it.ask(PING) == (200, b"OK")

    served(scenario)


def test_a_body_that_is_too_large_is_refused_while_it_comes() -> None:
    async def scenario(it: Served) -> None:
        head = a_request("POST", "/services/create", **{"Content-Length": str(2**40)})
        reader, writer = await it.connect(head)
        sent = 0
        while sent <= BODY_BYTES_MAX:
            writer.write(b" " * 65536)
            await writer.drain()
            sent += 65536
        answer = await asyncio.wait_for(reader.readuntil(b"}"), PATIENCE_S)
        assert answer.startswith(b"HTTP/1.1 413")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["message"]
        assert await it.ask(PING) == (200, b"OK")
        assert it.control.calls == []

    served(scenario)
