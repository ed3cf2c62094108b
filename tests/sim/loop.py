"""An event loop on which waiting costs no time, and on which whole processes can be frozen.

Duty: run everything of a simulated cluster in one thread, in one order that depends on nothing but
the seed; jump to the next timer instead of sleeping; let a `Process` be paused as by SIGSTOP, and
killed as by SIGKILL, between any two callbacks.
Not here: what the processes do (cluster), what passes between them (network, etcd).

Every callback belongs to the process in whose context it was made (a context variable says which).
Callbacks of a paused process are parked and run when it resumes; those of a dead one never run, not
even its `finally` blocks. What is outside of all processes (the network, etcd, machines) must make
its callbacks with `loop.in_world`.
Tasks hash by their number, so that sets of tasks have the same order in every run.
"""

import asyncio
import contextlib
import contextvars
import enum
import gc
import heapq
import sys
import warnings
from asyncio import base_events
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

START_S = 1000.0
_WORLD = contextvars.Context()
_CANCELLED_TIMERS_MAX = 200


class Standing(enum.Enum):
    """Whether a process runs."""

    RUNNING = "running"
    PAUSED = "paused"
    DEAD = "dead"


class Process:
    """One simulated operating-system process: the callbacks that were made in its context."""

    def __init__(self, loop: "SimLoop", name: str) -> None:
        self.name = name
        self.standing = Standing.RUNNING
        self.tasks: dict[SimTask, None] = {}
        """Those that have not ended. A dead process's are kept, so that nothing cleans them up."""
        self._loop = loop
        self._parked: list[asyncio.Handle] = []
        self._context = contextvars.Context()
        self._context.run(_PROCESS.set, self)
        loop.processes.append(self)

    @property
    def is_running(self) -> bool:
        return self.standing is Standing.RUNNING

    @property
    def is_alive(self) -> bool:
        return self.standing is not Standing.DEAD

    def spawn(self, work: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]":
        """Start a task of this process."""
        assert self.is_alive, f"{self.name} is dead"
        return self._loop.create_task(work, name=name, context=self._context.copy())

    def run(self, act: Callable[[], T]) -> T:
        """Call `act` as this process does: what it starts is this process's."""
        return self._context.copy().run(act)

    def pause(self) -> None:
        """Freeze it, as SIGSTOP does: time goes on, it does not."""
        assert self.is_running
        self.standing = Standing.PAUSED

    def resume(self) -> None:
        """Let it go on: whatever became due meanwhile happens now, in its order."""
        assert self.standing is Standing.PAUSED
        self.standing = Standing.RUNNING
        self._loop.unpark(self._parked)
        self._parked = []

    def kill(self) -> None:
        """End it, as SIGKILL does: not one more line of it runs."""
        self.standing = Standing.DEAD
        self._parked = []

    def park(self, handle: asyncio.Handle) -> None:
        """Keep a callback until the process resumes; drop it if that will not be."""
        if self.standing is Standing.PAUSED:
            self._parked.append(handle)


_PROCESS: contextvars.ContextVar[Process] = contextvars.ContextVar("process")


def current_process() -> Process | None:
    """Return whose code is running; None for the world's."""
    return _PROCESS.get(None)


class SimTask(asyncio.Task[Any]):
    """A task that hashes by its number."""

    def __init__(self, number: int, *args: Any, **kwargs: Any) -> None:
        self.number = number
        super().__init__(*args, **kwargs)

    def __hash__(self) -> int:
        return self.number


