"""The Control API on the scheduler that leads: one method per call of control.proto.

Duty: read the leader's memory or hand a change to the flows, and let the answer leave only when it
rests on the store. Not here: gRPC and forwarding (forward), what is in an answer (views), changes
(flows), logs (relay), configs and secrets (files).

Methods bear the names of the calls, take the leader that is to answer, and are found by name: a
call that control.proto has and this class has not fails a test, not a user.
"""

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Iterator,
)
from contextlib import aclosing
from typing import Any, Final, TypeVar

from berth.clock import Clock
from berth.entropy import Entropy
from berth.errors import InvalidRequestError
from berth.model.ids import ServiceId
from berth.model.image import ImageReference
from berth.model.node import Node
from berth.v1 import control_pb2 as pb
from berth.v1 import streams_pb2
from scheduler.control.cluster_view import cluster_view
from scheduler.control.durable import wait_readable
from scheduler.control.editions import (
    Editions,
    Shown,
    shown_nodes,
    shown_services,
    shown_tasks,
    tasks_looked_at,
)
from scheduler.control.endpoints import published_at
from scheduler.control.event_reading import watch_events
from scheduler.control.explain_flow import explain_name
from scheduler.control.files import FileAnswers
from scheduler.control.flows import ControlFlows
from scheduler.control.leader_directory import LeaderDirectory
from scheduler.control.network_flows import create_network, list_networks, remove_network
from scheduler.control.pieces import durable_pieces
from scheduler.control.pinning import Resolver
from scheduler.control.relay import LogRelay
from scheduler.control.view_memory import ViewMemory
from scheduler.control.views import (
    TaskFilter,
    TaskViewer,
    iter_services,
    iter_tasks,
    node_view,
    nodes_by_name,
    running_on_lost_nodes,
    service_view,
)
from scheduler.core import commands
from scheduler.core.state import LeaderState
from scheduler.leader import Leader
from scheduler.store.port import StoreHealth
from scheduler.store.sealing import Sealer

T = TypeVar("T")

_SLICE_S: Final = 0.001
"""How long one slice of a long answer may hold the event loop."""
_SLICE_PAUSE_S: Final = 0.001  # A mere sleep(0) would starve the streams of all agents.
_LOOK_EVERY: Final = 16
TASKS_MAX: Final = 250_000
"""More would not fit into one message of gRPC."""


