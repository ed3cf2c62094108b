"""Wait until a service is as its spec says, or say why it will not be.

Duty: judge what the cluster tells of a service (pure), poll until there is a verdict, show how far.
Not here: the rollout itself: it goes on when nobody waits.
Invariants (tests/unit/cli/test_follow.py): converged means that all wanted tasks ran throughout the
monitor period, or that the cluster says the rollout completed; a paused rollout fails, and one that
was rolled back fails unless the rollback was what its user asked for.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from berth.client import ControlClient
from berth.clock import Clock
from berth.errors import ConflictError, UnavailableError
from berth.model.defaults import effective_restart, effective_update
from berth.model.duration import duration_text
from berth.model.instant import NEVER, Instant, after
from berth.model.service import RestartCondition
from berth.model.task import TaskState
from berth.views import JobStatus, ServiceView, TaskView
from cli.render import completions_wanted, task_error

POLL_S: Final = 0.3
_ROWS_MAX: Final = 20
_ACTIVE: Final = ("updating", "rollback_started")


@dataclass(frozen=True, slots=True)
class SlotProgress:
    """The newest current task of one slot."""

    name: str
    state: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How far a service is."""

    running: int
    wanted: int
    slots: tuple[SlotProgress, ...] = ()
    note: str = ""
    is_active: bool = False
    """A rollout is under way: the cluster itself will say when it is done."""
    is_completed: bool = False
    failure: str = ""
    what: str = "tasks running"
    ending: str = "converged"

    @property
    def is_whole(self) -> bool:
        """True when every wanted task runs."""
        return self.running >= self.wanted

    @property
    def reasons(self) -> list[str]:
        """Why tasks do not run, each once."""
        found = (f"{slot.name}: {slot.error}" for slot in self.slots if slot.error)
        return list(dict.fromkeys(found))


def take_snapshot(
    service: ServiceView, tasks: Sequence[TaskView], *, is_rollback: bool = False
) -> Snapshot:
    """Judge a service.

    Args:
        service: as the cluster tells it.
        tasks: its tasks; older templates and history are passed over.
        is_rollback: whether its user asked for a rollback, so that one is no failure.
    """
    newest = _newest(tasks)
    if service.job is not None:
        return _job_snapshot(service, service.job, newest)
    running = sum(task.is_running for task in newest.values())
    condition = effective_restart(service.spec.task.restart).condition
    if condition is not RestartCondition.ANY:
        running += service.completed_tasks  # What ended well and is not restarted is done.
    status = service.update_status
    state = status.state if status else ""
    message = status.message if status else ""
    return Snapshot(
        running=running,
        wanted=service.desired_tasks,
        slots=_slots(newest),
        note=f"rolling back: {message}" if state == "rollback_started" and message else "",
        is_active=state in _ACTIVE,
        is_completed=state == "completed" or (is_rollback and state == "rollback_completed"),
        failure=_failure(state, message, is_rollback),
    )


def _newest(tasks: Sequence[TaskView]) -> dict[str, TaskView]:
    newest: dict[str, TaskView] = {}
    for task in tasks:
        if not task.is_current or task.is_history or task.desired > TaskState.COMPLETE:
            continue
        held = newest.get(task.name)
        if held is None or (task.is_running, task.attempt) > (held.is_running, held.attempt):
            newest[task.name] = task
    return newest


def _slots(newest: Mapping[str, TaskView]) -> tuple[SlotProgress, ...]:
    ordered = sorted(newest.values(), key=lambda task: (task.slot, task.node_name, task.node_id))
    return tuple(
        SlotProgress(task.name, task.status.state.name.lower(), task_error(task, is_full=True))
        for task in ordered
    )


def _job_snapshot(service: ServiceView, job: JobStatus, newest: Mapping[str, TaskView]) -> Snapshot:
    """Judge a job: its run is over when every slot has ended, and good when all completed."""
    completed, total = service.completed_tasks, completions_wanted(service)
    failure = ""
    if not (job.is_under_way or job.awaits_schedule) and completed < total:
        failure = f"run {job.iteration} failed: {completed} of {total} slots completed"
    ending = "completed" if not job.awaits_schedule else "runs when it is due"
    return Snapshot(
        running=completed,
        wanted=total,
        slots=_slots(newest),
        is_active=job.is_under_way,
        is_completed=not job.is_under_way,
        failure=failure,
        what="slots completed",
        ending=ending,
    )


def _failure(state: str, message: str, is_rollback: bool) -> str:
    reason = f": {message}" if message else ""
    match state:
        case "paused":
            return f"the update is paused{reason}"
        case "rollback_paused":
            return f"the rollback is paused{reason}"
        case "rollback_completed" if not is_rollback:
            return f"the update was rolled back{reason}"
        case _:
            return ""


