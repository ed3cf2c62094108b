"""What can happen to an agent, and what its core can ask for: one frozen value each.

Duty: the vocabulary between the core and its shell. Events are past tense, effects imperative. The
result of each effect comes back as an event with the same `call_id`, so that a late answer to a
question nobody asks any more changes nothing.
Not here: the protobuf messages (nodeagent.link.decode turns them into these).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from berth.model.cluster import ClusterSettings
from berth.model.files import FileKey, FilePayload
from berth.model.hot_value import hot_value
from berth.model.ids import ServiceId, TaskId
from berth.model.network import Network
from berth.model.registry_auth import RegistryAuth
from berth.model.service import EndpointSpec, TaskSpec
from berth.model.task import TaskState
from nodeagent.core.call_results import CallResult
from nodeagent.core.departure import DepartureBegun, DepartureNoted
from nodeagent.runtime.port import PulledImage, RuntimeTask, SeenContainer


class Call(StrEnum):
    """A call to the container runtime on behalf of one task."""

    PULL = "pull"
    CREATE = "create"
    START = "start"
    STOP = "stop"
    REMOVE = "remove"
    INSPECT = "inspect"


# --- What a scheduler says -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GrantedResource:
    """Units of a generic resource given to a task: names, or one count as text."""

    kind: str
    units: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskTemplate:
    """What the tasks of a service's version share; mirrors the message of the same name."""

    service_id: ServiceId
    service_name: str = ""
    version: int = 0
    task: TaskSpec = field(default_factory=TaskSpec)
    endpoint: EndpointSpec = field(default_factory=EndpointSpec)
    service_labels: Mapping[str, str] = field(default_factory=dict)
    registry_auth: RegistryAuth | None = field(default=None, repr=False)
    is_global: bool = False
    networks: tuple[Network, ...] = ()

    @property
    def key(self) -> tuple[ServiceId, int]:
        """What tasks refer to it by."""
        return self.service_id, self.version


@hot_value
class TaskAssignment:
    """A task as this node is told of it; mirrors the message of the same name."""

    task_id: TaskId
    service_id: ServiceId
    slot: int = 0
    template_version: int = 0
    desired: TaskState = TaskState.RUNNING
    attempt: int = 0
    granted: tuple[GrantedResource, ...] = ()

    @property
    def template_key(self) -> tuple[ServiceId, int]:
        """The template that it refers to."""
        return self.service_id, self.template_version


@dataclass(frozen=True, slots=True)
class Welcomed:
    """A leader accepted this node."""

    session_id: str
    cluster_id: str
    settings: ClusterSettings
    schedulers: tuple[str, ...] = ()
    node_name: str = ""
    node_labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Assigned:
    """Work was assigned: the whole truth when `is_complete`, else changes to it."""

    is_complete: bool
    sequence: int
    templates: tuple[TaskTemplate, ...] = ()
    tasks: tuple[TaskAssignment, ...] = ()
    forgotten: tuple[TaskId, ...] = ()
    purged: tuple[TaskId, ...] = ()


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """The cluster's settings changed."""

    settings: ClusterSettings


@dataclass(frozen=True, slots=True)
class LogsRequested:
    """Somebody wants the logs of tasks on this node."""

    request_id: str
    task_ids: tuple[TaskId, ...] = ()
    follow: bool = False
    tail: int = -1
    since: float = 0.0
    stdout: bool = True
    stderr: bool = True
    details: bool = False
    cancel: bool = False


@dataclass(frozen=True, slots=True)
class FilesCame:
    """Configs and secrets were sent, or are needed no more."""

    payloads: tuple[FilePayload, ...] = ()
    withdrawn: tuple[FileKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Disowned:
    """This machine is a twin: the node of this ID is at work elsewhere."""

    reason: str


Said: TypeAlias = (
    Welcomed | Assigned | SettingsChanged | LogsRequested | FilesCame | DepartureNoted | Disowned
)

# --- Events --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Restored:
    """The agent started and has seen this node's containers.

    Known of before: a leader was heard `silent_for_s` ago; tasks `with_files` have theirs here.
    """

    containers: tuple[SeenContainer, ...]
    silent_for_s: float = 0.0
    node_platform: str = ""
    with_files: frozenset[TaskId] = frozenset()


@dataclass(frozen=True, slots=True)
class SchedulerSpoke:
    """A message came down the session."""

    epoch: int
    said: Said


@dataclass(frozen=True, slots=True)
class LinkLost:
    """The session ended; the link may have been dead for `silent_for_s` before that was noticed."""

    silent_for_s: float


@dataclass(frozen=True, slots=True)
class ContainerStirred:
    """The runtime says that a task's container stirred; `is_start`: somebody started it."""

    task_id: TaskId
    is_start: bool = False


@dataclass(frozen=True, slots=True)
class EventsMissed:
    """The runtime's events have a gap: everything must be looked at again."""

    reason: str


@dataclass(frozen=True, slots=True)
class ContainersListed:
    """All containers were listed; `call_id` tells what is newer than the list."""

    call_id: int
    containers: tuple[SeenContainer, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed: something is due."""


Event: TypeAlias = (
    Restored
    | SchedulerSpoke
    | LinkLost
    | CallResult
    | ContainerStirred
    | EventsMissed
    | ContainersListed
    | Tick
    | DepartureBegun
)

# --- Effects -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PullImage:
    """Make the task's image present."""

    task_id: TaskId
    call_id: int
    task: RuntimeTask


@dataclass(frozen=True, slots=True)
class CancelCall:
    """Give up a pull that is under way; no event follows."""

    task_id: TaskId
    call_id: int


@hot_value
class CreateContainer:
    """Create the task's container."""

    task_id: TaskId
    call_id: int
    task: RuntimeTask
    image: PulledImage


@hot_value
class StartContainer:
    """Start it."""

    task_id: TaskId
    call_id: int
    container_id: str


@dataclass(frozen=True, slots=True)
class StopContainer:
    """Stop it, and kill it after the grace."""

    task_id: TaskId
    call_id: int
    container_id: str
    grace_s: float


@dataclass(frozen=True, slots=True)
class RemoveContainer:
    """Remove it."""

    task_id: TaskId
    call_id: int
    container_id: str


@dataclass(frozen=True, slots=True)
class InspectContainer:
    """Look at it."""

    task_id: TaskId
    call_id: int


@dataclass(frozen=True, slots=True)
class ListContainers:
    """List all of this node's containers."""

    call_id: int


@dataclass(frozen=True, slots=True)
class ReportTasks:
    """Tell the leader the tasks' newest statuses."""

    task_ids: tuple[TaskId, ...]


@dataclass(frozen=True, slots=True)
class SaveJournal:
    """Write the journal: at once, or with what comes in the next moments."""

    is_urgent: bool


@dataclass(frozen=True, slots=True)
class DropSession:
    """End the session: what came down it must not be obeyed. `reason` is from a closed set."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ServeLogs:
    """Answer a request for logs, or end the answer when it says so."""

    request: LogsRequested


@dataclass(frozen=True, slots=True)
class PurgeContainers:
    """Remove what is left of tasks that ended long ago."""

    task_ids: tuple[TaskId, ...]


CallEffect: TypeAlias = (
    PullImage
    | CreateContainer
    | StartContainer
    | StopContainer
    | RemoveContainer
    | InspectContainer
)
Effect: TypeAlias = (
    CallEffect
    | CancelCall
    | ListContainers
    | ReportTasks
    | SaveJournal
    | DropSession
    | ServeLogs
    | PurgeContainers
)
