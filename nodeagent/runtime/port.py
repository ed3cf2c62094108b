"""What the agent needs of a container runtime: the port, and the values that cross it.

`docker_engine.py` is the real form; tests/fakes has a model of it. tests/contract holds the two to
the same suite. Every call may raise `RuntimeCallError`; `retry` says whether the same call may be
repeated. A call that is repeated must be harmless: names are derived from task IDs.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from berth.errors import RetryRule, UpstreamError
from berth.model.files import FilePayload
from berth.model.hot_value import hot_value
from berth.model.ids import NodeId, ServiceId, TaskId
from berth.model.network import Network
from berth.model.node import NodeDescription
from berth.model.service import EndpointSpec, TaskSpec


@dataclass(frozen=True, slots=True)
class RegistryCredentials:
    """For one pull. Never shown: the repr is empty on purpose."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)
    server_address: str = ""


@hot_value
class RuntimeTask:
    """Everything that a runtime must know to make one task's container."""

    task_id: TaskId
    service_id: ServiceId
    service_name: str
    service_labels: Mapping[str, str]
    slot: int
    is_global: bool
    attempt: int
    node_id: NodeId
    node_name: str
    cluster_id: str
    epoch: int
    template_version: int
    task: TaskSpec
    endpoint: EndpointSpec
    granted: tuple[tuple[str, tuple[str, ...]], ...] = ()
    node_platform: str = ""  # "linux/amd64", for templates
    credentials: RegistryCredentials | None = None
    files: tuple[FilePayload, ...] = ()  # Configs and secrets; only where a container is made.
    networks: tuple[Network, ...] = ()  # Those of the cluster that the task asks for.


class ContainerState(StrEnum):
    """A container's state as Docker names it."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


class Health(StrEnum):
    """The health check's verdict; NONE when there is no check."""

    NONE = "none"
    STARTING = "starting"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@hot_value
class SeenContainer:
    """One of this node's containers as the runtime sees it."""

    container_id: str
    task_id: TaskId
    state: ContainerState
    health: Health = Health.NONE
    exit_code: int | None = None
    error: str = ""
    oom_killed: bool = False
    pid: int = 0
    image_digest: str = ""  # "sha256:…" of the repo digest it was made from, when known
    image_id: str = ""
    platform: str = ""
    started_at: float = 0.0  # wall clock of the Engine's machine, which is ours
    finished_at: float = 0.0
    ports: tuple[tuple[str, int, int], ...] = ()
    addresses: tuple[tuple[str, str], ...] = ()  # (network's name, address with prefix)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PulledImage:
    """What a pull ended with; `digest` is the repo digest, verified against what was asked."""

    reference: str
    digest: str
    image_id: str
    platform: str

    @property
    def is_pinned(self) -> bool:
        """Whether the reference names exactly this image, for ever."""
        return "@" in self.reference


@hot_value
class CreatedContainer:
    """A task's container; `is_new`: it was made just now, and nobody has started it."""

    container_id: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a pull is; totals grow while layers are discovered."""

    layers_done: int
    layers_total: int
    bytes_done: int
    bytes_total: int


@dataclass(frozen=True, slots=True)
class ContainerChanged:
    """Something happened to the container of `task_id`: look at it again."""

    task_id: TaskId
    container_id: str
    action: str


@dataclass(frozen=True, slots=True)
class EventGap:
    """Events may have been missed: list everything again."""

    reason: str


@dataclass(frozen=True, slots=True)
class EngineAway:
    """The Engine does not answer; an EventGap follows once it does."""

    reason: str


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Which lines of a container's output."""

    follow: bool = False
    tail: int = -1  # -1 = all
    since: float = 0.0  # Unix seconds; 0 = from the start
    stdout: bool = True
    stderr: bool = True
    details: bool = False  # Fill ContainerLogLine.attributes.


@dataclass(frozen=True, slots=True)
class ContainerLogLine:
    """One line, with the Engine's own time stamp."""

    is_stderr: bool
    time_ns: int
    data: bytes
    attributes: str = ""  # What the log driver adds: "k=v,k=v", each part escaped as in a URL.


@dataclass(frozen=True, slots=True)
class DiskUse:
    """Space where the runtime keeps images and containers."""

    total_bytes: int
    free_bytes: int


class RuntimeCallError(UpstreamError):
    """The runtime refused or failed a call.

    `retry` is NEVER for what will fail again unchanged (no such image, bad mount, port taken by
    another program) and LATER for what may pass (the Engine is restarting, a registry hiccup).
    `was_sent` is False where the runtime surely knows nothing of the call.
    """

    def __init__(self, message: str, *, retry: RetryRule, was_sent: bool = True) -> None:
        super().__init__(message)
        self.retry = retry
        self.was_sent = was_sent


class ContainerRuntime(Protocol):
    """A node's container runtime."""

    async def describe(self) -> NodeDescription:
        """Return the facts of this machine and its runtime."""
        ...

    async def list_containers(self) -> list[SeenContainer]:
        """Return all of this node's containers, running or not (by the label `berth.node`)."""
        ...

    async def inspect_task(self, task_id: TaskId) -> SeenContainer | None:
        """Return the container of a task, or None where there is none."""
        ...

    async def pull(
        self, task: RuntimeTask, on_progress: Callable[[PullProgress], None]
    ) -> PulledImage:
        """Make the task's image present. An image pinned by digest and present is not pulled.

        Raises:
            RuntimeCallError: not found, denied, registry unreachable, or not the digest asked for.
        """
        ...

    async def create(self, task: RuntimeTask, image: PulledImage) -> CreatedContainer:
        """Create the task's container, or adopt the one that is there.

        An image that was removed since it was pulled is pulled again.
        """
        ...

    async def start(self, container_id: str) -> SeenContainer | None:
        """Start it; harmless when it runs already.

        Returns:
            What it is like right after that; None when it could not be looked at.
        """
        ...

    async def stop(self, container_id: str, grace_s: float) -> bool:
        """Stop it within `grace_s` seconds, then kill it; harmless when it has stopped.

        Returns:
            Whether it was told to stop; False where it had ended by itself before that.
        """
        ...

    async def remove(self, container_id: str) -> None:
        """Remove it with its anonymous volumes; harmless when it is gone."""
        ...

    def events(self) -> AsyncIterator[ContainerChanged | EventGap | EngineAway]:
        """Yield what happens to this node's containers, for ever; reconnects by itself."""
        ...

    def logs(self, container_id: str, options: LogOptions) -> AsyncIterator[ContainerLogLine]:
        """Yield lines of output; with `follow`, until the container ends or the caller stops."""
        ...

    async def tasks_with_files(self) -> frozenset[TaskId]:
        """Return the tasks whose configs and secrets are on this node."""
        ...

    async def discard_files(self, is_needed: Callable[[TaskId], bool]) -> None:
        """Remove the configs and secrets of all tasks that need theirs no more."""
        ...

    async def disk_use(self) -> DiskUse:
        """Return the space where images live."""
        ...

    async def remove_unused_images(self, older_than_s: float) -> int:
        """Remove images that Berth pulled and no container uses; return the bytes freed."""
        ...

    async def remove_unused_networks(self, cluster_id: str) -> int:
        """Remove the cluster's bridges that no container uses; return how many there were."""
        ...

    async def aclose(self) -> None:
        """Release connections and threads; containers are left alone."""
        ...
