"""Carry out the core's calls to the container runtime; each result comes back as an event.

Duty: effect -> port call -> event, one task per call, cancellable by its call ID.
Not here: how many at once (nodeagent.core), the calls themselves (nodeagent.runtime).
"""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeAlias

import structlog

from berth.clock import Clock
from berth.model.instant import Instant
from nodeagent.core.call_results import (
    CallEnded,
    CallFailed,
    ContainerCreated,
    ContainerSeen,
    ContainerStopped,
    ImagePulled,
    PullAdvanced,
)
from nodeagent.core.files import needs_files
from nodeagent.core.messages import (
    CallEffect,
    CreateContainer,
    Event,
    InspectContainer,
    PullImage,
    RemoveContainer,
    StartContainer,
    StopContainer,
)
from nodeagent.core.state import AgentState
from nodeagent.runtime.port import ContainerRuntime, PullProgress, RuntimeCallError

log = structlog.get_logger(__name__)

PROGRESS_PERIOD_S = 1.0
"""How often at most a pull's progress is told."""

_MB = 1_000_000


class Calls(Protocol):
    """Carries out calls; a port, because a runtime that answers at once needs no tasks."""

    def begin(self, group: asyncio.TaskGroup, effect: CallEffect) -> None:
        """Begin a call; its result is fed when it ends."""
        ...

    def cancel(self, call_id: int) -> None:
        """Give up a call; nothing is fed."""
        ...

    async def discard_files(self, state: AgentState) -> None:
        """Remove configs and secrets that no task of ours needs any more."""
        ...


CallsMaker: TypeAlias = Callable[[ContainerRuntime, Clock, Callable[[Event], None]], Calls]


class RuntimeCalls:
    """The calls under way."""

    def __init__(
        self, runtime: ContainerRuntime, clock: Clock, feed: Callable[[Event], None]
    ) -> None:
        self._runtime = runtime
        self._clock = clock
        self._feed = feed
        self._under_way: dict[int, asyncio.Task[None]] = {}

    def begin(self, group: asyncio.TaskGroup, effect: CallEffect) -> None:
        """Begin a call; its result is fed when it ends."""
        task = group.create_task(self._carry_out(effect), name=type(effect).__name__)
        self._under_way[effect.call_id] = task
        task.add_done_callback(lambda _: self._under_way.pop(effect.call_id, None))

    def cancel(self, call_id: int) -> None:
        """Give up a call; nothing is fed."""
        task = self._under_way.get(call_id)
        if task is not None:
            task.cancel()

    async def discard_files(self, state: AgentState) -> None:
        """Remove configs and secrets that no task of ours needs any more."""
        try:
            await self._runtime.discard_files(lambda task_id: needs_files(state, task_id))
        except RuntimeCallError as error:
            log.warning("files_not_discarded", why=error.message)

    async def _carry_out(self, effect: CallEffect) -> None:
        name = type(effect).__name__
        try:
            event = await self._call(effect)
        except RuntimeCallError as error:
            event = CallFailed(
                effect.task_id, effect.call_id, error.message, error.retry, error.was_sent
            )
            log.warning(
                "call_failed",
                call=name,
                task_id=effect.task_id,
                why=error.message,
                retry=error.retry.value,
            )
        else:
            level = log.debug if isinstance(effect, InspectContainer) else log.info
            level("call_ended", call=name, task_id=effect.task_id)
        self._feed(event)

    async def _call(self, effect: CallEffect) -> Event:
        task_id, call_id = effect.task_id, effect.call_id
        match effect:
            case PullImage(task=task):
                image = await self._runtime.pull(task, self._progress_of(effect))
                return ImagePulled(task_id, call_id, image)
            case CreateContainer(task=task, image=image):
                made = await self._runtime.create(task, image)
                return ContainerCreated(task_id, call_id, made.container_id, made.is_new)
            case StartContainer(container_id=container_id):
                seen = await self._runtime.start(container_id)
                if seen is not None:
                    return ContainerSeen(task_id, call_id, seen)
            case StopContainer(container_id=container_id, grace_s=grace_s):
                was_told = await self._runtime.stop(container_id, grace_s)
                return ContainerStopped(task_id, call_id, was_told)
            case RemoveContainer(container_id=container_id):
                await self._runtime.remove(container_id)
            case InspectContainer():
                return ContainerSeen(task_id, call_id, await self._runtime.inspect_task(task_id))
        return CallEnded(task_id, call_id)

    def _progress_of(self, effect: PullImage) -> Callable[[PullProgress], None]:
        """Return the callback for one pull: it tells at most once a period."""
        told_at = Instant(float("-inf"))

        def tell(progress: PullProgress) -> None:
            nonlocal told_at
            now = self._clock.instant()
            if now - told_at >= PROGRESS_PERIOD_S:
                told_at = now
                self._feed(PullAdvanced(effect.task_id, effect.call_id, progress_text(progress)))

        return tell


def progress_text(progress: PullProgress) -> str:
    """Return how far a pull is: ``pulling 3/5 layers 12.3MB/40MB``."""
    text = f"pulling {progress.layers_done}/{progress.layers_total} layers"
    if progress.bytes_total:
        done, total = progress.bytes_done / _MB, progress.bytes_total / _MB
        text += f" {done:.1f}MB/{total:.1f}MB"
    return text
