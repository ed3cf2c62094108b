"""What must hold at every moment, checked as it happens.

Duty: look at every commit, every message to an agent, every turn of a leader and every start of a
container, and note what breaks a promise. The rules are written anew here, in their plainest form,
and do not ask the code under test whether it was right.
Not here: containers (container_checkers), placing and restarts (placement_checkers,
restart_checkers), what must hold in the end (convergence).
"""

from collections import Counter
from dataclasses import dataclass, field

from berth.model.defaults import effective_update
from berth.model.ids import NodeId, ServiceId, TaskId
from berth.model.instant import Instant, Timestamp
from berth.model.node import Node, NodeState
from berth.model.task import Task, TaskState
from berth.v1.dispatcher_pb2 import SchedulerMessage
from scheduler.core import invariants
from scheduler.core.now import Now
from scheduler.core.service_state import ServiceState, SlotKey, slot_of
from scheduler.core.state import LeaderState
from scheduler.core.step import TurnReport
from scheduler.store import keys
from scheduler.store.records import decode_placements
from tests.fakes.fake_engine_host import FakeContainer
from tests.fakes.naive_placement import satisfies
from tests.sim.cluster import Cluster, SimMachine, SimScheduler
from tests.sim.container_checkers import ContainerChecks
from tests.sim.faults import Profile
from tests.sim.job_checkers import JobChecks
from tests.sim.placement_checkers import check_placement, words_of
from tests.sim.restart_checkers import check_restart
from tests.sim.rollout_checkers import follows, has_failed, is_busy, successors

QUIET_S = 45.0
"""A node that was whole for this long, in a whole cluster, has no reason to be lost."""
_VALIDATE_EVERY = 16
_NOW = Now(Instant(0.0), Timestamp(0.0))


@dataclass(slots=True)
class Stored:
    """The most that was ever durable of a task on a node."""

    desired: TaskState
    observed: TaskState
    is_given_up: bool = False
    """Its node was removed."""


@dataclass(slots=True)
class Seen:
    """A task as it was after the leader's last turn."""

    desired: TaskState
    observed: TaskState
    node: NodeId | None


@dataclass(slots=True)
class LeaderView:
    """What one leadership's memory looked like after its last turn."""

    turns: int = 0
    tasks: dict[TaskId, Seen] = field(default_factory=dict)
    begun: dict[ServiceId, set[TaskId]] = field(default_factory=dict)
    """Of each service, the tasks of its newest template that had others beside them."""


