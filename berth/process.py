"""One process: its tasks, its signals, its end.

Duty: keep all asyncio tasks under one roof, so that a crash of any ends the process with its cause;
turn signals into an orderly stop; measure how late the event loop runs; keep garbage collection
from pausing it.
Not here: what the tasks do; HTTP (berth.observability) and systemd (berth.systemd), whose names are
offered here as well.

The order of an ordinary life: `run_process(serve)` makes the loop and a `Supervisor`, calls
``serve(supervisor)``, which starts tasks, awaits `wait_stop()`, stops what needs care and returns;
what still runs then is cancelled.
"""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import structlog

from berth.clock import Clock
from berth.errors import BerthError
from berth.observability import (
    Health,
    Readiness,
    listener_address,
    observability_routes,
    open_listener,
    serve_app,
    serve_observability,
)
from berth.systemd import Notifier
from berth.wire.wakeups import WakefulLoop

__all__ = [
    "Health",
    "Notifier",
    "Readiness",
    "Supervisor",
    "listener_address",
    "observability_routes",
    "open_listener",
    "run_process",
    "serve_app",
    "serve_observability",
    "watch_loop_lag",
]

T = TypeVar("T")

LOOP_LAG_PERIOD_S: Final = 0.25
"""How often a process looks how late its event loop wakes."""

EXIT_OK: Final = 0
EXIT_CRASH: Final = 1
EXIT_REFUSED: Final = 2
"""The world refused at the start or later (a wrong setting, a taken port): the message says all."""


class Supervisor:
    """Owns the tasks of a process or of one phase of it (an async context manager).

    Leaving the context cancels the tasks that still run. A task that crashes cancels all others
    and the body, and its error leaves the context as it was raised.
    """

    def __init__(self, name: str = "process") -> None:
        self.name = name
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stop = asyncio.Event()
        self._stop_reason = ""
        self._first_crash: BaseException | None = None

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        try:
            await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            cause = self._first_crash or _first_leaf(group)
            # The others fell because it fell; its own chain says why.
            raise cause from cause.__cause__

    def start(self, name: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `work` beside the others. If it raises, everything here ends with its error.

        Args:
            name: shown in logs and tracebacks.
            work: a coroutine; it is cancelled when the context is left.
        """
        task = self._group.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._note_end)
        return task

    def _note_end(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and self._first_crash is None:
            self._first_crash = error
            structlog.get_logger(__name__).debug(
                "task_crashed", task=task.get_name(), supervisor=self.name, error=str(error)
            )

    def request_stop(self, reason: str) -> None:
        """Ask for an orderly stop; the first reason is kept."""
        if not self._stop.is_set():
            self._stop_reason = reason
            self._stop.set()

    @property
    def is_stopping(self) -> bool:
        """True once a stop was asked for."""
        return self._stop.is_set()

    async def wait_stop(self) -> str:
        """Wait until a stop is asked for; return the reason."""
        await self._stop.wait()
        return self._stop_reason

    def stop_on_signals(self) -> None:
        """Stop on SIGTERM and SIGINT; a second one interrupts at once.

        SIGHUP is ignored until `reload_with`: a closed terminal must not end a daemon.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._note_signal, number)
        loop.add_signal_handler(signal.SIGHUP, _nothing)

    def reload_with(self, on_reload: Callable[[], object]) -> None:
        """Call `on_reload` on SIGHUP from now on."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, on_reload)

    def call_on(self, number: signal.Signals, action: Callable[[], object]) -> None:
        """Call `action` at each signal of this number from now on."""
        asyncio.get_running_loop().add_signal_handler(number, action)

    def _note_signal(self, number: signal.Signals) -> None:
        if self.is_stopping:
            # The first asked nicely. Restore the default, so that this one certainly works.
            asyncio.get_running_loop().remove_signal_handler(number)
            signal.raise_signal(number)
            return
        structlog.get_logger(__name__).info("stop_requested", signal=number.name)
        self.request_stop(number.name)


def _nothing() -> None:
    return None


def _first_leaf(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def run_process(serve: Callable[[Supervisor], Awaitable[None]]) -> int:
    """Run `serve` under a supervisor until it returns; return the exit code of the process.

    Args:
        serve: starts tasks, awaits `wait_stop()`, stops in order, returns.
    """
    log = structlog.get_logger(__name__)

    async def supervised() -> None:
        async with Supervisor() as supervisor:
            supervisor.stop_on_signals()
            await serve(supervisor)

    try:
        with asyncio.Runner(loop_factory=WakefulLoop) as runner:
            runner.run(supervised())
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BerthError as error:
        log.error("process_refused", error=error.message, code=error.code.value)
        sys.stderr.write(f"Error: {error.message}\n")
        return EXIT_REFUSED
    except Exception as error:
        log.error("process_crashed", error=str(error), exc_info=error)
        return EXIT_CRASH
    return EXIT_OK


async def watch_loop_lag(
    clock: Clock, observe: Callable[[float], object], period_s: float = LOOP_LAG_PERIOD_S
) -> None:
    """Tell `observe` for ever by how many seconds the event loop woke too late.

    Args:
        clock: measures and sleeps.
        observe: for example a histogram's `observe`.
        period_s: how often to look.
    """
    while True:
        before = clock.instant()
        await clock.sleep(period_s)
        observe(max(clock.instant() - before - period_s, 0.0))