class SimLoop(base_events.BaseEventLoop):
    """See the module. It has no selector: nothing can come from outside."""

    _ready: Any
    _scheduled: Any
    _timer_cancelled_count: int
    _asyncgens: Any

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[Process] = []
        self.faults: list[str] = []
        """Errors that nobody caught; each is a bug."""
        self.callbacks = 0
        self._time = START_S
        self._task_count = 0
        self.set_task_factory(_make_task)  # type: ignore[arg-type]  # Older than `context`.
        self.set_exception_handler(self._note_fault)

    def time(self) -> float:
        return self._time

    def in_world(self, delay_s: float, act: Callable[..., object], *args: Any) -> asyncio.Handle:
        """Call `act` after `delay_s`, whatever becomes of the process that asks for it."""
        return self.call_later(delay_s, act, *args, context=_WORLD)

    def unpark(self, handles: list[asyncio.Handle]) -> None:
        """Let parked callbacks run now."""
        self._ready.extend(handles)

    def next_task_number(self) -> int:
        self._task_count += 1
        return self._task_count

    def dispose(self) -> None:
        """End everything without a trace; the loop cannot be used any more."""
        for process in self.processes:
            process.kill()
        self.set_exception_handler(lambda _loop, _context: None)
        pending = [*asyncio.all_tasks(self)]
        pending += [task for process in self.processes for task in process.tasks]
        for task in pending:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            _close(task.get_coro())
        for process in self.processes:
            process.tasks.clear()
        self._ready.clear()
        self._scheduled.clear()
        self.close()

    def _note_fault(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.faults.append(f"{context.get('message')}: {error!r}")

    def _run_once(self) -> None:
        scheduled, ready = self._scheduled, self._ready
        self._forget_cancelled()
        if not ready:
            if not scheduled:
                raise RuntimeError("everybody waits for something that no timer will bring")
            self._time = max(self._time, scheduled[0].when())
        while scheduled and scheduled[0].when() <= self._time:
            timer = heapq.heappop(scheduled)
            timer._scheduled = False
            ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            process = handle._context.get(_PROCESS)
            if process is not None and process.standing is not Standing.RUNNING:
                process.park(handle)
                continue
            self.callbacks += 1
            handle._run()

    def _forget_cancelled(self) -> None:
        scheduled = self._scheduled
        if self._timer_cancelled_count > _CANCELLED_TIMERS_MAX:
            for timer in scheduled:
                if timer._cancelled:
                    timer._scheduled = False
            scheduled[:] = [timer for timer in scheduled if not timer._cancelled]
            heapq.heapify(scheduled)
            self._timer_cancelled_count = 0
        while scheduled and scheduled[0]._cancelled:
            self._timer_cancelled_count -= 1
            heapq.heappop(scheduled)._scheduled = False

    def _check_closed(self) -> None:
        """What is left when a run ends may still touch its loop; nothing comes of it."""

    def _process_events(self, event_list: object) -> None:
        raise AssertionError("nothing comes from outside")

    def _write_to_self(self) -> None:
        """Nobody sleeps, so nobody must be woken."""


def _make_task(
    loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **kwargs: Any
) -> SimTask:
    assert isinstance(loop, SimLoop)
    task = SimTask(loop.next_task_number(), coro, loop=loop, **kwargs)
    context = kwargs.get("context")
    process = _PROCESS.get(None) if context is None else context.get(_PROCESS)
    if process is not None:
        process.tasks[task] = None
        task.add_done_callback(process.tasks.pop, context=_WORLD)
    return task


def _close(coro: Any) -> None:
    for _ in range(50):  # Once for each `finally` in it that awaits something.
        try:
            coro.close()
        except RuntimeError:
            continue
        except BaseException:
            return
        return


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Let nobody hear the complaints of coroutines that are dropped in the middle."""
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _unraisable: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.unraisablehook = hook


def run_simulated(main: Callable[[SimLoop], Coroutine[Any, Any, T]]) -> T:
    """Run `main` to its end on a new loop, undisturbed by the garbage collector.

    Its result must hold nothing of the simulated world, which is swept up here.
    """
    loop = SimLoop()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return loop.run_until_complete(main(loop))
    finally:
        with _unheard():
            loop.dispose()
            del loop, main
            gc.collect()
        if was_enabled:
            gc.enable()
