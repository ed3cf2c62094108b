"""A container runtime that does at once whatever it is asked: for agents by the hundred.

It keeps the states that the agent expects to see, nothing else: what a benchmark with it measures
is the scheduler, the wire and the agent, never an Engine. `InstantCalls` is the agent's `Calls`
port for it: nothing is awaited, so that no asyncio task is made for a call that waits for nobody.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from berth.clock import Clock
from berth.model.ids import NodeId, TaskId
from berth.model.node import NodeDescription
from berth.model.resources import NodeResources
from berth.model.service import Platform
from nodeagent.core.call_results import (
    CallEnded,
    ContainerCreated,
    ContainerSeen,
    ContainerStopped,
    ImagePulled,
)
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
from nodeagent.runtime.port import (
    ContainerChanged,
    ContainerLogLine,
    ContainerRuntime,
    ContainerState,
    CreatedContainer,
    DiskUse,
    EventGap,
    LogOptions,
    PulledImage,
    PullProgress,
    RuntimeTask,
    SeenContainer,
)

GIB = 1024**3


class InstantRuntime:
    """One node's runtime; its containers exist only here."""

    def __init__(self, node: NodeId, start_s: float = 0.0, labels: dict[str, str] | None = None):
        self._node = node
        self._labels = labels or {}
        self.start_s = start_s
        self._containers: dict[str, SeenContainer] = {}
        self._images: dict[str, PulledImage] = {}
        self._events: asyncio.Queue[ContainerChanged | EventGap] = asyncio.Queue()

    async def describe(self) -> NodeDescription:
        return NodeDescription(
            hostname=self._node,
            address="127.0.0.1",
            platform=Platform("linux", "amd64"),
            resources=NodeResources(nano_cpus=64 * 10**9, memory_bytes=256 * GIB),
            engine_version="instant",
        )

    async def list_containers(self) -> list[SeenContainer]:
        return list(self._containers.values())

    async def inspect_task(self, task_id: TaskId) -> SeenContainer | None:
        return self.see(task_id)

    async def pull(
        self, task: RuntimeTask, on_progress: Callable[[PullProgress], None]
    ) -> PulledImage:
        return self.image(task)

    async def create(self, task: RuntimeTask, image: PulledImage) -> CreatedContainer:
        return CreatedContainer(self.make(task.task_id, image), is_new=True)

    async def start(self, container_id: str) -> SeenContainer | None:
        if self.start_s:
            await asyncio.sleep(self.start_s)
        return self.change(container_id, ContainerState.RUNNING)

    async def stop(self, container_id: str, grace_s: float) -> bool:
        self.change(container_id, ContainerState.EXITED)
        return True

    async def remove(self, container_id: str) -> None:
        self.drop(container_id)

    # The same without waiting, for `InstantCalls`.

    def image(self, task: RuntimeTask) -> PulledImage:
        reference = task.task.container.image
        image = self._images.get(reference)
        if image is None:
            digest = reference.partition("@")[2]
            image = PulledImage(reference, digest, "sha256:0", "linux/amd64")
            self._images[reference] = image
        return image

    def make(self, task_id: TaskId, image: PulledImage) -> str:
        container_id = f"c-{task_id}"
        self._containers[container_id] = SeenContainer(
            container_id, task_id, ContainerState.CREATED, image_digest=image.digest
        )
        return container_id

    def see(self, task_id: TaskId) -> SeenContainer | None:
        return self._containers.get(f"c-{task_id}")

    def change(self, container_id: str, state: ContainerState) -> SeenContainer | None:
        seen = self._containers.get(container_id)
        if seen is not None:
            code = 0 if state is ContainerState.EXITED else None
            seen = self._containers[container_id] = SeenContainer(
                container_id, seen.task_id, state, image_digest=seen.image_digest, exit_code=code
            )
        return seen

    def drop(self, container_id: str) -> None:
        self._containers.pop(container_id, None)

    async def events(self) -> AsyncIterator[ContainerChanged | EventGap]:
        while True:
            yield await self._events.get()

    async def logs(self, container_id: str, options: LogOptions) -> AsyncIterator[ContainerLogLine]:
        return
        yield

    async def tasks_with_files(self) -> frozenset[TaskId]:
        return frozenset()

    async def discard_files(self, is_needed: Callable[[TaskId], bool]) -> None:
        return None

    async def disk_use(self) -> DiskUse:
        return DiskUse(100 * GIB, 90 * GIB)

    async def remove_unused_images(self, older_than_s: float) -> int:
        return 0

    async def remove_unused_networks(self, cluster_id: str) -> int:
        return 0

    async def aclose(self) -> None:
        self._containers.clear()


class InstantCalls:
    """The agent's calls to an `InstantRuntime`: the agent takes in what they end with at once."""

    def __init__(
        self, runtime: ContainerRuntime, clock: Clock, feed: Callable[[Event], None]
    ) -> None:
        assert isinstance(runtime, InstantRuntime)
        self._runtime = runtime
        self._feed = feed

    def begin(self, group: asyncio.TaskGroup, effect: CallEffect) -> None:
        if isinstance(effect, StartContainer) and self._runtime.start_s:
            asyncio.get_running_loop().call_later(self._runtime.start_s, self._answer, effect)
        else:
            self._answer(effect)

    def cancel(self, call_id: int) -> None:
        """Nothing can be given up: all has been answered."""

    async def discard_files(self, state: AgentState) -> None:
        return None

    def _answer(self, effect: CallEffect) -> None:
        self._feed(self._event(effect))

    def _event(self, effect: CallEffect) -> Event:
        task_id, call_id, runtime = effect.task_id, effect.call_id, self._runtime
        match effect:
            case CreateContainer():
                made = runtime.make(task_id, effect.image)
                return ContainerCreated(task_id, call_id, made, is_new=True)
            case StartContainer():
                seen = runtime.change(effect.container_id, ContainerState.RUNNING)
                return ContainerSeen(task_id, call_id, seen)
            case PullImage(task=task):
                return ImagePulled(task_id, call_id, runtime.image(task))
            case InspectContainer():
                return ContainerSeen(task_id, call_id, runtime.see(task_id))
            case StopContainer(container_id=container_id):
                runtime.change(container_id, ContainerState.EXITED)
                return ContainerStopped(task_id, call_id, was_told=True)
            case RemoveContainer(container_id=container_id):
                runtime.drop(container_id)
        return CallEnded(task_id, call_id)
