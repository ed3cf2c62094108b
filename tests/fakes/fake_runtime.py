"""A `ContainerRuntime` on a `FakeEngineHost`: what an agent sees of it.

Duty: the port's calls, each with its time, each failing as the real one does while the Engine is
away.
Not here: what happens inside the machine (fake_engine_host).
Invariants (tests/contract/test_docker_runtime.py runs the same suite here and on a real Engine): a
call changes the machine in the middle of its time, so that an agent that dies in it may or may not
have had its effect; nothing starts a task but `start`.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable

from berth.errors import RetryRule
from berth.model.ids import NodeId, TaskId
from berth.model.instant import after
from berth.model.node import NodeDescription
from berth.model.resources import NodeResources
from berth.model.service import Platform
from nodeagent.runtime.port import (
    ContainerChanged,
    ContainerLogLine,
    ContainerState,
    CreatedContainer,
    DiskUse,
    EngineAway,
    EventGap,
    LogOptions,
    PulledImage,
    PullProgress,
    RuntimeCallError,
    RuntimeTask,
    SeenContainer,
)
from nodeagent.runtime.translate import template_values
from nodeagent.runtime.translate_files import files_of
from tests.fakes.fake_engine_host import (
    DIE,
    KILLED_EXIT_CODE,
    TERMINATED_EXIT_CODE,
    FakeContainer,
    FakeEngineHost,
    digest_of,
)

CALL_TIME_S = 0.005
RECONNECT_DELAY_S = 0.1
RECONNECT_DELAY_S_MAX = 5.0
IMAGE_BYTES = 1_000_000


class FakeRuntime:
    """One agent's connection to a machine. A crash of the agent is the end of this object only."""

    def __init__(
        self,
        host: FakeEngineHost,
        *,
        node_id: NodeId,
        node_name: str = "host-7",
        address: str = "192.0.2.7",
        resources: NodeResources | None = None,
    ) -> None:
        self._host = host
        self._clock = host.clock
        self._node_id = node_id
        self.description = NodeDescription(
            hostname=node_name,
            address=address,
            platform=Platform(os="linux", architecture="amd64"),
            resources=resources or NodeResources(nano_cpus=4 * 10**9, memory_bytes=8 * 2**30),
            engine_version="fake",
            volume_plugins=("local",),
            network_plugins=("bridge", "host", "null"),
            log_plugins=("json-file", "local"),
        )

    async def describe(self) -> NodeDescription:
        """Return the facts given at the start, or what a test has put there since."""
        await self._spend(CALL_TIME_S, "describe")
        return self.description

    async def list_containers(self) -> list[SeenContainer]:
        """Return this node's containers."""
        await self._spend(CALL_TIME_S, "list containers")
        ours = [found.seen() for found in self._ours()]
        return sorted(ours, key=lambda seen: (seen.task_id, seen.container_id))

    async def inspect_task(self, task_id: TaskId) -> SeenContainer | None:
        """Return the container of a task, if there is one."""
        await self._spend(CALL_TIME_S, "inspect")
        found = self._of_task(task_id)
        return found.seen() if found else None

    async def pull(
        self, task: RuntimeTask, on_progress: Callable[[PullProgress], None]
    ) -> PulledImage:
        """Make the image present, as it was programmed."""
        image = task.task.container.image
        behaviour = self._host.behaviour_of(image)
        name, _, digest = image.partition("@")
        digest = digest or behaviour.digest or digest_of(f"manifest {name}")
        key = f"{name}@{digest}"
        is_pinned = "@" in image
        if is_pinned and key in self._host.images:
            await self._spend(CALL_TIME_S, f"pull {image}")
        else:
            on_progress(PullProgress(0, 1, 0, IMAGE_BYTES))
            await self._spend(behaviour.pull_time_s, f"pull {image}")
            if self._host.pull_fails(image):
                if is_pinned or key not in self._host.images:
                    raise RuntimeCallError(
                        f"cannot pull {image}: {behaviour.pull_error}", retry=behaviour.pull_retry
                    )
            else:
                self._host.images.add(key)
                self._host.pulls.append(image)
                on_progress(PullProgress(1, 1, IMAGE_BYTES, IMAGE_BYTES))
        return PulledImage(image, digest, digest_of(f"image {digest}"), "linux/amd64")

    async def create(self, task: RuntimeTask, image: PulledImage) -> CreatedContainer:
        """Create the task's container, or adopt the one that is there."""
        behaviour = self._host.behaviour_of(task.task.container.image)
        await self._spend(behaviour.create_time_s / 2, f"create {task.task_id}")
        if behaviour.create_error:
            raise RuntimeCallError(behaviour.create_error, retry=RetryRule.NEVER)
        if found := files_of(task, template_values(task)):
            self._host.files[task.task_id] = {file.target: file.content for file in found}
        there = self._of_task(task.task_id)
        container = there or self._host.create(task, image.digest)
        await self._spend(behaviour.create_time_s / 2, f"create {task.task_id}")
        return CreatedContainer(container.container_id, is_new=there is None)

    async def start(self, container_id: str) -> SeenContainer | None:
        """Start it; harmless when it runs already."""
        container = self._get(container_id)
        behaviour = container.behaviour
        await self._spend(behaviour.start_time_s / 2, f"start {container_id[:12]}")
        container = self._get(container_id)
        if container.state is not ContainerState.RUNNING:
            if container.task.files and container.task.task_id not in self._host.files:
                error = "invalid mount config for type bind: bind source path does not exist"
                raise RuntimeCallError(error, retry=RetryRule.NEVER)
            if behaviour.start_error:
                container.error = behaviour.start_error
                raise RuntimeCallError(behaviour.start_error, retry=RetryRule.NEVER)
            self._host.start(container)
        await self._spend(behaviour.start_time_s / 2, f"start {container_id[:12]}")
        found = self._host.containers.get(container_id)
        return found.seen() if found else None

    async def stop(self, container_id: str, grace_s: float) -> bool:
        """Stop it within `grace_s`, then kill it; False when it has stopped or is gone."""
        await self._spend(CALL_TIME_S, f"stop {container_id[:12]}")
        container = self._host.containers.get(container_id)
        if container is None or container.state is not ContainerState.RUNNING:
            return False
        behaviour = container.behaviour
        obeys = not behaviour.ignores_stop and behaviour.stop_time_s <= grace_s
        now = self._clock.instant()
        if obeys:
            # On the timetable: the signal was sent, so it ends even if the caller dies now.
            ended_at = after(now, behaviour.stop_time_s)
            container.due.append((ended_at, DIE, TERMINATED_EXIT_CODE))
        own_ends = [instant for instant, what, _ in container.due if what == DIE]
        left_s = max(min([*own_ends, after(now, grace_s)]) - now, 0.0)
        await self._spend(left_s, f"stop {container_id[:12]}", was_sent=True)
        self._host.end(container, KILLED_EXIT_CODE)
        return True

    async def remove(self, container_id: str) -> None:
        """Remove it; harmless when it is gone."""
        await self._spend(CALL_TIME_S, f"remove {container_id[:12]}")
        if container := self._host.containers.get(container_id):
            self._host.remove(container)

    async def events(self) -> AsyncGenerator[ContainerChanged | EventGap | EngineAway, None]:
        """Yield what happens, for ever; reconnects as the real one does."""
        reason = "connected to the Docker Engine"
        delay_s = RECONNECT_DELAY_S
        while True:
            if self._host.is_engine_up:
                delay_s = RECONNECT_DELAY_S
                queue = self._host.subscribe(self._node_id)
                try:
                    yield EventGap(reason)
                    while (event := await self._next(queue)) is not None:
                        yield event
                finally:
                    self._host.unsubscribe(queue)
                reason = "the Docker Engine ended its event stream"
            yield EngineAway(reason)
            await self._clock.sleep(delay_s)
            delay_s = min(delay_s * 2, RECONNECT_DELAY_S_MAX)

    async def logs(
        self, container_id: str, options: LogOptions
    ) -> AsyncGenerator[ContainerLogLine, None]:
        """Yield one line that names the container."""
        await self._spend(CALL_TIME_S, "logs")
        container = self._get(container_id)
        if options.stdout and options.tail != 0 and container.started_at:
            text = f"task {container.task.task_id} started".encode()
            yield ContainerLogLine(False, int(container.started_at * 1e9), text)
        while options.follow and container.state is ContainerState.RUNNING:
            await self._clock.sleep(RECONNECT_DELAY_S)
            self._host.advance()

    async def tasks_with_files(self) -> frozenset[TaskId]:
        """Return the tasks whose configs and secrets are in the machine's memory."""
        return frozenset(self._host.files)

    async def discard_files(self, is_needed: Callable[[TaskId], bool]) -> None:
        """Remove the configs and secrets of tasks that need theirs no more."""
        for task_id in [held for held in self._host.files if not is_needed(held)]:
            del self._host.files[task_id]

    async def disk_use(self) -> DiskUse:
        """Return a disk with room for a thousand images."""
        await self._spend(CALL_TIME_S, "disk use")
        total = 1000 * IMAGE_BYTES
        return DiskUse(total, total - len(self._host.images) * IMAGE_BYTES)

    async def remove_unused_images(self, older_than_s: float) -> int:
        """Remove all images that no container uses, whatever their age."""
        await self._spend(CALL_TIME_S, "remove images")
        used = {found.image_digest for found in self._host.containers.values()}
        unused = {key for key in self._host.images if key.partition("@")[2] not in used}
        self._host.images -= unused
        return len(unused) * IMAGE_BYTES

    async def remove_unused_networks(self, cluster_id: str) -> int:
        """Find none: this machine makes no bridges."""
        await self._spend(CALL_TIME_S, "remove networks")
        return 0

    async def aclose(self) -> None:
        """Nothing to release; containers are left alone."""

    def _ours(self) -> list[FakeContainer]:
        containers = self._host.containers.values()
        return [found for found in containers if found.task.node_id == self._node_id]

    def _of_task(self, task_id: TaskId) -> FakeContainer | None:
        return next((found for found in self._ours() if found.task.task_id == task_id), None)

    def _get(self, container_id: str) -> FakeContainer:
        container = self._host.containers.get(container_id)
        if container is None:
            raise RuntimeCallError(f"No such container: {container_id}", retry=RetryRule.NEVER)
        return container

    async def _spend(self, seconds: float, what: str, *, was_sent: bool = False) -> None:
        """Let a call take its time; it fails when the Engine is or goes away meanwhile."""
        generation = self._host.generation
        if self._host.is_engine_up:
            await self._clock.sleep(seconds)
        if not self._host.is_engine_up or generation != self._host.generation:
            raise RuntimeCallError(
                f"cannot {what}: the Docker Engine did not answer: connection refused; check that "
                "it runs",
                retry=RetryRule.LATER,
                was_sent=was_sent,
            )
        self._host.advance()

    async def _next(
        self, queue: asyncio.Queue[ContainerChanged | EventGap | None]
    ) -> ContainerChanged | EventGap | None:
        """Return the next event, letting the machine's timetable run while nothing comes."""
        while True:
            self._host.advance()
            due = self._host.next_due()
            async with asyncio.TaskGroup() as group:
                event = group.create_task(queue.get())
                waits: set[asyncio.Task[object]] = {event}
                if due is not None:
                    delay_s = max(due - self._clock.instant(), 0.0)
                    waits.add(group.create_task(self._clock.sleep(delay_s)))
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for wait in waits:
                    wait.cancel()
            if event.done() and not event.cancelled():
                return event.result()
