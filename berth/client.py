"""The client of the Control API: what the `berth` command and the Docker gateway speak through.

Duty: one typed method per call.
Not here: what the answers look like (berth.views), which scheduler is asked and when again
(berth.scheduler_calls), configs and secrets (berth.client_files), events (berth.client_events).
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from berth.answer_memory import ROOM, AnswerMemory, Reader
from berth.client_events import EventCalls
from berth.client_files import FileCalls
from berth.client_networks import NetworkCalls
from berth.clock import Clock, SystemClock
from berth.errors import TooManyError
from berth.log_following import follow_logs
from berth.model.cluster import ClusterSettings
from berth.model.ids import NodeId, ServiceId
from berth.model.node import Availability, NodeSpec
from berth.model.registry_auth import RegistryAuth
from berth.model.service import ServiceSpec
from berth.scheduler_calls import Calls, SchedulerCalls
from berth.v1 import control_pb2
from berth.views import (
    ClusterView,
    CreatedService,
    Explanation,
    LogChunk,
    NodeView,
    ResolvedImage,
    ServiceView,
    TaskView,
    UpdatedService,
)
from berth.wire.convert import from_proto, to_proto
from berth.wire.tls import TlsSource

T = TypeVar("T")

CALL_TIMEOUT_S: Final = 30.0
_SLICE_S: Final = 0.001
"""How long one slice of a long answer may hold the event loop."""
_LOOK_EVERY: Final = 8
_REMEMBERED_MAX: Final = ROOM // 4
_SLICE_PAUSE_S: Final = 0.0005  # A mere sleep(0) would starve what a process's loop also serves.


class ControlClient(EventCalls, FileCalls, NetworkCalls):
    """Speaks to the schedulers at `addresses`; any of them will do (an async context manager)."""

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        tls: TlsSource | None = None,
        clock: Clock | None = None,
        timeout_s: float = CALL_TIMEOUT_S,
        repeats_refusals: bool = True,
    ) -> None:
        """Prepare; nothing is connected yet.

        Args:
            addresses: HOST:PORT or unix:PATH of schedulers.
            tls: our certificate, None for plain connections.
            clock: for pauses between rounds.
            timeout_s: how long one call may take over all schedulers together.
            repeats_refusals: ask again when the answer was that nobody leads; each scheduler waits
                for a leader itself.
        """
        clock = clock or SystemClock()
        calls = SchedulerCalls(
            addresses, tls=tls, clock=clock, timeout_s=timeout_s, repeats_refusals=repeats_refusals
        )
        self._begin(calls, clock, None)

    @classmethod
    def over(cls, calls: Calls, clock: Clock, memory: AnswerMemory | None = None) -> Self:
        """Return a client that makes its calls in another way than by connections of its own.

        Args:
            calls: that way.
            clock: for pauses.
            memory: of what answers were read as, for one who asks the same all the time.
        """
        made = cls.__new__(cls)
        made._begin(calls, clock, memory)
        return made

    def _begin(self, calls: Calls, clock: Clock, memory: AnswerMemory | None) -> None:
        self._calls = calls
        self._call = calls.call
        self._clock = clock
        self._memory = memory
        self._read: Reader = from_proto if memory is None else memory.read

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._calls.close()

    def renew_channels(self) -> None:
        """Show a new certificate from the next call on; `tls` must give it by now."""
        self._calls.renew_channels()

    # Services.

    async def create_service(
        self,
        spec: ServiceSpec,
        *,
        registry_auth: RegistryAuth | None = None,
        no_resolve_image: bool = False,
        dry_run: bool = False,
    ) -> CreatedService:
        """Create a service; with `dry_run` only validate and plan."""
        request = control_pb2.CreateServiceRequest(
            spec=to_proto(spec), no_resolve_image=no_resolve_image, dry_run=dry_run
        )
        if registry_auth is not None:
            request.registry_auth.CopyFrom(to_proto(registry_auth))
        answer = await self._call("CreateService", request, is_read=dry_run)
        return from_proto(CreatedService, answer)

    async def update_service(
        self,
        name: str,
        spec: ServiceSpec,
        *,
        version: int = 0,
        registry_auth: RegistryAuth | None = None,
        registry_auth_from: str = "",
        no_resolve_image: bool = False,
        resolve_image: bool = False,
        dry_run: bool = False,
    ) -> UpdatedService:
        """Replace a service's spec.

        Args:
            name: name, ID or unique prefix of an ID.
            spec: the whole new spec.
            version: of the spec that the caller read; 0 overwrites whatever there is.
            registry_auth: credentials for the image; None keeps those that are stored.
            registry_auth_from: whose stored ones: "", "spec" or "previous-spec".
            no_resolve_image: leave the image's tag as it is.
            resolve_image: ask the registry what the tag means now, though its text is the same.
            dry_run: only validate and plan.

        Raises:
            OutOfSequenceError: somebody changed it since `version`; read it again.
        """
        request = control_pb2.UpdateServiceRequest(
            name=name,
            version=version,
            spec=to_proto(spec),
            registry_auth_from=registry_auth_from,
            no_resolve_image=no_resolve_image,
            resolve_image=resolve_image,
            dry_run=dry_run,
        )
        if registry_auth is not None:
            request.registry_auth.CopyFrom(to_proto(registry_auth))
        answer = await self._call("UpdateService", request, is_read=dry_run)
        return from_proto(UpdatedService, answer)

    async def rollback_service(
        self, name: str, *, version: int = 0, dry_run: bool = False
    ) -> UpdatedService:
        """Swap a service's spec and its previous one."""
        request = control_pb2.UpdateServiceRequest(
            name=name, version=version, rollback=True, dry_run=dry_run
        )
        answer = await self._call("UpdateService", request, is_read=dry_run)
        return from_proto(UpdatedService, answer)

    async def remove_service(self, name: str) -> ServiceId:
        """Remove a service and stop its tasks; return its ID."""
        request = control_pb2.RemoveServiceRequest(name=name)
        answer = await self._call("RemoveService", request, is_read=False)
        return ServiceId(answer.id)

    async def get_service(self, name: str) -> ServiceView:
        """Return one service by name, ID or unique prefix of an ID."""
        request = control_pb2.GetServiceRequest(name=name)
        return self._read(ServiceView, await self._call("GetService", request))

    async def list_services(self, names: Sequence[str] = ()) -> Sequence[ServiceView]:
        """Return the services named, or all."""
        request = control_pb2.ListServicesRequest(names=names)
        return await self._listed("ListServices", request, ServiceView, "services")

    async def list_tasks(
        self,
        *,
        services: Sequence[str] = (),
        nodes: Sequence[str] = (),
        ids: Sequence[str] = (),
        only_wanted: bool = False,
        up_to_date: bool = False,
        at_most: int = 0,
    ) -> Sequence[TaskView]:
        """Return tasks; what is given narrows.

        Args:
            services: names or IDs.
            nodes: names or IDs.
            ids: prefixes of task IDs.
            only_wanted: leave out history and what is being stopped.
            up_to_date: only tasks of the newest template.
            at_most: how many may have to be looked at; 0 = any number.

        Raises:
            TooManyError: there are more; walk them.
        """
        request = control_pb2.ListTasksRequest(
            services=services, nodes=nodes, ids=ids, only_wanted=only_wanted,
            up_to_date=up_to_date, tasks_max=at_most,
        )  # fmt: skip
        return await self._listed("ListTasks", request, TaskView, "tasks")

    async def walk_tasks(
        self,
        *,
        services: Sequence[str] = (),
        nodes: Sequence[str] = (),
        ids: Sequence[str] = (),
        up_to_date: bool = False,
    ) -> AsyncGenerator[list[TaskView], None]:
        """Yield tasks as `list_tasks` returns them, but piece by piece, however many there are."""
        request = control_pb2.ListTasksRequest(
            services=services, nodes=nodes, ids=ids, up_to_date=up_to_date
        )
        pieces: Any = self._calls.stream("StreamTasks", request)
        async with aclosing(pieces) as opened:
            async for message in opened:
                yield await self._read_all(TaskView, message.tasks, from_proto)

    async def service_logs(
        self,
        name: str,
        *,
        follow: bool = False,
        tail: int = -1,
        since: float = 0.0,
        stdout: bool = True,
        stderr: bool = True,
        details: bool = False,
    ) -> AsyncIterator[LogChunk]:
        """Yield what the tasks of a service, or one task, wrote.

        Args:
            name: a service or a task.
            follow: go on with what they write from now on, also under the next leader.
            tail: lines per task; -1 = all.
            since: seconds since 1970.
            stdout: include standard output.
            stderr: include standard error.
            details: tell what the log driver adds to each line.
        """
        request = control_pb2.ServiceLogsRequest(
            name=name, follow=follow, tail=tail, since=since, stdout=stdout, stderr=stderr,
            details=details,
        )  # fmt: skip
        chunks: Any = self._open_logs(request)
        if follow:
            chunks = follow_logs(self._open_logs, request, self._clock, self._calls.timeout_s)
        async with aclosing(chunks) as opened:
            async for message in opened:
                yield from_proto(LogChunk, message)

    def _open_logs(self, request: control_pb2.ServiceLogsRequest) -> AsyncIterator[Any]:
        return self._calls.stream("ServiceLogs", request)

    # Nodes.

    async def list_nodes(self, names: Sequence[str] = ()) -> Sequence[NodeView]:
        """Return the nodes named, or all."""
        request = control_pb2.ListNodesRequest(names=names)
        return await self._listed("ListNodes", request, NodeView, "nodes")

    async def get_node(self, name: str) -> NodeView:
        """Return one node by name, ID or unique prefix of an ID."""
        request = control_pb2.GetNodeRequest(name=name)
        return self._read(NodeView, await self._call("GetNode", request))

    async def update_node(
        self,
        name: str,
        *,
        version: int = 0,
        availability: Availability | None = None,
        labels_add: Mapping[str, str] | None = None,
        labels_remove: Sequence[str] = (),
        spec: NodeSpec | None = None,
    ) -> NodeView:
        """Change what operators set on a node: single things, or the whole `spec`."""
        request = control_pb2.UpdateNodeRequest(
            name=name, version=version, labels_add=labels_add or {}, labels_remove=labels_remove
        )
        if availability is not None:
            request.availability = availability.value
        if spec is not None:
            request.spec.CopyFrom(to_proto(spec))
        return from_proto(NodeView, await self._call("UpdateNode", request, is_read=False))

    async def remove_node(self, name: str, *, force: bool = False) -> NodeId:
        """Forget a node; refused while it is ready, unless forced. Return its ID."""
        request = control_pb2.RemoveNodeRequest(name=name, force=force)
        answer = await self._call("RemoveNode", request, is_read=False)
        return NodeId(answer.id)

    # The cluster.

    async def explain(self, name: str) -> Explanation:
        """Say why the tasks of a service, or one task, are where they are or nowhere."""
        request = control_pb2.ExplainRequest(name=name)
        return from_proto(Explanation, await self._call("Explain", request))

    async def get_cluster(self) -> ClusterView:
        """Return settings, leader and state of the store."""
        return from_proto(
            ClusterView, await self._call("GetCluster", control_pb2.GetClusterRequest())
        )

    async def update_cluster(self, settings: ClusterSettings, *, version: int = 0) -> ClusterView:
        """Replace the cluster's settings."""
        request = control_pb2.UpdateClusterRequest(version=version, settings=to_proto(settings))
        return from_proto(ClusterView, await self._call("UpdateCluster", request, is_read=False))

    async def resolve_image(
        self, image: str, *, registry_auth: RegistryAuth | None = None
    ) -> ResolvedImage:
        """Ask the image's registry which digest and platforms stand behind a reference."""
        request = control_pb2.ResolveImageRequest(image=image)
        if registry_auth is not None:
            request.registry_auth.CopyFrom(to_proto(registry_auth))
        return from_proto(ResolvedImage, await self._call("ResolveImage", request))

    # How answers are read.

    async def _listed(self, method: str, request: Any, kind: type[T], field: str) -> Sequence[T]:
        """Return a list: with a memory the very one of before, while nothing in it has changed."""
        memory, key = self._memory, b""
        known: Sequence[T] = ()
        if memory is not None:
            key = request.SerializeToString(deterministic=True)
            request.known_edition, known = memory.listed(method, key)
        answer = await self._call(method, request)
        if getattr(answer, "is_too_long", False):
            raise TooManyError("too many for one answer; walk them")
        if memory is None:
            return await self._read_all(kind, getattr(answer, field))
        if answer.is_unchanged:
            return known
        found = await self._read_all(kind, getattr(answer, field))
        memory.keep_list(method, key, answer.edition, found)
        return found

    async def _read_all(
        self, kind: type[T], messages: Sequence[Any], read: Reader | None = None
    ) -> list[T]:
        """Read the messages of a long answer in slices, so that others have the event loop."""
        found: list[T] = []
        # Of a long list nobody asks again soon; it would drive out what is asked for all the time.
        is_short = len(messages) <= _REMEMBERED_MAX
        read = read or (self._read if is_short else from_proto)
        began = self._clock.instant()
        for number, message in enumerate(messages, start=1):
            found.append(read(kind, message))
            if number % _LOOK_EVERY == 0 and self._clock.instant() - began >= _SLICE_S:
                await self._clock.sleep(_SLICE_PAUSE_S)
                began = self._clock.instant()
        return found
