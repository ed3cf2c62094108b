"""Ground for the contract tests of the container runtime: runtimes, and tasks run to their end."""

import asyncio
import contextlib
import io
import tarfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from berth.clock import SystemClock
from berth.entropy import SystemEntropy
from berth.errors import RetryRule
from berth.model.ids import NodeId, TaskId
from nodeagent.core.backoff import engine_retry_s
from nodeagent.runtime.docker_engine import DockerEngine
from nodeagent.runtime.engine_options import EngineOptions
from nodeagent.runtime.observer import CallOutcome, PullOutcome
from nodeagent.runtime.port import (
    ContainerLogLine,
    ContainerRuntime,
    ContainerState,
    LogOptions,
    PulledImage,
    RuntimeCallError,
    RuntimeTask,
    SeenContainer,
)
from nodeagent.runtime.pulled_images import PulledImages
from tests.fakes.runtime_tasks import a_runtime_task
from tests.hosts import Engine

WAIT_S = 60.0


@dataclass
class Observed:
    """An observer that keeps what it was told."""

    calls: list[tuple[str, CallOutcome]] = field(default_factory=list)
    pulls: list[tuple[int, PullOutcome]] = field(default_factory=list)

    def call(self, name: str, seconds: float, outcome: CallOutcome) -> None:
        assert seconds >= 0
        self.calls.append((name, outcome))

    def pull(self, seconds: float, size_bytes: int, outcome: PullOutcome) -> None:
        assert seconds >= 0
        self.pulls.append((size_bytes, outcome))


@dataclass
class Ground:
    """A runtime on a real Engine, a node of its own, and an image with a shell."""

    engine: Engine
    runtime: DockerEngine
    node_id: NodeId
    image: str
    observed: Observed

    def task(self, *args: str, slot: int = 1, **fields: Any) -> RuntimeTask:
        """Return a task of this node that runs `args`."""
        image = fields.pop("image", self.image)
        # One Engine serves all tests: tasks of two of them must not share an ID.
        own_id = TaskId(f"{self.node_id[:20]}{slot:05}")
        of_task = {"task_id": own_id, **fields.pop("of_task", {})}
        return a_runtime_task(
            image, slot=slot, node_id=self.node_id, args=args, of_task=of_task, **fields
        )

    async def start(self, task: RuntimeTask) -> str:
        """Pull, create, start; return the container's ID."""
        return await start(self.runtime, task)

    async def run(self, *args: str, **fields: Any) -> tuple[list[str], SeenContainer]:
        """Run `args` to their end; return the output's lines and what is left to see."""
        task = self.task(*args, **fields)
        container_id = await self.start(task)
        seen = await wait_until(self.runtime, task, lambda seen: seen.exit_code is not None)
        lines = [line.data.decode() async for line in self.runtime.logs(container_id, LogOptions())]
        await self.runtime.remove(container_id)
        return lines, seen

    async def touch(self, container_id: str, path: str) -> None:
        """Make an empty file in a container that waits for it; no process of the container does."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.addfile(tarfile.TarInfo(path.lstrip("/")))

        def put() -> None:
            with contextlib.closing(self.engine.client()) as client:
                client.api.put_archive(container_id, "/", buffer.getvalue())

        await asyncio.to_thread(put)


@contextlib.asynccontextmanager
async def ground(
    engine: Engine,
    image: str,
    *,
    pulled: PulledImages | None = None,
    options: EngineOptions | None = None,
) -> AsyncIterator[Ground]:
    """Make a runtime for a new node; its containers are removed at the end."""
    node_id = NodeId(SystemEntropy().new_id())
    observed = Observed()
    runtime = DockerEngine(
        engine.url,
        node_id=node_id,
        node_name="host-7",
        address="192.0.2.7",
        clock=SystemClock(),
        observer=observed,
        pulled=pulled,
        options=options,
    )
    try:
        yield Ground(engine, runtime, node_id, image, observed)
    finally:
        with contextlib.closing(engine.client()) as client:
            labels = {"label": f"berth.node={node_id}"}
            for entry in client.api.containers(all=True, filters=labels):
                client.api.remove_container(entry["Id"], v=True, force=True)
        await runtime.aclose()


async def start(runtime: ContainerRuntime, task: RuntimeTask) -> str:
    """Pull, create and start; return the container's ID."""
    image: PulledImage = await runtime.pull(task, lambda _: None)
    container_id = (await runtime.create(task, image)).container_id
    await runtime.start(container_id)
    return container_id


async def start_as_the_core_does(runtime: ContainerRuntime, task: RuntimeTask) -> str:
    """Pull, create and start; start again what failed by something that passes."""
    image: PulledImage = await runtime.pull(task, lambda _: None)
    container_id = (await runtime.create(task, image)).container_id
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                await runtime.start(container_id)
                return container_id
            except RuntimeCallError as error:
                if error.retry is not RetryRule.LATER:
                    raise
            await asyncio.sleep(engine_retry_s(task.task_id, 1))


async def wait_until(
    runtime: ContainerRuntime, task: RuntimeTask, is_met: Callable[[SeenContainer], bool]
) -> SeenContainer:
    """Look at a task's container until `is_met`; fail after a while with what was seen last."""
    seen = None
    try:
        async with asyncio.timeout(WAIT_S):
            while True:
                seen = await runtime.inspect_task(task.task_id)
                if seen is not None and is_met(seen):
                    return seen
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"waited {WAIT_S:.0f} s in vain; last seen: {seen}") from None


async def is_running(runtime: ContainerRuntime, task: RuntimeTask) -> bool:
    """Return whether a task's container runs right now."""
    seen = await runtime.inspect_task(task.task_id)
    return seen is not None and seen.state is ContainerState.RUNNING


def texts(lines: list[ContainerLogLine]) -> list[str]:
    """Return the lines as text."""
    return [line.data.decode() for line in lines]
