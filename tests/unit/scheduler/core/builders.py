"""Small makers of what the core's plans look at: tasks, history, records; one `Now`.

Times are seconds after `NOW`: a task that runs since -3 began three seconds ago.
"""

from dataclasses import replace

from berth.model.ids import NodeId, ServiceId, task_id
from berth.model.instant import Instant, Timestamp
from berth.model.service import ServiceSpec
from berth.model.task import FinishedTask, Task, TaskState
from scheduler.core.now import Now
from scheduler.core.service_record import (
    ServiceRecord,
    UpdateState,
    UpdateStatus,
    create_record,
    update_spec,
)
from tests.builders import a_spec

S = TaskState
SERVICE = ServiceId("svc")
NOW = Now(Instant(1000.0), Timestamp(1e9))
_LETTERS = {
    "w": S.PENDING,
    "a": S.ASSIGNED,
    "p": S.PREPARING,
    "y": S.READY,
    "s": S.STARTING,
    "r": S.RUNNING,
    "f": S.FAILED,
}


def later(seconds: float) -> Now:
    """Return the time `seconds` after `NOW`."""
    return Now(Instant(NOW.instant + seconds), Timestamp(NOW.timestamp + seconds))


def a_task(
    observed: TaskState = S.RUNNING,
    *,
    slot: int = 1,
    attempt: int = 1,
    node: str | None = "n1",
    home: str | None = None,
    version: int = 1,
    desired: TaskState = S.RUNNING,
    since: float | None = -100.0,
    stop_since: float | None = None,
) -> Task:
    """Return a task; `since` is when it began to run, `stop_since` when it was told to stop."""
    number, at_home = (slot, None) if home is None else (0, NodeId(home))
    began = observed >= S.RUNNING and observed != S.REJECTED and since is not None
    return Task(
        id=task_id(SERVICE, number, at_home, attempt),
        service_id=SERVICE,
        slot=number,
        home=at_home,
        attempt=attempt,
        template_version=version,
        desired=desired,
        created_at=Timestamp(NOW.timestamp - 200.0),
        node_id=None if node is None or observed < S.ASSIGNED else NodeId(node),
        observed=observed,
        observed_since=NOW.instant,
        observed_at=NOW.timestamp,
        running_since=Instant(NOW.instant + (since or 0.0)) if began else None,
        stop_since=None if stop_since is None else Instant(NOW.instant + stop_since),
    )


def held(text: str) -> dict[int, list[Task]]:
    """Read slots: "1r@a 2w 3-" is slot 1 running on node a, 2 waiting, 3 without a task.

    The letters: w(aiting) a(ssigned) p(reparing) (read)y s(tarting) r(unning) f(ailed). A slot that
    is named twice has two tasks.
    """
    slots: dict[int, list[Task]] = {}
    for word in text.split():
        head, _, node = word.partition("@")
        slot, letter = int(head[:-1]), head[-1]
        tasks = slots.setdefault(slot, [])
        if letter != "-":
            task = a_task(_LETTERS[letter], slot=slot, attempt=len(tasks) + 1, node=node or None)
            tasks.append(task)
    return slots


def ended(
    state: TaskState = S.FAILED,
    *,
    ago_s: float = 0.0,
    row: int = 1,
    attempt: int = 1,
    version: int = 1,
    counts: bool = True,
) -> FinishedTask:
    """Return an entry of slot 1's history; `row` is its place among the ends in a row."""
    return FinishedTask(
        id=task_id(SERVICE, 1, None, attempt),
        slot=1,
        home=None,
        attempt=attempt,
        template_version=version,
        node_id=NodeId("n1"),
        state=state,
        desired=S.RUNNING,
        created_at=Timestamp(NOW.timestamp - 1000.0),
        finished_at=Timestamp(NOW.timestamp - ago_s),
        counts_as_restart=counts,
        ends_in_row=row,
    )


def a_record(spec: ServiceSpec | None = None) -> ServiceRecord:
    """Return the record of a new service."""
    return create_record(SERVICE, spec or a_spec(replicas=3), NOW.timestamp)


def an_updated_record(
    old: ServiceSpec | None = None,
    new: ServiceSpec | None = None,
    status: UpdateState | None = None,
    slots_total: int = 0,
    failed_tasks: int = 0,
) -> ServiceRecord:
    """Return a record after one update from `old` to `new`: template versions 1 and 2."""
    record = update_spec(
        a_record(old or a_spec(replicas=3)),
        new or a_spec(replicas=3, image="app:2"),
        NOW.timestamp,
        b"",
    )
    if status is None:
        return record
    progress = UpdateStatus(
        status, started_at=NOW.timestamp, slots_total=slots_total, failed_tasks=failed_tasks
    )
    return replace(record, update_status=progress)
