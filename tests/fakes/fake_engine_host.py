"""A model of one machine with a container Engine, on virtual time.

Duty: hold images and containers as they are at each instant, let them start, get healthy, exit;
lose power, stop and come back; keep the history of every start.
Not here: the port that an agent sees (fake_runtime).
Invariants: nothing runs by itself. What is due happens, in the order of its instants, whenever
somebody looks (`advance`), so that the same calls at the same instants give the same answers; the
history only grows, whatever happens to agent, Engine or power.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from berth.clock import Clock
from berth.errors import RetryRule
from berth.model.ids import NodeId, TaskId
from berth.model.instant import Instant, after
from nodeagent.runtime.port import (
    ContainerChanged,
    ContainerState,
    EventGap,
    Health,
    RuntimeTask,
    SeenContainer,
)

KILLED_EXIT_CODE = 137
LOST_EXIT_CODE = 255
TERMINATED_EXIT_CODE = 143
DIE = "die"


@dataclass(frozen=True, slots=True)
class ImageBehaviour:
    """What an image and its containers do; times in seconds."""

    pull_time_s: float = 0.5
    pull_error: str = ""
    pull_retry: RetryRule = RetryRule.NEVER
    pull_failures: int | None = None  # Of `pull_error`: how many pulls fail; None = all.
    create_error: str = ""
    create_time_s: float = 0.02
    start_time_s: float = 0.1
    start_error: str = ""
    exit_after_s: float | None = None
    exit_code: int = 0
    oom_killed: bool = False
    healthy_after_s: float | None = None  # None = no health check.
    unhealthy_after_s: float | None = None
    stop_time_s: float = 0.2
    ignores_stop: bool = False  # Only SIGKILL, after the whole grace, ends it.
    digest: str = ""  # Repo digest a plain tag stands for; "" = derived from the name.


@dataclass(frozen=True, slots=True)
class StartRecord:
    """One time that a task's container was really started."""

    task_id: TaskId
    node_id: NodeId
    container_id: str
    epoch: int
    at: Instant


@dataclass(slots=True, eq=False)
class FakeContainer:
    """A container; `due` holds what will happen to it by itself."""

    container_id: str
    task: RuntimeTask
    behaviour: ImageBehaviour
    image_digest: str
    state: ContainerState = ContainerState.CREATED
    health: Health = Health.NONE
    exit_code: int | None = None
    error: str = ""
    oom_killed: bool = False
    started_at: float = 0.0
    finished_at: float = 0.0
    due: list[tuple[Instant, str, int]] = field(default_factory=list)
    """When, what, and the exit code where it is `DIE`."""

    def seen(self) -> SeenContainer:
        """Return it as the port shows it."""
        is_running = self.state is ContainerState.RUNNING
        return SeenContainer(
            container_id=self.container_id,
            task_id=self.task.task_id,
            state=self.state,
            health=self.health,
            exit_code=self.exit_code,
            error=self.error,
            oom_killed=self.oom_killed,
            pid=int(self.container_id[:4], 16) + 2 if is_running else 0,
            image_digest=self.image_digest,
            image_id=digest_of(f"image {self.image_digest}"),
            platform="linux/amd64",
            started_at=self.started_at,
            finished_at=self.finished_at,
            labels={
                "berth.node": self.task.node_id,
                "berth.service": self.task.service_id,
                "berth.task": self.task.task_id,
                "berth.slot": str(self.task.slot),
                "berth.epoch": str(self.task.epoch),
            },
        )


Subscriber = asyncio.Queue[ContainerChanged | EventGap | None]
"""Where events go; None ends the connection."""


