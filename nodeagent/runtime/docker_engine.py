"""The real container runtime: a Docker Engine through the `docker` package.

Duty: the `ContainerRuntime` port. Each method is one or a few calls; the parts are the neighbours:
engine_pool (threads, client), translate and seen (pure), docker_images, docker_events,
docker_streams.
Not here: what to do when (nodeagent.core), retries (nodeagent.core.backoff).
Invariants (tests/contract/test_docker_runtime.py): only containers that carry this node's label are
listed or adopted; every method is harmless when it is repeated.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

import docker.errors

from berth.clock import Clock
from berth.errors import BerthError, RetryRule
from berth.model.ids import NodeId, TaskId
from berth.model.node import NodeDescription
from nodeagent.runtime.docker_errors import call_error, is_conflict, is_not_found
from nodeagent.runtime.docker_events import container_events
from nodeagent.runtime.docker_images import DockerImages
from nodeagent.runtime.docker_networks import DockerNetworks
from nodeagent.runtime.docker_stops import DockerStops
from nodeagent.runtime.docker_streams import DockerLogs
from nodeagent.runtime.engine_options import EngineOptions
from nodeagent.runtime.engine_pool import EnginePool
from nodeagent.runtime.observer import NoObserver, RuntimeObserver
from nodeagent.runtime.port import (
    ContainerChanged,
    ContainerLogLine,
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
from nodeagent.runtime.pulled_images import MemoryPulledImages, PulledImages
from nodeagent.runtime.seen import node_description, seen_container
from nodeagent.runtime.task_files import TaskFiles
from nodeagent.runtime.translate import (
    LABEL_NODE,
    LABEL_TASK,
    CreateCall,
    template_values,
    to_create_call,
)
from nodeagent.runtime.translate_files import PlacedFile, TaskFile, files_of


class DockerEngine:
    """`ContainerRuntime` on one Docker Engine. Must be made while the event loop runs."""

    def __init__(
        self,
        url: str,
        *,
        node_id: NodeId,
        node_name: str,
        address: str,
        clock: Clock,
        observer: RuntimeObserver | None = None,
        pulled: PulledImages | None = None,
        options: EngineOptions | None = None,
        files: TaskFiles | None = None,
    ) -> None:
        """Prepare; the Engine is not called yet and need not run.

        Args:
            url: the Engine, such as ``unix:///var/run/docker.sock``.
            node_id: whose containers are ours, by the label `berth.node`.
            node_name: what the node is called.
            address: where other machines reach it.
            clock: for back-off, stop deadlines and timing.
            observer: told of every call and pull.
            pulled: remembers which images Berth pulled, for `remove_unused_images`.
            options: bounds, and what the node offers.
            files: where configs and secrets are written; without it tasks that need some fail.
        """
        self._node_id = node_id
        self._node_name = node_name
        self._address = address
        self._clock = clock
        self._options = options or EngineOptions()
        observer = observer or NoObserver()
        self._pool = EnginePool(
            url,
            clock=clock,
            observer=observer,
            short_calls=self._options.short_calls,
            kept_connections=self._options.short_calls + self._options.log_streams,
            call_timeout_s=self._options.call_timeout_s,
        )
        self._images = DockerImages(
            self._pool,
            pulled=pulled or MemoryPulledImages(),
            clock=clock,
            observer=observer,
            parallel_pulls=self._options.parallel_pulls,
        )
        self._networks = DockerNetworks(self._pool)
        self._logs = DockerLogs(self._pool, clock, self._options.log_streams)
        self._stops = DockerStops(self._pool, clock, self._inspect)
        self._ids: dict[TaskId, str] = {}
        """Containers by task, as far as they were seen: one is inspected faster than found."""
        self._files = files
        self._files_turn = asyncio.Lock()

    async def describe(self) -> NodeDescription:
        """Return the facts of this machine and its Engine; the agent adds its own version."""
        return node_description(
            await self._info(),
            node_name=self._node_name,
            address=self._address,
            resources=self._options.resources,
            generic=self._options.generic,
        )

    async def list_containers(self) -> list[SeenContainer]:
        """Return all of this node's containers, in the order of their task IDs."""
        found = await self._find([f"{LABEL_NODE}={self._node_id}"])
        self._ids.clear()  # Of what is gone nothing may have told; the looks fill it again.
        looks = await asyncio.gather(*(self._look_at(entry["Id"]) for entry in found))
        # A container may go between being listed and being looked at.
        seen = [container for container in looks if container is not None]
        return sorted(seen, key=lambda container: (container.task_id, container.container_id))

    async def inspect_task(self, task_id: TaskId) -> SeenContainer | None:
        """Return the container of a task, or None where there is none."""
        if (known := self._ids.get(task_id)) is not None:
            if (container := await self._look_at(known)) is not None:
                return container
            self._ids.pop(task_id, None)
        found = await self._find(
            [f"{LABEL_NODE}={self._node_id}", f"{LABEL_TASK}={task_id}"],
        )
        for entry in found:
            if (container := await self._look_at(entry["Id"])) is not None:
                return container
        return None

    async def pull(
        self, task: RuntimeTask, on_progress: Callable[[PullProgress], None]
    ) -> PulledImage:
        """Make the task's image present."""
        return await self._images.pull(task.task.container.image, task.credentials, on_progress)

    async def create(self, task: RuntimeTask, image: PulledImage) -> CreatedContainer:
        """Create the task's container, or adopt the one that is there."""
        traits = await self._pool.traits()
        try:
            files = files_of(task, template_values(task))
            to_create_call(task, image.reference, traits)  # Before anything is made for it.
        except BerthError as error:
            # The spec itself is at fault: repeating cannot help.
            raise RuntimeCallError(error.message, retry=RetryRule.NEVER) from error
        placed = await self._place(task.task_id, files) if files else ()
        async with self._networks.held(task) as networks:
            call = to_create_call(task, image.reference, traits, placed, networks)
            made = await self._create_or_adopt(task, call)
            self._ids[task.task_id] = made.container_id
            # One comes with the container.
            await self._networks.join(made.container_id, networks[1:])
            return made

    async def _create_or_adopt(self, task: RuntimeTask, call: CreateCall) -> CreatedContainer:
        what = f"create container {call.name}"
        try:
            try:
                return CreatedContainer(await self._create(call), is_new=True)
            except docker.errors.APIError as error:
                if is_not_found(error):  # The image was removed since it was pulled.
                    await self.pull(task, lambda _: None)
                    return CreatedContainer(await self._create(call), is_new=True)
                if is_conflict(error):
                    adopted = await self._adopt(call.name, task.task_id)
                    return CreatedContainer(adopted, is_new=False)
                raise
        except docker.errors.APIError as error:
            raise call_error(what, error, is_final=True) from error

    async def start(self, container_id: str) -> SeenContainer | None:
        """Start it; harmless when it runs already; return what it is like then."""
        await self._pool.call(
            "start_container",
            f"start container {container_id[:12]}",
            lambda client: client.start(container_id),
            is_final=True,
        )
        try:
            return await self._look_at(container_id)
        except RuntimeCallError:
            return None  # It was started: whoever asked looks again, and hears why that fails.

    async def stop(self, container_id: str, grace_s: float) -> bool:
        """Stop it within `grace_s` seconds, then kill it; False when it had ended by itself."""
        return await self._stops.stop(container_id, grace_s)

    async def remove(self, container_id: str) -> None:
        """Remove it with its anonymous volumes; harmless when it is gone."""
        what = f"remove container {container_id[:12]}"
        document = await self._inspect(container_id)
        try:
            await self._pool.call(
                "remove_container",
                what,
                lambda client: client.remove_container(container_id, v=True, force=True),
                raises_raw=True,
            )
        except docker.errors.APIError as error:
            # A conflict is another removal under way: it does what we want.
            if not is_not_found(error) and not is_conflict(error):
                raise call_error(what, error, is_final=False) from error
        if document is not None:
            await self._networks.release(document["Config"].get("Labels") or {})

    async def events(self) -> AsyncGenerator[ContainerChanged | EventGap | EngineAway, None]:
        """Yield what happens to this node's containers, for ever; reconnects by itself."""
        events = container_events(self._pool, self._node_id, self._clock)
        async with contextlib.aclosing(events):
            async for event in events:
                if isinstance(event, ContainerChanged):
                    self._stops.note(event)
                    if event.action == "destroy":
                        self._ids.pop(event.task_id, None)
                yield event

    def logs(
        self, container_id: str, options: LogOptions
    ) -> AsyncGenerator[ContainerLogLine, None]:
        """Yield lines of output; with `follow`, until the container ends or the caller stops."""
        return self._logs.lines(container_id, options)

    async def tasks_with_files(self) -> frozenset[TaskId]:
        """Return the tasks whose configs and secrets are on this node."""
        files = self._files
        return frozenset() if files is None else await self._pool.run(files.held)

    async def discard_files(self, is_needed: Callable[[TaskId], bool]) -> None:
        """Remove the configs and secrets of all tasks that need theirs no more."""
        files = self._files
        if files is None:
            return
        async with self._files_turn:  # Nothing may be written between the look and the removal.
            held = await self._pool.run(files.held)
            over = [task_id for task_id in sorted(held) if not is_needed(task_id)]
            if over:
                await self._pool.run(lambda: files.remove(over))

    async def _place(self, task_id: TaskId, wanted: tuple[TaskFile, ...]) -> tuple[PlacedFile, ...]:
        files = self._files
        if files is None:
            raise RuntimeCallError(
                "this agent has no files_dir, so it cannot deliver configs and secrets",
                retry=RetryRule.NEVER,
            )
        async with self._files_turn:
            return await self._pool.run(lambda: files.write(task_id, wanted))

    async def disk_use(self) -> DiskUse:
        """Return the space where images live; zeros where the Engine is on another machine."""
        root = (await self._info()).get("DockerRootDir") or ""
        try:
            space = await self._pool.run(lambda: os.statvfs(root))
        except OSError:
            return DiskUse(total_bytes=0, free_bytes=0)
        return DiskUse(
            total_bytes=space.f_blocks * space.f_frsize,
            free_bytes=space.f_bavail * space.f_frsize,
        )

    async def remove_unused_images(self, older_than_s: float) -> int:
        """Remove images that Berth pulled and no container uses; return the bytes freed."""
        in_use = {entry["ImageID"] for entry in await self._find([])}
        return await self._images.remove_unused(older_than_s, in_use)

    async def remove_unused_networks(self, cluster_id: str) -> int:
        """Remove the cluster's bridges that no container uses; return how many there were."""
        return await self._networks.remove_unused(cluster_id)

    async def aclose(self) -> None:
        """Release connections and threads; containers are left alone."""
        await self._pool.aclose()

    async def _info(self) -> Mapping[str, Any]:
        info: Mapping[str, Any] = await self._pool.call(
            "info", "ask the Engine for its facts", lambda client: client.info()
        )
        return info

    async def _find(self, labels: list[str]) -> list[dict[str, Any]]:
        """Return the short form of all containers that carry `labels`; of anybody's for none."""
        filters = {"label": labels} if labels else {}
        found: list[dict[str, Any]] = await self._pool.call(
            "list_containers",
            "list containers",
            lambda client: client.containers(all=True, filters=filters),
        )
        return found

    async def _look_at(self, container_id: str) -> SeenContainer | None:
        document = await self._inspect(container_id)
        if document is None:
            return None
        self._stops.note_seen(document)
        seen = seen_container(document, await self._images.facts_by_id(document["Image"]))
        self._ids[seen.task_id] = container_id
        return seen

    async def _inspect(self, name: str) -> dict[str, Any] | None:
        what = f"inspect container {name[:12]}"
        try:
            document: dict[str, Any] = await self._pool.call(
                "inspect_container",
                what,
                lambda client: client.inspect_container(name),
                raises_raw=True,
            )
        except docker.errors.APIError as error:
            if is_not_found(error):
                return None
            raise call_error(what, error, is_final=False) from error
        return document

    async def _create(self, call: CreateCall) -> str:
        """Create; what the Engine itself answers is raised as it is."""
        answer: dict[str, Any] = await self._pool.call(
            "create_container",
            f"create container {call.name}",
            lambda client: client.create_container_from_config(call.body, call.name),
            raises_raw=True,
        )
        return str(answer["Id"])

    async def _adopt(self, name: str, task_id: TaskId) -> str:
        """Return the container that has the name, if it is this very task's."""
        document = await self._inspect(name)
        if document is None:
            raise RuntimeCallError(
                f"cannot create container {name}: its name was taken a moment ago and is free "
                "again",
                retry=RetryRule.LATER,
            )
        labels = document["Config"].get("Labels") or {}
        if labels.get(LABEL_NODE) != self._node_id or labels.get(LABEL_TASK) != task_id:
            raise RuntimeCallError(
                f"cannot create container {name}: another container ({document['Id'][:12]}), not "
                "made by this node, has that name; remove or rename it",
                retry=RetryRule.NEVER,
            )
        return str(document["Id"])
