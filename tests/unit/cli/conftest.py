"""A command line against a small cluster that answers over real gRPC."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.main import main
from tests.fakes.control import FakeControl, serving


@dataclass(frozen=True)
class Answer:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass(frozen=True)
class Line:
    """Runs `berth …` and tells the answer."""

    control: FakeControl
    address: str
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *words: str) -> Answer:
        self.capsys.readouterr()
        code = main(list(words))
        printed = self.capsys.readouterr()
        return Answer(code, printed.out, printed.err)


@pytest.fixture(scope="session")
def control_server() -> Iterator[Callable[[FakeControl], str]]:
    """One gRPC server in a loop of its own for all tests; what it serves is set by each."""
    ready = threading.Event()
    stop: list[Callable[[], object]] = []
    found: dict[str, str] = {}
    current = FakeControl()

    async def serve() -> None:
        over = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(over.set))
        async with serving(current) as address:
            found["address"] = address
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(60)

    def replace(control: FakeControl) -> str:
        current.__dict__ = control.__dict__
        return found["address"]

    yield replace
    stop[0]()
    thread.join(60)


@pytest.fixture
def berth(
    control_server: Callable[[FakeControl], str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Line:
    """The command, with a fresh cluster of two nodes and a home of its own."""
    control = FakeControl()
    control.add_node("node-1")
    control.add_node("node-2")
    address = control_server(control)
    for name in ("BERTH_CONTEXT", "DOCKER_CONFIG", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BERTH_SCHEDULER", address)
    return Line(control, address, capsys)