class ControlService(FileAnswers):
    """Answers users on behalf of the leader; see the module."""

    def __init__(
        self,
        directory: LeaderDirectory,
        resolver: Resolver,
        sealer: Sealer | None,
        relay: LogRelay,
        *,
        clock: Clock,
        entropy: Entropy,
        store_health: Callable[[], StoreHealth],
    ) -> None:
        self._directory = directory
        self._resolver = resolver
        self._sealer = sealer
        self._relay = relay
        self._clock = clock
        self._entropy = entropy
        self._store_health = store_health
        self._memory = ViewMemory()
        self._editions = Editions(entropy.new_id())

    # -- services

    async def CreateService(  # noqa: N802 - gRPC's name
        self, leader: Leader, request: pb.CreateServiceRequest
    ) -> pb.CreateServiceResponse:
        """Create a service."""
        return await self._flows(leader).create_service(request)

    async def UpdateService(  # noqa: N802
        self, leader: Leader, request: pb.UpdateServiceRequest
    ) -> pb.UpdateServiceResponse:
        """Replace a service's spec, or roll it back."""
        return await self._flows(leader).update_service(request)

    async def RemoveService(  # noqa: N802
        self, leader: Leader, request: pb.RemoveServiceRequest
    ) -> pb.RemoveServiceResponse:
        """Remove a service."""
        return await self._flows(leader).remove_service(request)

    async def GetService(  # noqa: N802
        self, leader: Leader, request: pb.GetServiceRequest
    ) -> pb.Service:
        """Return one service."""
        service = commands.find_service(leader.state, request.name)
        lost = running_on_lost_nodes(leader.state)
        view = service_view(
            service, lost[service.record.id], leader.now().timestamp, memory=self._memory
        )
        view.published_at.extend(published_at(leader.state, service))
        return await self._readable(leader, view, (service.record.id,))

    async def ListServices(  # noqa: N802
        self, leader: Leader, request: pb.ListServicesRequest
    ) -> pb.ListServicesResponse:
        """Return the named services, or all."""
        state = leader.state
        if request.names:
            found = _unique(commands.find_service(state, name) for name in request.names)
        else:
            found = [s for s in state.services.values() if not s.record.is_removing]
        return await self._listed(
            leader,
            request,
            lambda views, edition: pb.ListServicesResponse(services=views, **edition),
            shown=lambda: shown_services(state, found),
            views=iter_services(state, found, self._memory),
            services=[service.record.id for service in found] if request.names else None,
        )

    # -- tasks

    async def ListTasks(  # noqa: N802
        self, leader: Leader, request: pb.ListTasksRequest
    ) -> pb.ListTasksResponse:
        """Return tasks, those of the history too."""
        state, wanted = leader.state, _task_filter(leader.state, request)
        if 0 < request.tasks_max < tasks_looked_at(state, wanted):
            return pb.ListTasksResponse(is_too_long=True)
        viewer = TaskViewer(state, leader.now())
        return await self._listed(
            leader,
            request,
            lambda views, edition: pb.ListTasksResponse(tasks=views, **edition),
            shown=lambda: shown_tasks(state, wanted, viewer),
            views=iter_tasks(state, wanted, viewer),
            services=[service.record.id for service in wanted.services] or None,
        )

    async def StreamTasks(  # noqa: N802
        self, leader: Leader, request: pb.ListTasksRequest
    ) -> AsyncGenerator[pb.ListTasksResponse, None]:
        """Yield tasks, those of the history too, piece by piece."""
        wanted = _task_filter(leader.state, request)
        services = [service.record.id for service in wanted.services] or None
        pieces = durable_pieces(
            iter_tasks(leader.state, wanted, TaskViewer(leader.state, leader.now())),
            self._clock,
            is_durable=lambda: leader.is_over or leader.is_durable(services),
            wait_durable=lambda: wait_readable(leader, self._store_health, services),
        )
        async with aclosing(pieces) as found:
            async for views in found:
                yield pb.ListTasksResponse(tasks=views)

    async def Explain(  # noqa: N802
        self, leader: Leader, request: pb.ExplainRequest
    ) -> pb.ExplainResponse:
        """Say why a service's tasks, or one task, are as they are."""
        return await explain_name(leader, self._store_health, request.name)

    def ServiceLogs(  # noqa: N802
        self, leader: Leader, request: pb.ServiceLogsRequest
    ) -> AsyncIterator[streams_pb2.LogChunk]:
        """Yield what the tasks of a service, or one task, wrote."""
        return self._relay.stream(leader, request)

    def WatchEvents(  # noqa: N802
        self, leader: Leader, request: pb.WatchEventsRequest
    ) -> AsyncIterator[pb.EventBatch]:
        """Yield what happened, and what happens."""
        return watch_events(leader, request, self._clock)

    # -- nodes

    async def ListNodes(  # noqa: N802
        self, leader: Leader, request: pb.ListNodesRequest
    ) -> pb.ListNodesResponse:
        """Return the named nodes, or all."""
        state = leader.state
        nodes = list(state.nodes.values())
        if request.names:
            named = (commands.find_node(state, name) for name in request.names)
            nodes = list({node.id: node for node in named}.values())
        return await self._listed(
            leader,
            request,
            lambda views, edition: pb.ListNodesResponse(nodes=views, **edition),
            shown=lambda: shown_nodes(
                [state.nodes[node.id] for node in nodes if node.id in state.nodes]
                if request.names
                else state.nodes.values()
            ),
            views=self._node_views(leader, nodes),
            services=None,
        )

    def _node_views(self, leader: Leader, nodes: Collection[Node]) -> Iterator[pb.NodeView]:
        """Yield views in the order of a list, which is not looked for before the first."""
        state, now = leader.state, leader.now()
        for node in nodes_by_name(nodes):
            connected = node.id in leader.sessions
            yield node_view(state, node, now, connected=connected, memory=self._memory)

    async def GetNode(  # noqa: N802
        self, leader: Leader, request: pb.GetNodeRequest
    ) -> pb.NodeView:
        """Return one node."""
        node = commands.find_node(leader.state, request.name)
        connected = node.id in leader.sessions
        view = node_view(leader.state, node, leader.now(), connected=connected)
        return await self._readable(leader, view)

    async def UpdateNode(  # noqa: N802
        self, leader: Leader, request: pb.UpdateNodeRequest
    ) -> pb.NodeView:
        """Change what operators set on a node."""
        node = await self._flows(leader).update_node(request)
        connected = node.id in leader.sessions
        return node_view(leader.state, node, leader.now(), connected=connected)

    async def RemoveNode(  # noqa: N802
        self, leader: Leader, request: pb.RemoveNodeRequest
    ) -> pb.RemoveNodeResponse:
        """Forget a node."""
        return await self._flows(leader).remove_node(request)

    # -- networks

    async def CreateNetwork(  # noqa: N802
        self, leader: Leader, request: pb.CreateNetworkRequest
    ) -> pb.CreateNetworkResponse:
        """Create a network."""
        return await create_network(leader, self._store_health, request)

    async def ListNetworks(  # noqa: N802
        self, leader: Leader, request: pb.ListNetworksRequest
    ) -> pb.ListNetworksResponse:
        """Return the named networks, or all."""
        return await self._readable(leader, list_networks(leader.state, request))

    async def RemoveNetwork(  # noqa: N802
        self, leader: Leader, request: pb.RemoveNetworkRequest
    ) -> pb.RemoveNetworkResponse:
        """Remove a network that no service asks for."""
        return await remove_network(leader, self._store_health, request)

    # -- the cluster

    async def GetCluster(  # noqa: N802
        self, leader: Leader, request: pb.GetClusterRequest
    ) -> pb.Cluster:
        """Return settings, schedulers and the store's state."""
        view = self._cluster_view(leader)
        return await self._readable(leader, view)

    async def UpdateCluster(  # noqa: N802
        self, leader: Leader, request: pb.UpdateClusterRequest
    ) -> pb.Cluster:
        """Replace the cluster's settings."""
        await self._flows(leader).update_cluster(request)
        return self._cluster_view(leader)

    async def ResolveImage(  # noqa: N802
        self, leader: Leader, request: pb.ResolveImageRequest
    ) -> pb.ResolveImageResponse:
        """Ask a registry which image a reference means."""
        ImageReference.from_text(request.image)
        return await self._flows(leader).resolve_image(request)

    # -- shared

    def _flows(self, leader: Leader) -> ControlFlows:
        return ControlFlows(leader, self._resolver, self._sealer, self._entropy, self._store_health)

    def _cluster_view(self, leader: Leader) -> pb.Cluster:
        return cluster_view(leader, self._directory, self._store_health())

    async def _listed(
        self,
        leader: Leader,
        request: Any,
        answer: Callable[[list[Any], dict[str, Any]], T],
        *,
        shown: Callable[[], Shown | None],
        views: Iterable[Any],
        services: Collection[ServiceId] | None,
    ) -> T:
        """Return a list once it may leave, or only that it is the edition that the caller has."""
        before = shown()
        edition = self._editions.of(_without_edition(request), before)
        if edition and edition == request.known_edition:
            made = answer([], {"edition": edition, "is_unchanged": True})
            return await self._readable(leader, made, services)
        found = await self._in_slices(views)
        if edition and shown() != before:
            edition = ""  # It is partly of now, and of no edition.
        return await self._readable(leader, answer(found, {"edition": edition}), services)

    async def _readable(
        self, leader: Leader, answer: T, services: Collection[ServiceId] | None = None
    ) -> T:
        """Return `answer`, read just now of `services` (None = of anything), once it may leave."""
        await wait_readable(leader, self._store_health, services)
        return answer

    async def _in_slices(self, items: Iterable[T | None], limit: int = TASKS_MAX) -> list[T]:
        """Collect `items`, letting others have the event loop every millisecond.

        Raises:
            InvalidRequestError: there are more than `limit`.
        """
        found: list[T] = []
        began = self._clock.instant()
        for number, item in enumerate(items, start=1):
            if item is not None:
                found.append(item)
            if number % _LOOK_EVERY == 0 and self._clock.instant() - began >= _SLICE_S:
                await self._clock.sleep(_SLICE_PAUSE_S)
                began = self._clock.instant()
            if len(found) > limit:
                raise InvalidRequestError(
                    f"more than {limit} of them: too many for one answer; name services or nodes"
                )
        return found


def _task_filter(state: LeaderState, request: pb.ListTasksRequest) -> TaskFilter:
    return TaskFilter(
        services=_unique(commands.find_service(state, name) for name in request.services),
        nodes={commands.find_node(state, name).id for name in request.nodes},
        id_prefixes=tuple(request.ids),
        only_wanted=request.only_wanted,
        up_to_date=request.up_to_date,
    )


def _unique(services: Iterator[T]) -> list[T]:
    """Return each service once, in the order of the request."""
    return list({id(service): service for service in services}.values())


def _without_edition(request: Any) -> bytes:
    known, request.known_edition = request.known_edition, ""
    key: bytes = type(request).__name__.encode() + request.SerializeToString(deterministic=True)
    request.known_edition = known
    return key
