"""How a call to the container runtime ended, or gets on: one frozen value each.

Duty: the events that answer the effects of nodeagent.core.messages, by their `call_id`.
Not here: what they mean for a task (nodeagent.core.task_machine).
"""

from dataclasses import dataclass
from typing import TypeAlias

from berth.errors import RetryRule
from berth.model.hot_value import hot_value
from berth.model.ids import TaskId
from nodeagent.runtime.port import PulledImage, SeenContainer


@hot_value
class ImagePulled:
    """A pull ended well."""

    task_id: TaskId
    call_id: int
    image: PulledImage


@dataclass(frozen=True, slots=True)
class PullAdvanced:
    """A pull got further; `text` is for people."""

    task_id: TaskId
    call_id: int
    text: str


@hot_value
class ContainerCreated:
    """A task's container exists; `is_new`: it was made just now and has never run."""

    task_id: TaskId
    call_id: int
    container_id: str
    is_new: bool = False


@hot_value
class CallEnded:
    """A start or remove ended well."""

    task_id: TaskId
    call_id: int


@hot_value
class ContainerStopped:
    """A stop ended well; without `was_told` the container had ended by itself before."""

    task_id: TaskId
    call_id: int
    was_told: bool


@hot_value
class ContainerSeen:
    """A task's container was looked at, perhaps right after its start; None: there is none."""

    task_id: TaskId
    call_id: int
    seen: SeenContainer | None


@dataclass(frozen=True, slots=True)
class CallFailed:
    """A call for a task failed; without `was_sent` the runtime surely knows nothing of it."""

    task_id: TaskId
    call_id: int
    message: str
    retry: RetryRule
    was_sent: bool = True


CallResult: TypeAlias = (
    ImagePulled
    | PullAdvanced
    | ContainerCreated
    | CallEnded
    | ContainerStopped
    | ContainerSeen
    | CallFailed
)