class Checkers:
    """A `Watcher` that notes violations in the history."""

    def __init__(self, cluster: Cluster, profile: Profile) -> None:
        self._cluster = cluster
        self._profile = profile
        self._history = cluster.history
        self._last_epoch = 0
        self._views: dict[int, LeaderView] = {}
        self._containers = ContainerChecks(cluster, self.was_stored)
        may_jump = "jump_clock" in profile.kinds
        self._jobs = JobChecks(cluster.history, self.is_wanted, may_clocks_jump=may_jump)
        self.placed: dict[NodeId, dict[TaskId, Task]] = {}
        """What the store says now."""
        self.ever: dict[tuple[NodeId, TaskId], Stored] = {}
        self.schedulers_impaired_at = cluster.loop.time()
        cluster.watcher = self
        cluster.etcd.on_commit = self.committed
        cluster.network.on_told = self.told

    def was_stored(self, node: NodeId, task: TaskId) -> bool:
        """Return whether a task was ever durably placed on a node."""
        return (node, task) in self.ever

    def is_wanted(self, node: NodeId, task: TaskId) -> bool:
        """Return whether a task is wanted on a node, as far as the store ever said."""
        stored = self.ever.get((node, task))
        if stored is None or stored.is_given_up:
            return False
        return stored.desired <= TaskState.COMPLETE

    def look_around(self) -> None:
        """Check what needs no event; called about twice a second."""
        now = self._cluster.loop.time()
        for machine in self._cluster.machines:
            if not machine.is_whole:
                machine.impaired_at = now
        etcd, whole = self._cluster.etcd, True
        for scheduler in self._cluster.schedulers:
            faults = scheduler.etcd.faults
            is_running = scheduler.process is not None and scheduler.process.is_running
            whole = whole and is_running and not (faults.is_cut or faults.is_refused)
        whole = whole and not self._cluster.network.faults.is_slow
        if not whole or not etcd.has_quorum or not etcd.has_space:
            self.schedulers_impaired_at = now
        self._containers.look_around()
        for fault in self._cluster.loop.faults:
            self._history.violate("no error is left uncaught", fault)
        self._cluster.loop.faults.clear()

    # -- commits

    def committed(self, epoch: int, written: dict[str, bytes | None]) -> None:
        """Check a commit at the moment at which it takes effect."""
        self._history.note("etcd", f"commit of epoch {epoch}: {' '.join(sorted(written))}")
        oldest = self._cluster.etcd.oldest_candidate()
        self._history.check(
            epoch == oldest and epoch >= self._last_epoch,
            "commits succeed for the leader's epoch alone",
            f"epoch {epoch} wrote while {oldest} led, after epoch {self._last_epoch}",
        )
        self._last_epoch = epoch
        for key, value in written.items():
            if key.startswith(keys.PLACEMENTS):
                self._placements_written(NodeId(key.removeprefix(keys.PLACEMENTS)), value)
            elif key.startswith(keys.NODES) and value is None:
                self._node_removed(NodeId(key.removeprefix(keys.NODES)))
        self._jobs.committed(written)
        self._check_slots()

    def _placements_written(self, node: NodeId, value: bytes | None) -> None:
        tasks = [] if value is None else decode_placements(node, value)
        self.placed[node] = {task.id: task for task in tasks}
        for task in tasks:
            before = self.ever.setdefault((node, task.id), Stored(task.desired, task.observed))
            self._history.check(
                task.desired >= before.desired and task.observed >= before.observed,
                "no task's state falls",
                f"{task.id}: {before.desired.name}/{before.observed.name} to "
                f"{task.desired.name}/{task.observed.name}",
            )
            before.desired, before.observed = task.desired, task.observed

    def _node_removed(self, node: NodeId) -> None:
        """What it ran is wanted no more, though its agent may not have heard of that yet."""
        for (at, _), stored in self.ever.items():
            if at == node:
                stored.is_given_up = True

    def _check_slots(self) -> None:
        count: Counter[tuple[ServiceId, SlotKey]] = Counter()
        nodes: Counter[TaskId] = Counter()
        for tasks in self.placed.values():
            for task in tasks.values():
                nodes[task.id] += 1
                if task.is_wanted and task.is_alive:
                    count[task.service_id, slot_of(task)] += 1
        for (service, slot), wanted in count.items():
            if wanted > 2:
                what = f"slot {slot} of {service} has {wanted}"
                self._history.violate("a slot has one wanted task, or two while replaced", what)
        for task_id, places in nodes.items():
            if places > 1:
                self._history.violate("a task is on one node", f"{task_id} is on {places}")

    # -- messages

    def told(self, _node: str, message: SchedulerMessage) -> None:
        """Check what a scheduler sends to an agent at the moment at which it leaves."""
        if message.WhichOneof("body") != "assignments":
            return
        node = NodeId(message.node_id)
        for told in message.assignments.tasks:
            stored = self.ever.get((node, TaskId(told.task_id)))
            self._history.check(
                stored is not None and stored.desired >= told.desired,
                "nothing is sent before it is durable",
                f"{told.task_id} desired {told.desired} to {node}, stored: {stored}",
            )
        for task_id in message.assignments.forgotten:
            self._history.check(
                TaskId(task_id) not in self.placed.get(node, {}),
                "nothing is forgotten before that is durable",
                f"{task_id} on {node}",
            )

    # -- turns

    def turn_taken(self, scheduler: SimScheduler, report: TurnReport) -> None:
        """Check a leader's memory right after a turn, before anything of it leaves."""
        leader = scheduler.leader
        assert leader is not None
        state = leader.state
        view = self._views.setdefault(leader.epoch, LeaderView())
        view.turns += 1
        for node in report.lost:
            self._check_loss(state, node)
        for task in state.tasks.values():
            before = view.tasks.get(task.id)
            if before is not None:
                self._check_task(state, task, before)
            is_new_there = task.node_id is not None and (before is None or before.node is None)
            is_new_there = is_new_there and not self._is_loaded(task)
            if is_new_there:
                check_placement(self._history, state, task)
            if task.desired in (TaskState.RUNNING, TaskState.COMPLETE) and (
                is_new_there
                or (before is None and not self._is_loaded(task))
                or (before is not None and before.desired == TaskState.READY)
            ):
                check_restart(self._history, state, task, self._true_time())
        self._tell(scheduler, state, view)
        view.tasks = {
            task.id: Seen(task.desired, task.observed, task.node_id)
            for task in state.tasks.values()
        }
        self._jobs.turn_taken(state)
        for service in state.services.values():
            self._check_parallelism(state, service, view)
        if view.turns % _VALIDATE_EVERY == 1:
            invariants.check(state)

    def _tell(self, scheduler: SimScheduler, state: LeaderState, view: LeaderView) -> None:
        """Tell in the history how the leader sees its tasks, where that changed."""
        for task in state.tasks.values():
            before = view.tasks.get(task.id)
            now = Seen(task.desired, task.observed, task.node_id)
            if before == now:
                continue
            machine = self._cluster.machine_of(task.node_id) if task.node_id else None
            place = machine.name if machine is not None else "nowhere"
            words = (
                f"{words_of(state, task)} v{task.template_version} on {place}: wanted "
                f"{task.desired.name}, is {task.observed.name} {task.reason}"
            )
            self._history.note(scheduler.name, words)
        for task_id in view.tasks:
            if task_id not in state.tasks:
                self._history.note(scheduler.name, f"{task_id} is done with")

    def _true_time(self) -> Timestamp | None:
        is_told = self._profile.has_true_clocks
        return self._cluster.etcd.clock.timestamp() if is_told else None

    def _is_loaded(self, task: Task) -> bool:
        return task.node_id is not None and (task.node_id, task.id) in self.ever

    def _check_loss(self, state: LeaderState, node: NodeId) -> None:
        machine = self._cluster.machine_of(node)
        now = self._cluster.loop.time()
        if machine is None:
            return
        since = max(machine.impaired_at, self.schedulers_impaired_at)
        self._history.check(
            now - since < QUIET_S,
            "no whole node is lost",
            f"{machine.name} was lost, though all was well for {now - since:.1f} s: "
            f"{state.nodes[node].message}",
        )

    def _check_task(self, state: LeaderState, task: Task, before: Seen) -> None:
        words = words_of(state, task)
        self._history.check(
            task.desired >= before.desired or before.node is None,
            "no task's desired state falls",
            f"{words}: {before.desired.name} to {task.desired.name}",
        )
        self._history.check(
            task.observed >= before.observed,
            "no task's observed state falls",
            f"{words}: {before.observed.name} to {task.observed.name}",
        )
        self._history.check(
            before.node in (None, task.node_id), "no task moves", f"{words} to {task.node_id}"
        )
        was_up = before.desired <= TaskState.COMPLETE and before.observed == TaskState.RUNNING
        if was_up and task.is_alive and task.desired == TaskState.SHUTDOWN:
            self._check_stop(state, task, words)

    def _check_stop(self, state: LeaderState, task: Task, words: str) -> None:
        """A running task is stopped only for a reason, and only when its successor is ready."""
        assert task.node_id is not None
        node, service = state.nodes[task.node_id], state.services[task.service_id]
        if service.record.job is not None:
            return  # A drain, another run, an earlier attempt that completed: all stop it at once.
        if node.state is NodeState.DOWN or not _suits(service, node):
            return
        others = [other for other in service.slots[slot_of(task)] if other is not task]
        heirs = [other for other in others if other.is_wanted]
        self._history.check(
            bool(heirs), "nothing else moves", f"{words} is stopped, nothing follows: {task.reason}"
        )
        for heir in heirs:
            needs = TaskState.READY if heir.desired == TaskState.READY else TaskState.RUNNING
            self._history.check(
                heir.is_alive and heir.observed >= needs,
                "a replacement is at hand before its predecessor is stopped",
                f"{words} is stopped while {heir.id} (wanted {heir.desired.name}) is "
                f"{heir.observed.name}",
            )

    # -- rollouts

    def _check_parallelism(
        self, state: LeaderState, service: ServiceState, view: LeaderView
    ) -> None:
        """Count the slots in which a rollout is under way: old task there, new one not up yet.

        A policy that was made stricter calls nothing back: only what is begun counts against it.
        """
        record = service.record
        crowded = {slot: tasks for slot, tasks in service.slots.items() if len(tasks) > 1}
        before = view.begun.get(record.id, set())
        view.begun[record.id] = {
            task.id for tasks in crowded.values() for task in successors(service, tasks)
        }
        status = record.update_status
        if status is None or not status.state.is_active or record.is_removing:
            return
        # One that finds no place does not count, since it must not hold up the others; nor does one
        # whose task failed, which is restarted whatever else is under way.
        busy = {
            slot
            for slot, tasks in crowded.items()
            if is_busy(state, service, tasks)
            and all(task.node_id for task in tasks)
            and not has_failed(service, slot, status.started_at)
        }
        policy = record.spec.rollback if status.state.is_rollback else record.spec.update
        most = effective_update(policy).parallelism
        # One whose node was lost in the middle goes on when that is back, beside the next.
        is_more = any(
            task.id not in before
            and not self._is_loaded(task)
            and not follows(service, task, status.started_at)
            for slot in busy
            for task in successors(service, crowded[slot])
        )
        self._history.check(
            not most or not is_more or len(busy - service.failed) <= most,
            "a rollout works on no more slots at once than it may",
            f"{record.spec.name}: slots {sorted(map(str, busy))}, at most {most}",
        )

    # -- containers

    def container_starts(self, machine: SimMachine, container: FakeContainer) -> None:
        self._containers.starts(machine, container)

    def container_ended(self, machine: SimMachine, container: FakeContainer) -> None:
        self._containers.ended(machine, container)
        self._jobs.container_ended(machine, container)


def _suits(service: ServiceState, node: Node) -> bool:
    constraints = service.record.spec.task.placement.constraints
    return all(satisfies(node, text) for text in constraints)
