"""What must hold of jobs: each slot of a run completes once, and in the end every run has ended.

Duty: read every commit for completions and for tasks made after them, watch every container that
ends well, and say of each job in the end what is not as it should be.
Not here: what must hold of all services (checkers, container_checkers, convergence).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from berth.model.defaults import effective_completions, effective_concurrency
from berth.model.ids import NodeId, ServiceId, TaskId
from berth.model.instant import Instant, Timestamp
from berth.model.job import NO_ITERATION, JobRun
from berth.model.schedule import is_scheduled
from berth.model.service import RestartCondition
from berth.model.task import Task, TaskState
from scheduler.core.now import Now
from scheduler.core.reconcile import Phase
from scheduler.core.service_state import ServiceState, SlotKey, slot_of
from scheduler.core.state import LeaderState
from scheduler.store import keys
from scheduler.store.records import decode_history, decode_placements, decode_service
from tests.fakes.fake_engine_host import FakeContainer
from tests.sim.cluster import SimMachine
from tests.sim.history import History

SCHEDULE_PERIOD_S = 20.0
"""All schedules of the simulator's users are of this period."""
_LATE_S = 5.0
_ENDING_WELL = ("task", "quick", "brief")
_NOW = Now(Instant(0.0), Timestamp(0.0))


class RunSlot(NamedTuple):
    """One slot of one run of a job."""

    service: ServiceId
    run_version: int
    slot: SlotKey


class JobChecks:
    """See the module."""

    def __init__(
        self,
        history: History,
        was_wanted: Callable[[NodeId, TaskId], bool],
        *,
        may_clocks_jump: bool,
    ) -> None:
        self._history = history
        self._may_clocks_jump = may_clocks_jump
        self._was_wanted = was_wanted
        self._jobs: set[ServiceId] = set()
        self._known: set[TaskId] = set()
        self._completed: dict[RunSlot, TaskId] = {}
        self._given_up: set[TaskId] = set()
        self._ended_well: dict[RunSlot, tuple[NodeId, TaskId]] = {}
        self._due: dict[tuple[ServiceId, Timestamp], int] = {}
        self._concurrency: dict[tuple[ServiceId, int], int] = {}

    def committed(self, written: dict[str, bytes | None]) -> None:
        """Check a commit: nothing is made where an earlier commit had a completion."""
        for key, value in written.items():
            if value is None:
                if key.startswith(keys.NODES):
                    self._node_removed(NodeId(key.removeprefix(keys.NODES)))
                continue
            if key.startswith(keys.SERVICES):
                record = decode_service(value)
                if record.job is not None:
                    self._jobs.add(record.id)
                    self._runs_written(record.id, record.job.runs)
            elif key.startswith(keys.PLACEMENTS):
                node = NodeId(key.removeprefix(keys.PLACEMENTS))
                for task in decode_placements(node, value):
                    self._task_written(task)
        for key, value in written.items():
            if key.startswith(keys.HISTORY) and value is not None:
                service = ServiceId(key.removeprefix(keys.HISTORY).partition("/")[0])
                self._history_written(service, value)

    def _node_removed(self, node: NodeId) -> None:
        """A node that was removed is given up with all it did; if it joins again, it is new."""
        self._given_up |= {task for at, task in self._ended_well.values() if at == node}
        self._completed = {
            place: task for place, task in self._completed.items() if place.slot != node
        }

    def _runs_written(self, service: ServiceId, runs: Iterable[JobRun]) -> None:
        if self._may_clocks_jump:  # By more than an hour it makes a schedule count anew.
            return
        for run in runs:
            if run.due_at is not None and run.iteration != NO_ITERATION:
                before = self._due.setdefault((service, run.due_at), run.iteration)
                what = f"{service}: runs {before} and {run.iteration} of {run.due_at}"
                self._history.check(before == run.iteration, "a due time begins one run", what)

    def turn_taken(self, state: LeaderState) -> None:
        """Check a leader's memory: no job has more slots at work than it may."""
        for service in state.services.values():
            record = service.record
            if record.job is None or record.is_global:
                continue
            # What is changed while a schedule's run is under way holds from the next run on.
            run = record.id, record.job.run_version
            most = effective_concurrency(record.spec.mode)
            most = self._concurrency[run] = max(most, self._concurrency.get(run, 0))
            busy = [slot for slot in service.slots if _is_at_work(service, slot)]
            self._history.check(
                len(busy) <= most,
                "a job works on no more slots at once than it may",
                f"{record.spec.name}: slots {busy}, at most {most}",
            )

    def _task_written(self, task: Task) -> None:
        if task.service_id not in self._jobs or task.id in self._known:
            return
        self._known.add(task.id)
        place = RunSlot(task.service_id, task.template_version, slot_of(task))
        self._history.check(
            place not in self._completed,
            "nothing is run again that has completed",
            f"{task.id} (attempt {task.attempt}) after {self._completed.get(place)} in {place}",
        )

    def _history_written(self, service: ServiceId, value: bytes) -> None:
        if service not in self._jobs:
            return
        for entry in decode_history(service, value):
            slot = entry.home if entry.home is not None else entry.slot
            if entry.state is TaskState.COMPLETE:
                place = RunSlot(service, entry.template_version, slot)
                self._completed.setdefault(place, entry.id)
            elif entry.state is TaskState.ORPHANED:
                self._given_up.add(entry.id)

    def container_ended(self, machine: SimMachine, container: FakeContainer) -> None:
        """Check an end: of the tasks that are wanted, one of each slot ends well."""
        task = container.task
        if container.exit_code != 0 or task.service_id not in self._jobs:
            return
        if not self._was_wanted(task.node_id, task.task_id):
            return  # It was told to stop, or given up with its node.
        local = machine.agent.state.tasks.get(task.task_id) if machine.agent is not None else None
        if local is not None and local.is_stop_sent:
            return  # Its agent was about to fence it: that it ended well just then is chance.
        slot: SlotKey = task.node_id if task.is_global else task.slot + 1
        place = RunSlot(task.service_id, task.template_version, slot)
        node, other = self._ended_well.setdefault(place, (task.node_id, task.task_id))
        is_excused = other in self._given_up or not self._was_wanted(node, other)
        self._history.check(
            other == task.task_id or is_excused,
            "each slot of a job completes once, unless its node was lost",
            f"{task.task_id} on {task.node_id} after {other} on {node} in {place}",
        )