@dataclass(slots=True)
class Convergence:
    """Says when a service has been whole for long enough."""

    monitor_s: float
    _whole_since: Instant = field(default=NEVER)

    def is_reached(self, snapshot: Snapshot, now: Instant) -> bool:
        """Take note of a snapshot; return whether the wait is over."""
        if snapshot.is_completed:
            return True
        if snapshot.is_active or not snapshot.is_whole:
            self._whole_since = NEVER
            return False
        self._whole_since = min(self._whole_since, now)
        return now >= after(self._whole_since, self.monitor_s)


class ProgressView(ABC):
    """Shows a wait (a context manager, so that nothing of it is left behind on a terminal)."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 - most have nothing that moves
        """Take away what moves; safe to repeat."""

    @abstractmethod
    def show(self, snapshot: Snapshot) -> None:
        """Show how far it is."""

    @abstractmethod
    def finish(self, text: str) -> None:
        """Show how it ended."""


class Silent(ProgressView):
    """Shows nothing (``--quiet``)."""

    def show(self, snapshot: Snapshot) -> None:
        """Show nothing."""

    def finish(self, text: str) -> None:
        """Show nothing."""


class PlainProgress(ProgressView):
    """One line for each change, for logs and pipes."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._last: list[str] = []

    def show(self, snapshot: Snapshot) -> None:
        """Write what has changed since the last snapshot."""
        lines = [f"{snapshot.running} of {snapshot.wanted} {snapshot.what}"]
        lines += [snapshot.note] if snapshot.note else []
        lines += snapshot.reasons[:_ROWS_MAX]
        for line in lines:
            if line not in self._last:
                self._write(line)
        self._last = lines

    def finish(self, text: str) -> None:
        """Write the end."""
        self._write(text)


class LiveProgress(ProgressView):
    """Bars that move, for terminals."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[words]}", markup=False),
            console=console,
            transient=True,
        )
        self._total = self._progress.add_task("overall", total=1, words="")
        self._slots: dict[str, TaskID] = {}
        self._notes: set[str] = set()
        self._progress.start()

    def show(self, snapshot: Snapshot) -> None:
        """Move the bars."""
        words = f"{snapshot.running} of {snapshot.wanted} {snapshot.what}"
        self._progress.update(
            self._total, total=max(snapshot.wanted, 1), completed=snapshot.running, words=words
        )
        if snapshot.note and snapshot.note not in self._notes:
            self._notes.add(snapshot.note)
            self._console.print(snapshot.note, style="yellow")
        for slot in snapshot.slots[:_ROWS_MAX]:
            if slot.name not in self._slots:
                self._slots[slot.name] = self._progress.add_task(slot.name, total=8, words="")
            self._progress.update(
                self._slots[slot.name],
                completed=_steps(slot.state),
                words=f"{slot.state}  {slot.error}".rstrip(),
            )

    def finish(self, text: str) -> None:
        """Take the bars away and print the end."""
        self.close()
        self._console.print(text)

    def close(self) -> None:
        """Stop the bars."""
        self._progress.stop()


_ORDER: Final = ("new", "pending", "assigned", "accepted", "preparing", "ready", "starting")


def _steps(state: str) -> int:
    return _ORDER.index(state) + 1 if state in _ORDER else len(_ORDER) + 1


async def follow_service(
    client: ControlClient,
    name: str,
    *,
    clock: Clock,
    progress: ProgressView,
    is_rollback: bool = False,
    timeout_s: float | None = None,
) -> None:
    """Wait until the service `name` has converged.

    Args:
        client: asks the cluster.
        name: the service's name or ID.
        clock: measures and pauses.
        progress: shows how far it is.
        is_rollback: whether its user asked for a rollback.
        timeout_s: how long to wait; None for ever.

    Raises:
        ConflictError: the rollout was paused or rolled back; the reason is in the text.
        UnavailableError: the time is up; what does not run and why is in the text.
    """
    began = clock.instant()
    convergence: Convergence | None = None
    while True:
        service = await client.get_service(name)
        tasks = await client.list_tasks(services=[service.id], only_wanted=True)
        snapshot = take_snapshot(service, tasks, is_rollback=is_rollback)
        progress.show(snapshot)
        if snapshot.failure:
            progress.finish(snapshot.failure)
            raise ConflictError(f'service "{service.spec.name}": {snapshot.failure}')
        policy = service.spec.rollback if is_rollback else service.spec.update
        convergence = convergence or Convergence(effective_update(policy).monitor_s)
        if convergence.is_reached(snapshot, clock.instant()):
            progress.finish(f"service {service.spec.name} {snapshot.ending}")
            return
        if timeout_s is not None and clock.instant() >= after(began, timeout_s):
            progress.finish("the time is up; the cluster goes on by itself")
            raise UnavailableError(_timeout_text(service, snapshot, timeout_s))
        await clock.sleep(POLL_S)


def _timeout_text(service: ServiceView, snapshot: Snapshot, timeout_s: float) -> str:
    reasons = "; ".join(snapshot.reasons) or "see berth service ps"
    return (
        f'service "{service.spec.name}" did not converge within {duration_text(timeout_s)}: '
        f"{snapshot.running} of {snapshot.wanted} {snapshot.what}; {reasons}"
    )
