"""A cluster in memory around the real core: nodes that obey, a store that is a dict, a fake clock.

For tests of behaviour that need no event loop. Agents obey at once, unless an image says else:
`bad:*` is rejected, `crash:*` fails as soon as it runs, `slow:*` stays PREPARING until `slow_done`,
`job:*` completes as soon as it has run, unless `jobs_held`.
"""

from dataclasses import dataclass, field

from berth.model.cluster import ClusterSettings
from berth.model.ids import ClusterId, NodeId, ServiceId, SessionId, TaskId
from berth.model.instant import Instant, Timestamp
from berth.model.service import ServiceSpec
from berth.model.task import Task, TaskState, TaskStatus
from scheduler.core import commands, invariants, membership
from scheduler.core.cluster_record import ClusterRecord
from scheduler.core.now import Now
from scheduler.core.service_state import ServiceState
from scheduler.core.state import LeaderState
from scheduler.core.step import Timers, take_turn
from scheduler.store.loading import load_state
from scheduler.store.port import Delete
from scheduler.store.records import encode_changes
from tests.builders import a_description

S = TaskState


@dataclass
class FakeNode:
    """What one agent would know: wanted states, and what it reported last."""

    id: NodeId
    session: SessionId | None = None
    is_cut: bool = False
    wanted: dict[TaskId, tuple[TaskState, str]] = field(default_factory=dict)
    reported: dict[TaskId, TaskState] = field(default_factory=dict)
    cpus: float = 4.0


