import asyncio
import os
import signal

import pytest

from berth.errors import ConfigError
from berth.model.instant import Instant, Timestamp
from berth.process import Supervisor, run_process, watch_loop_lag


class CrashError(Exception):
    pass


async def forever(ended: list[str], name: str) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append(name)


def test_leaving_cancels_what_still_runs() -> None:
    ended: list[str] = []

    async def scenario() -> None:
        async with Supervisor() as supervisor:
            supervisor.start("a", forever(ended, "a"))
            await asyncio.sleep(0)

    asyncio.run(scenario())
    assert ended == ["a"]


def test_a_crash_ends_everything_with_its_own_error() -> None:
    ended: list[str] = []

    async def crash() -> None:
        raise CrashError("boom") from ValueError("the cause")

    async def scenario() -> None:
        async with Supervisor() as supervisor:
            supervisor.start("a", forever(ended, "a"))
            supervisor.start("b", crash())
            await forever(ended, "body")

    with pytest.raises(CrashError, match="boom") as caught:
        asyncio.run(scenario())
    assert isinstance(caught.value.__cause__, ValueError)
    assert sorted(ended) == ["a", "body"]


def test_the_first_crash_is_told_though_others_fall_after_it() -> None:
    async def falls_after() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise CrashError("second")

    async def crash() -> None:
        await asyncio.sleep(0)
        raise CrashError("first")

    async def scenario() -> None:
        async with Supervisor() as supervisor:
            supervisor.start("a", falls_after())
            supervisor.start("b", crash())
            await asyncio.Event().wait()

    with pytest.raises(CrashError, match="first"):
        asyncio.run(scenario())


def test_an_error_of_the_body_leaves_as_it_was_raised() -> None:
    async def scenario() -> None:
        async with Supervisor() as supervisor:
            supervisor.start("a", forever([], "a"))
            raise CrashError("body")

    with pytest.raises(CrashError, match="body"):
        asyncio.run(scenario())


def test_a_task_that_ends_well_disturbs_nobody() -> None:
    async def scenario() -> int:
        async def answer() -> int:
            return 42

        async with Supervisor() as supervisor:
            return await supervisor.start("a", answer())

    assert asyncio.run(scenario()) == 42


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_ask_for_an_orderly_stop(number: signal.Signals) -> None:
    seen: list[str] = []

    async def serve(supervisor: Supervisor) -> None:
        os.kill(os.getpid(), number)
        seen.append(await supervisor.wait_stop())
        assert supervisor.is_stopping

    assert run_process(serve) == 0
    assert seen == [number.name]


def test_sighup_reloads_and_is_harmless_without() -> None:
    async def serve(supervisor: Supervisor) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.01)
        assert not supervisor.is_stopping
        reloaded = asyncio.Event()
        supervisor.reload_with(reloaded.set)
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.wait_for(reloaded.wait(), 10)

    assert run_process(serve) == 0


def test_a_second_signal_interrupts_a_stop_that_hangs() -> None:
    async def serve(supervisor: Supervisor) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await supervisor.wait_stop()
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.Event().wait()

    assert run_process(serve) == 130


def test_a_refusal_ends_with_its_message_and_a_crash_with_its_trace(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def refuse(supervisor: Supervisor) -> None:
        raise ConfigError("name: is not set")

    async def crash(supervisor: Supervisor) -> None:
        raise CrashError("boom")

    assert run_process(refuse) == 2
    assert "Error: name: is not set" in capsys.readouterr().err
    assert run_process(crash) == 1
    assert "boom" in "".join(capsys.readouterr())


class LateClock:
    """Every sleep takes 70 ms longer than asked for."""

    def __init__(self) -> None:
        self.now = 0.0

    def instant(self) -> Instant:
        return Instant(self.now)

    def timestamp(self) -> Timestamp:
        return Timestamp(self.now)

    async def sleep(self, delay_s: float) -> None:
        self.now += delay_s + 0.07


def test_lag_is_how_much_later_the_loop_woke() -> None:
    seen: list[float] = []

    def observe(lag_s: float) -> None:
        seen.append(lag_s)
        if len(seen) == 2:
            raise CrashError

    with pytest.raises(CrashError):
        asyncio.run(watch_loop_lag(LateClock(), observe))
    assert seen == pytest.approx([0.07, 0.07])