def _is_at_work(service: ServiceState, slot: SlotKey) -> bool:
    return any(
        task.is_wanted and task.is_alive and task.template_version == service.record.live_version
        for task in service.slots[slot]
    )


def job_unsettled(service: ServiceState, now: Timestamp) -> Iterator[str]:
    """Yield what is not as it should be of a job, once nothing fails any more."""
    record = service.record
    name, job, spec = record.spec.name, record.job, record.spec
    assert job is not None
    if service.closing:
        yield f"{name}: slots {service.closing} are still closing"
    if is_scheduled(spec.labels):
        if now - job.schedule_from > SCHEDULE_PERIOD_S + _LATE_S:
            yield f"{name}: no due time was seen to for {now - job.schedule_from:.1f} s"
        return  # It is at work again and again.
    if not job.run_version:
        return
    restart = record.templates[record.live_version].task.restart
    kind = spec.task.container.image.partition(":")[0]
    is_limited = restart.condition is RestartCondition.NONE or bool(restart.max_attempts)
    if kind not in _ENDING_WELL:
        return
    has_nowhere = record.is_global and not service.candidates  # It waits for a node that suits.
    if job.is_under_way and not service.waiting and not has_nowhere:
        yield f"{name}: run {job.iteration} is under way, phases {service.phases}"
    if is_limited or job.is_under_way:
        return
    total = len(service.phases) if record.is_global else effective_completions(spec.mode)
    completed = len(service.in_phase(Phase.DONE))
    if completed != total:
        yield f"{name}: run {job.iteration} has ended with {completed} of {total} completed"


def told_wrong(state: LeaderState) -> Iterator[str]:
    """Yield jobs whose record counts other completions than their slots have."""
    for service in state.services.values():
        job = service.record.job
        if job is None or job.is_under_way or job.newest is None or service.record.is_removing:
            continue
        completed = len(service.in_phase(Phase.DONE))
        if completed > job.newest.completed:
            yield f"{service.record.spec.name}: {job.newest} though {completed} completed"
