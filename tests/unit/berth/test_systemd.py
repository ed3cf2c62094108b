import asyncio
import contextlib
import socket
from pathlib import Path

from berth.model.instant import Instant, Timestamp
from berth.systemd import Notifier


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