class World:
    """See the module."""

    def __init__(self, nodes: int = 3, *, settings: ClusterSettings | None = None) -> None:
        self.instant = 1000.0
        self.entries: dict[str, bytes] = {}
        self.cluster = ClusterRecord(ClusterId("c1"), settings or ClusterSettings())
        self.state = LeaderState(self.cluster)
        self.timers = Timers()
        self.nodes: dict[str, FakeNode] = {}
        self.slow_done = False
        self.jobs_held = False
        self.stops_held: set[str] = set()
        self.count = 0
        self.starts: list[TaskId] = []
        for number in range(1, nodes + 1):
            self.join(f"n{number}")

    @property
    def now(self) -> Now:
        return Now(Instant(self.instant), Timestamp(self.instant + 1e9))

    # -- the world goes on

    def settle(self, rounds: int = 40) -> None:
        """Let leader and agents act on each other until nothing changes."""
        for _ in range(rounds):
            if not self.turn():
                return
        raise AssertionError("the world does not settle")

    def turn(self) -> bool:
        """One turn of the leader, one answer of every agent; False when nothing moved."""
        report = take_turn(self.state, self.timers, self.now)
        unsaved, untold, forgotten = self.state.take_changes()
        for change in encode_changes(self.state, unsaved):
            if isinstance(change, Delete):
                self.entries.pop(change.key, None)
            else:
                self.entries[change.key] = change.value
        for node_id, tasks in untold.items():
            self.nodes[node_id].wanted.update(
                {task.id: (task.desired, self.image_of(task)) for task in tasks}
            )
        for node_id, gone in forgotten.items():
            if node_id in self.nodes:
                for task_id in gone:
                    self.nodes[node_id].wanted.pop(task_id, None)
                    self.nodes[node_id].reported.pop(task_id, None)
        moved = [self._answer(node) for node in self.nodes.values()]
        invariants.check(self.state)
        return bool(untold or forgotten or unsaved or report.is_unfinished or any(moved))

    def pass_time(self, seconds: float, step: float = 0.5) -> None:
        """Let time go by, agents heard all the while."""
        end = self.instant + seconds
        while self.instant < end:
            self.instant = min(self.instant + step, end)
            for node in self.nodes.values():
                if node.session is not None and not node.is_cut:
                    membership.hear(self.state, node.id, node.session, self.now.instant)
            self.settle()

    def image_of(self, task: Task) -> str:
        record = self.state.services[task.service_id].record
        return record.templates[task.template_version].task.container.image

    def _answer(self, node: FakeNode) -> bool:
        if node.session is None or node.is_cut:
            return False
        statuses = []
        for task_id, (desired, image) in sorted(node.wanted.items()):
            state = self._next_state(node, task_id, desired, image)
            if state is not None and state > node.reported.get(task_id, S.NEW):
                if state == S.RUNNING:
                    self.starts.append(task_id)
                node.reported[task_id] = state
                code = 1 if state == S.FAILED else None
                statuses.append(TaskStatus(task_id, state, exit_code=code))
        if statuses:
            membership.report(self.state, node.id, node.session, statuses, self.now)
        return bool(statuses)

    def _next_state(
        self, node: FakeNode, task_id: TaskId, desired: TaskState, image: str
    ) -> TaskState | None:
        last = node.reported.get(task_id, S.NEW)
        if last.is_terminal:
            return None
        if desired > S.COMPLETE:
            return None if image in self.stops_held else S.SHUTDOWN
        if image.startswith("bad"):
            return S.REJECTED
        if image.startswith("slow") and not self.slow_done:
            return S.PREPARING
        if desired == S.READY:
            return S.READY
        if image.startswith("crash") and last == S.RUNNING:
            return S.FAILED
        if image.startswith("job") and last == S.RUNNING and not self.jobs_held:
            return S.COMPLETE
        return S.RUNNING

    # -- what tests do to it

    def join(self, name: str, cpus: float = 4.0) -> None:
        node = self.nodes.setdefault(name, FakeNode(NodeId(name)))
        self.count += 1
        node.session = SessionId(f"s{self.count}")
        node.is_cut = False
        node.cpus = cpus
        statuses = tuple(TaskStatus(t, s) for t, s in sorted(node.reported.items()))
        description = a_description(name, cpus=cpus)
        joined = membership.Joined(node.id, node.session, "boot", description, statuses)
        membership.join(self.state, joined, self.now)
        # The complete set: what is not in it must go.
        tasks = self.state.node_tasks[node.id]
        node.wanted = {t.id: (t.desired, self.image_of(t)) for t in tasks}
        node.reported = {t: s for t, s in node.reported.items() if t in node.wanted}

    def cut(self, name: str) -> None:
        """The node falls silent: its agent runs on, nobody hears it."""
        self.nodes[name].is_cut = True

    def reload(self) -> None:
        """Another leader takes over from the store; every agent that is heard joins again."""
        self.state = load_state(dict(self.entries), self.cluster, self.now)
        invariants.check(self.state)
        self.timers = Timers()
        for name, node in self.nodes.items():
            if not node.is_cut:
                self.join(name, node.cpus)

    def fail(self, task: Task, state: TaskState = S.FAILED, ran_s: float = 0.0) -> None:
        """The task ends by itself."""
        assert task.node_id is not None
        node = self.nodes[task.node_id]
        node.reported[task.id] = state
        status = TaskStatus(task.id, state, exit_code=1, error="boom", ran_s=ran_s)
        assert node.session is not None
        membership.report(self.state, node.id, node.session, [status], self.now)

    def create(self, spec: ServiceSpec) -> ServiceState:
        self.count += 1
        service_id = ServiceId(f"svc{self.count}")
        commands.create_service(self.state, service_id, spec, b"", self.now)
        return self.state.services[service_id]

    def update(self, name: str, spec: ServiceSpec) -> None:
        service = commands.find_service(self.state, name)
        commands.update_service(self.state, service, spec, 0, b"", self.now)

    # -- what tests look at

    def service(self, name: str = "web") -> ServiceState:
        return commands.find_service(self.state, name)

    def tasks(self, name: str = "web") -> list[Task]:
        slots = self.service(name).slots
        return [task for _, tasks in sorted(slots.items()) for task in tasks]

    def running(self, name: str = "web", image: str | None = None) -> list[Task]:
        return [
            task
            for task in self.tasks(name)
            if task.observed == S.RUNNING
            and task.is_wanted
            and (image is None or self.image_of(task) == image)
        ]

    def by_node(self, name: str = "web") -> dict[str, int]:
        counts: dict[str, int] = {}
        for task in self.running(name):
            counts[str(task.node_id)] = counts.get(str(task.node_id), 0) + 1
        return counts

    def status(self, name: str = "web") -> str:
        status = self.service(name).record.update_status
        return "" if status is None else status.state.value