def digest_of(text: str) -> str:
    """Return a digest that depends on `text` alone."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


class FakeEngineHost:
    """A machine. It outlives every agent on it: give it to one `FakeRuntime` after another."""

    def __init__(self, clock: Clock, *, live_restore: bool = False) -> None:
        self.clock = clock
        self.live_restore = live_restore
        self.containers: dict[str, FakeContainer] = {}
        self.images: set[str] = set()
        self.files: dict[TaskId, dict[str, bytes]] = {}
        """Configs and secrets by task and target: in memory, so gone with the power."""
        self.starts: list[StartRecord] = []
        """Every start that really happened, in order; never cleared."""
        self.pulls: list[str] = []
        self.is_powered = True
        self.is_engine_up = True
        self.generation = 0
        """Rises when the Engine goes away: calls under way then fail."""
        self._behaviours: dict[str, ImageBehaviour] = {}
        self._pull_failures: dict[str, int] = {}
        self._subscribers: list[tuple[NodeId, Subscriber]] = []
        self._count = 0

    # What a test says.

    def program(self, image: str, behaviour: ImageBehaviour) -> None:
        """Let `image` (without digest) behave so from now on; containers keep what they had."""
        self._behaviours[_plain(image)] = behaviour
        self._pull_failures.pop(_plain(image), None)

    def behaviour_of(self, image: str) -> ImageBehaviour:
        """Return how `image` behaves: as programmed, or well."""
        return self._behaviours.get(_plain(image), ImageBehaviour())

    def pull_fails(self, image: str) -> bool:
        """Return whether this pull of `image` fails, and count it."""
        behaviour = self.behaviour_of(image)
        if not behaviour.pull_error:
            return False
        failed = self._pull_failures.get(_plain(image), 0)
        self._pull_failures[_plain(image)] = failed + 1
        return behaviour.pull_failures is None or failed < behaviour.pull_failures

    def starts_by_task(self) -> Mapping[TaskId, int]:
        """Return how often each task's container was started, for checkers."""
        counts: dict[TaskId, int] = {}
        for record in self.starts:
            counts[record.task_id] = counts.get(record.task_id, 0) + 1
        return counts

    def running_tasks(self) -> list[FakeContainer]:
        """Return what runs right now, whether or not Engine and agent are up."""
        self.advance()
        running = (ContainerState.RUNNING,)
        return [found for found in self.containers.values() if found.state in running]

    def exit_now(self, task_id: TaskId, exit_code: int) -> None:
        """Let the running container of `task_id` end with `exit_code`."""
        self.advance()
        for container in self.containers.values():
            if container.task.task_id == task_id and container.state is ContainerState.RUNNING:
                self._exit(container, exit_code)

    def set_health(self, task_id: TaskId, health: Health) -> None:
        """Let the health check of `task_id`'s running container say `health` from now on."""
        self.advance()
        for container in self.containers.values():
            if container.task.task_id == task_id and container.state is ContainerState.RUNNING:
                container.due = [due for due in container.due if due[1] == DIE]
                container.health = health
                self._emit(container, f"health_status: {health.value}")

    def stop_engine(self) -> None:
        """Stop the Engine: its containers end, unless live-restore keeps them."""
        self.advance()
        if not self.live_restore:
            for container in self.running_tasks():
                self._exit(container, TERMINATED_EXIT_CODE)
        self._engine_gone()

    def crash_engine(self) -> None:
        """Kill the Engine: its containers run on, and end when it returns without live-restore."""
        self.advance()
        self._engine_gone()

    def start_engine(self) -> None:
        """Let the Engine come (back) up."""
        assert self.is_powered, "power the machine on first"
        if self.is_engine_up:
            return
        self.advance()
        if not self.live_restore:
            for container in self.running_tasks():
                self._exit(container, LOST_EXIT_CODE)
        self.is_engine_up = True

    def power_off(self) -> None:
        """Cut the power: everything on the machine ends at once, nobody is told."""
        self.advance()
        self._engine_gone()  # First, so that nobody is told.
        for container in self.running_tasks():
            self._exit(container, LOST_EXIT_CODE)
        self.is_powered = False
        self.files.clear()

    def power_on(self) -> None:
        """Give power back and start the Engine; containers stay ended."""
        self.is_powered = True
        self.start_engine()

    # What the runtime uses.

    def create(self, task: RuntimeTask, image_digest: str) -> FakeContainer:
        """Make a container; IDs derive from the machine's count of containers."""
        self._count += 1
        behaviour = self.behaviour_of(task.task.container.image)
        container = FakeContainer(
            container_id=digest_of(f"{task.node_id}/{task.task_id}/{self._count}")[7:],
            task=task,
            behaviour=behaviour,
            image_digest=image_digest,
        )
        self.containers[container.container_id] = container
        self._emit(container, "create")
        return container

    def start(self, container: FakeContainer) -> None:
        """Start it, and note what will become of it."""
        now = self.clock.instant()
        behaviour = container.behaviour
        container.state = ContainerState.RUNNING
        container.exit_code = None
        container.started_at = self.clock.timestamp()
        container.due = []
        task = container.task
        self.starts.append(
            StartRecord(task.task_id, task.node_id, container.container_id, task.epoch, now)
        )
        if behaviour.healthy_after_s is not None or behaviour.unhealthy_after_s is not None:
            container.health = Health.STARTING
        if behaviour.healthy_after_s is not None:
            healthy_at = after(now, behaviour.healthy_after_s)
            container.due.append((healthy_at, Health.HEALTHY.value, 0))
        if behaviour.unhealthy_after_s is not None:
            unhealthy_at = after(now, behaviour.unhealthy_after_s)
            container.due.append((unhealthy_at, Health.UNHEALTHY.value, 0))
        if behaviour.exit_after_s is not None:
            exit_at = after(now, behaviour.exit_after_s)
            container.due.append((exit_at, DIE, behaviour.exit_code))
        self._emit(container, "start")

    def end(self, container: FakeContainer, exit_code: int) -> None:
        """End it because somebody stopped it; harmless when it has ended."""
        if container.state is ContainerState.RUNNING:
            self._exit(container, exit_code)

    def remove(self, container: FakeContainer) -> None:
        """Remove it, ending it first."""
        self.end(container, KILLED_EXIT_CODE)
        if self.containers.pop(container.container_id, None) is not None:
            self._emit(container, "destroy")

    def advance(self) -> None:
        """Let everything happen that is due by now, in the order of its instants."""
        now = self.clock.instant()
        while True:
            due = [
                (instant, container.container_id, what, exit_code)
                for container in self.containers.values()
                if container.state is ContainerState.RUNNING
                for instant, what, exit_code in container.due
                if instant <= now
            ]
            if not due:
                return
            instant, container_id, what, exit_code = min(due)
            self._happen(self.containers[container_id], instant, what, exit_code)

    def next_due(self) -> Instant | None:
        """Return when something will next happen by itself."""
        return min(
            (
                instant
                for container in self.containers.values()
                if container.state is ContainerState.RUNNING
                for instant, _, _ in container.due
            ),
            default=None,
        )

    def subscribe(self, node_id: NodeId) -> Subscriber:
        """Return a queue of the events of `node_id`'s containers."""
        queue: Subscriber = asyncio.Queue()
        self._subscribers.append((node_id, queue))
        return queue

    def unsubscribe(self, queue: Subscriber) -> None:
        """Send nothing more to `queue`."""
        self._subscribers = [entry for entry in self._subscribers if entry[1] is not queue]

    def _happen(self, container: FakeContainer, at: Instant, what: str, exit_code: int) -> None:
        container.due.remove((at, what, exit_code))
        if what == DIE:
            container.oom_killed = container.behaviour.oom_killed
            self._exit(container, exit_code, at=at)
        else:
            container.health = Health(what)
            self._emit(container, f"health_status: {what}")

    def _exit(self, container: FakeContainer, exit_code: int, at: Instant | None = None) -> None:
        late_s = 0.0 if at is None else self.clock.instant() - at
        container.state = ContainerState.EXITED
        container.exit_code = exit_code
        container.finished_at = self.clock.timestamp() - late_s
        container.due = []
        self._emit(container, "die")

    def _engine_gone(self) -> None:
        self.is_engine_up = False
        self.generation += 1
        for _, queue in self._subscribers:
            queue.put_nowait(None)
        self._subscribers.clear()

    def _emit(self, container: FakeContainer, action: str) -> None:
        if self.is_engine_up:
            task = container.task
            for node_id, queue in self._subscribers:
                if node_id == task.node_id:
                    event = ContainerChanged(task.task_id, container.container_id, action)
                    queue.put_nowait(event)


def _plain(image: str) -> str:
    return image.partition("@")[0]
