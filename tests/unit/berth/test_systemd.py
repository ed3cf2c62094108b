import asyncio
import contextlib
import socket
from pathlib import Path

from berth.model.instant import Instant, Timestamp
from berth.systemd import READY_WITHIN_S, Notifier


def receive(listener: socket.socket) -> str:
    return listener.recv(4096).decode()


def test_states_reach_the_service_manager(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        notifier = Notifier.from_env({"NOTIFY_SOCKET": str(path)}, pid=7)
        notifier.ready("leading\nsince now")
        notifier.stopping()
        notifier.alive()
        assert receive(listener) == "READY=1\nSTATUS=leading since now"
        assert receive(listener) == "STOPPING=1"
        assert receive(listener) == "WATCHDOG=1"
    notifier.ready()  # The manager is gone: harmless.


def test_abstract_names_work() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("")  # Linux chooses an abstract name.
        name = listener.getsockname().decode().replace("\0", "@")
        Notifier.from_env({"NOTIFY_SOCKET": name}, pid=7).ready()
        assert receive(listener) == "READY=1"


def test_without_a_manager_nothing_happens() -> None:
    notifier = Notifier.from_env({}, pid=7)
    notifier.ready()
    assert notifier.watchdog_s == 0


def test_a_watchdog_meant_for_another_process_is_not_fed() -> None:
    env = {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "8"}
    assert Notifier.from_env(env, pid=7).watchdog_s == 0
    assert Notifier.from_env(env, pid=8).watchdog_s == 3.0


class CountingClock:
    def __init__(self) -> None:
        self.slept: list[float] = []

    def instant(self) -> Instant:
        return Instant(0.0)

    def timestamp(self) -> Timestamp:
        return Timestamp(0.0)

    async def sleep(self, delay_s: float) -> None:
        self.slept.append(delay_s)
        if len(self.slept) == 4:
            raise asyncio.CancelledError


def test_the_watchdog_is_fed_three_times_per_period_while_alive(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    answers = iter([True, False, True, False])
    clock = CountingClock()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.setblocking(False)
        notifier = Notifier(str(path), watchdog_s=3.0)

        async def scenario() -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await notifier.feed_watchdog(clock, lambda: next(answers))

        asyncio.run(scenario())
        assert [receive(listener), receive(listener)] == ["WATCHDOG=1", "WATCHDOG=1"]
        with contextlib.suppress(BlockingIOError):
            raise AssertionError(receive(listener))
    assert clock.slept == [1.0] * 4


class PassingClock:
    """Time goes on only while somebody sleeps; ends the scenario after a while."""

    def __init__(self, ends_at: float) -> None:
        self.now, self._ends_at = 0.0, ends_at

    def instant(self) -> Instant:
        return Instant(self.now)

    def timestamp(self) -> Timestamp:
        return Timestamp(self.now)

    async def sleep(self, delay_s: float) -> None:
        self.now += delay_s
        if self.now > self._ends_at:
            raise asyncio.CancelledError


def told(tmp_path: Path, clock: PassingClock, synced_at: float) -> list[str]:
    """Return what the service manager hears of a process that is in sync from an instant on."""
    path = tmp_path / f"notify-{len(list(tmp_path.iterdir()))}"
    heard: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.setblocking(False)

        def words() -> str:
            return "leads" if clock.now >= synced_at else "alone"

        async def scenario() -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await Notifier(str(path), 0).keep_status(
                    clock, lambda: clock.now >= synced_at, words
                )

        asyncio.run(scenario())
        with contextlib.suppress(BlockingIOError):
            while True:
                heard.append(receive(listener))
    return heard


def test_a_process_is_ready_once_it_is_in_sync(tmp_path: Path) -> None:
    assert told(tmp_path, PassingClock(10.0), synced_at=3.0) == ["READY=1\nSTATUS=leads"]


def test_a_process_that_is_alone_is_ready_after_a_while_and_says_when_that_ends(
    tmp_path: Path,
) -> None:
    heard = told(tmp_path, PassingClock(60.0), synced_at=40.0)
    assert heard == ["READY=1\nSTATUS=alone", "STATUS=leads"]
    before = told(tmp_path, PassingClock(READY_WITHIN_S - 1.0), synced_at=40.0)
    assert before == []


def test_more_time_for_the_stop_is_asked_for_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        notifier = Notifier.from_env({"NOTIFY_SOCKET": str(path)}, pid=7)
        clock = CountingClock()
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(notifier.ask_for_time(clock))
        assert receive(listener) == "EXTEND_TIMEOUT_USEC=15000000"
        assert clock.slept == [5.0] * 4
