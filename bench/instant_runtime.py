"""A container runtime that does at once whatever it is asked: for agents by the hundred.

It keeps the states that the agent expects to see, nothing else: what a benchmark with it measures
is the scheduler, the wire and the agent, never an Engine.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from berth.model.ids import NodeId, TaskId
from berth.model.node import NodeDescription
from berth.model.resources import NodeResources
from berth.model.service import Platform
from nodeagent.runtime.port import (
    ContainerChanged,
    ContainerLogLine,
    ContainerState,
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

    def __init__(self, node: NodeId, start_s: float = 0.0) -> None:
        self._node = node
        self._start_s = start_s
        self._containers: dict[str, SeenContainer] = {}
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
        return self._containers.get(f"c-{task_id}")

    async def pull(
        self, task: RuntimeTask, on_progress: Callable[[PullProgress], None]
    ) -> PulledImage:
        image = task.task.container.image
        digest = image.partition("@")[2]
        return PulledImage(image, digest, "sha256:0", "linux/amd64")

    async def create(self, task: RuntimeTask, image: PulledImage) -> str:
        container_id = f"c-{task.task_id}"
        self._containers[container_id] = SeenContainer(
            container_id, task.task_id, ContainerState.CREATED, image_digest=image.digest
        )
        return container_id

    async def start(self, container_id: str) -> None:
        if self._start_s:
            await asyncio.sleep(self._start_s)
        self._change(container_id, ContainerState.RUNNING)

    async def stop(self, container_id: str, grace_s: float) -> None:
        if container_id in self._containers:
            self._change(container_id, ContainerState.EXITED)

    async def remove(self, container_id: str) -> None:
        self._containers.pop(container_id, None)

    def _change(self, container_id: str, state: ContainerState) -> None:
        seen = self._containers[container_id]
        code = 0 if state is ContainerState.EXITED else None
        self._containers[container_id] = replace(seen, state=state, exit_code=code)

    async def events(self) -> AsyncIterator[ContainerChanged | EventGap]:
        while True:
            yield await self._events.get()

    async def logs(self, container_id: str, options: LogOptions) -> AsyncIterator[ContainerLogLine]:
        return
        yield

    async def disk_use(self) -> DiskUse:
        return DiskUse(100 * GIB, 90 * GIB)

    async def remove_unused_images(self, older_than_s: float) -> int:
        return 0

    async def aclose(self) -> None:
        self._containers.clear()
