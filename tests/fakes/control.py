"""A Control servicer that holds a small cluster in memory, for tests of its clients.

Duty: answer every call over real gRPC as a scheduler would, at once; tests set what it says.
Not here: scheduling, validation, storing: the real ones are scheduler.control's.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from berth.errors import AlreadyExistsError, BerthError, NotFoundError, OutOfSequenceError
from berth.model.cluster import ClusterSettings
from berth.model.network import network_id
from berth.model.service import ServiceSpec
from berth.v1 import control_pb2, control_pb2_grpc, streams_pb2, types_pb2
from berth.wire.channel import bind, make_server
from berth.wire.convert import from_proto, to_proto
from berth.wire.status import BerthErrorInterceptor
from tests.fakes.control_events import FakeEvents
from tests.fakes.control_files import FakeFiles

_add_servicer: Any = control_pb2_grpc.add_ControlServicer_to_server  # Generated, and untyped.


class FakeControl(FakeEvents, FakeFiles, control_pb2_grpc.ControlServicer):
    """A cluster of two nodes. `refusals` are raised, one per call, before anything is done."""

    def __init__(self) -> None:
        super().__init__()
        self.services: dict[str, control_pb2.Service] = {}
        self.tasks: list[control_pb2.Task] = []
        self.nodes: dict[str, control_pb2.NodeView] = {}
        self.networks: dict[str, types_pb2.Network] = {}
        self.cluster = control_pb2.Cluster(
            id="cluster1",
            epoch=7,
            version=1,
            leader_name="s1",
            leader_address="127.0.0.1:7701",
            store_state="ok",
            settings=to_proto(ClusterSettings()),
            schedulers=[
                control_pb2.SchedulerInfo(name="s1", address="127.0.0.1:7701", is_leader=True),
                control_pb2.SchedulerInfo(name="s2", address="127.0.0.1:7711"),
            ],
        )
        self.logs: list[streams_pb2.LogChunk] = []
        self.calls: list[tuple[str, Any]] = []
        self.refusals: list[BerthError] = []
        self.warnings: list[str] = []
        self.on_get_service: Callable[[control_pb2.Service], None] | None = None
        self.explanation = control_pb2.ExplainResponse()

    def add_node(self, name: str, **fields: Any) -> control_pb2.NodeView:
        """Add a ready node whose ID is derived from its name."""
        view = control_pb2.NodeView(connected=True)
        view.node.id = f"{name}id".ljust(25, "0")
        view.node.description.hostname = name
        view.node.description.engine_version = "28.5.2"
        view.node.description.platform.os = "linux"
        view.node.description.platform.architecture = "amd64"
        view.node.description.resources.nano_cpus = 4 * 10**9
        view.node.description.resources.memory_bytes = 8 * 2**30
        view.node.state = "ready"
        view.node.spec.availability = "active"
        view.node.spec.role = "worker"
        view.node.version = 1
        for key, value in fields.items():
            setattr(view, key, value)
        self.nodes[name] = view
        return view

    def add_task(
        self, service: str, slot: int, *, node: str = "", state: int = 512, **fields: Any
    ) -> control_pb2.Task:
        """Add a task of a service that was created."""
        found = self._service(service)
        task = control_pb2.Task(
            id=f"task{slot}x{len(self.tasks)}".ljust(25, "0"),
            service_id=found.id,
            service_name=found.spec.name,
            slot=slot,
            desired=512,
            image=found.spec.task.container.image,
            is_current=True,
            state_at=1000.0,
        )
        if node:
            task.node_id, task.node_name = self.nodes[node].node.id, node
        task.status.state = state
        for key, value in fields.items():
            if key in ("error", "message"):
                setattr(task.status, key, value)
            else:
                setattr(task, key, value)
        self.tasks.append(task)
        return task

    def run_all(self) -> None:
        """Give every replicated service as many running tasks as it wants."""
        names = sorted(self.nodes)
        for service in self.services.values():
            self.tasks = [task for task in self.tasks if task.service_id != service.id]
            for slot in range(1, service.desired_tasks + 1):
                self.add_task(service.spec.name, slot, node=names[slot % len(names)])
            service.running_tasks = service.desired_tasks

    def _note(self, call: str, request: Any) -> None:
        self.calls.append((call, request))
        if self.refusals:
            raise self.refusals.pop(0)

    def _service(self, name: str) -> control_pb2.Service:
        for service in self.services.values():
            if name in (service.id, service.spec.name) or service.id.startswith(name):
                return service
        raise NotFoundError(f'there is no service "{name}"')

    def _node(self, name: str) -> control_pb2.NodeView:
        for view in self.nodes.values():
            if name == view.node.description.hostname or view.node.id.startswith(name):
                return view
        raise NotFoundError(f'there is no node "{name}"')

    async def CreateService(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._note("CreateService", request)
        if request.dry_run:
            return control_pb2.CreateServiceResponse(
                plan=[f"start {request.spec.name}.1"], warnings=self.warnings
            )
        service_id = f"{request.spec.name}id".ljust(25, "0")
        service = control_pb2.Service(id=service_id, version=1, spec=request.spec)
        service.desired_tasks = (
            request.spec.mode.replicas if request.spec.mode.HasField("replicas") else 1
        )
        self.services[service_id] = service
        self.happen("service", "create", service_id, name=request.spec.name)
        return control_pb2.CreateServiceResponse(id=service_id, warnings=self.warnings)

    async def UpdateService(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._note("UpdateService", request)
        service = self._service(request.name)
        if request.version not in (0, service.version):
            raise OutOfSequenceError(f"version {request.version} is not {service.version}")
        if request.dry_run:
            return control_pb2.UpdateServiceResponse(plan=["replace web.1"])
        old = types_pb2.ServiceSpec()
        old.CopyFrom(service.spec)
        service.spec.CopyFrom(service.previous_spec if request.rollback else request.spec)
        service.previous_spec.CopyFrom(old)
        service.version += 1
        if service.spec.mode.HasField("replicas"):
            service.desired_tasks = service.spec.mode.replicas
        return control_pb2.UpdateServiceResponse(version=service.version, warnings=self.warnings)

    async def RemoveService(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._note("RemoveService", request)
        service = self._service(request.name)
        del self.services[service.id]
        return control_pb2.RemoveServiceResponse(id=service.id)

    async def GetService(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._note("GetService", request)
        service = self._service(request.name)
        if self.on_get_service is not None:
            self.on_get_service(service)
        return service

    async def ListServices(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._note("ListServices", request)
        found = [self._service(name) for name in request.names] or list(self.services.values())
        return control_pb2.ListServicesResponse(services=found)

    async def ListTasks(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._note("ListTasks", request)
        tasks = self.tasks
        if request.services:
            wanted = {self._service(name).id for name in request.services}
            tasks = [task for task in tasks if task.service_id in wanted]
        if request.nodes:
            nodes = {self._node(name).node.id for name in request.nodes}
            tasks = [task for task in tasks if task.node_id in nodes]
        if request.ids:
            tasks = [task for task in tasks if task.id.startswith(tuple(request.ids))]
        if request.only_wanted:
            tasks = [task for task in tasks if not task.is_history and task.desired <= 576]
        if request.up_to_date:
            tasks = [task for task in tasks if task.is_current]
        if 0 < request.tasks_max < len(tasks):
            return control_pb2.ListTasksResponse(is_too_long=True)
        return control_pb2.ListTasksResponse(tasks=tasks)

    async def StreamTasks(  # noqa: N802 - gRPC's name
        self, request: Any, context: Any
    ) -> AsyncIterator[Any]:
        request.tasks_max = 0
        tasks = (await self.ListTasks(request, context)).tasks
        for begin in range(0, max(len(tasks), 1), 200):
            yield control_pb2.ListTasksResponse(tasks=tasks[begin : begin + 200])

    async def ListNodes(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._note("ListNodes", request)
        found = [self._node(name) for name in request.names] or list(self.nodes.values())
        return control_pb2.ListNodesResponse(nodes=found)

    async def GetNode(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._note("GetNode", request)
        return self._node(request.name)

    async def UpdateNode(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._note("UpdateNode", request)
        view = self._node(request.name)
        spec = view.node.spec
        if request.HasField("availability"):
            spec.availability = request.availability
        for key in request.labels_remove:
            spec.labels.pop(key, None)
        spec.labels.update(request.labels_add)
        view.node.version += 1
        return view

    async def RemoveNode(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._note("RemoveNode", request)
        view = self._node(request.name)
        del self.nodes[view.node.description.hostname]
        return control_pb2.RemoveNodeResponse(id=view.node.id)

    async def CreateNetwork(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._note("CreateNetwork", request)
        name = request.spec.name
        if name in self.networks:
            raise AlreadyExistsError(f"network with name {name} already exists")
        self.networks[name] = types_pb2.Network(spec=request.spec)
        return control_pb2.CreateNetworkResponse(id=network_id(name), warnings=["per node"])

    async def ListNetworks(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._note("ListNetworks", request)
        found = [self._network(name) for name in request.names] or list(self.networks.values())
        views = [control_pb2.NetworkView(network=each) for each in found]
        return control_pb2.ListNetworksResponse(networks=views)

    async def RemoveNetwork(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._note("RemoveNetwork", request)
        name = self._network(request.name).spec.name
        del self.networks[name]
        return control_pb2.RemoveNetworkResponse(id=network_id(name))

    def _network(self, name: str) -> types_pb2.Network:
        for network in self.networks.values():
            if name in (network.spec.name, network_id(network.spec.name)):
                return network
        raise NotFoundError(f"network {name} not found")

    async def Explain(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._note("Explain", request)
        return self.explanation

    async def GetCluster(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._note("GetCluster", request)
        return self.cluster

    async def UpdateCluster(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._note("UpdateCluster", request)
        from_proto(ClusterSettings, request.settings).validate()
        self.cluster.settings.CopyFrom(request.settings)
        self.cluster.version += 1
        return self.cluster

    async def ResolveImage(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._note("ResolveImage", request)
        digest = "sha256:" + "a" * 64
        return control_pb2.ResolveImageResponse(pinned=f"{request.image}@{digest}", digest=digest)

    async def ServiceLogs(  # noqa: N802 - gRPC's name
        self, request: Any, context: Any
    ) -> AsyncIterator[Any]:
        self._note("ServiceLogs", request)
        for chunk in self.logs:
            yield chunk
            await asyncio.sleep(0)

    def spec_of(self, name: str) -> ServiceSpec:
        """Return what is stored of a service, as the model has it."""
        return replace(from_proto(ServiceSpec, self._service(name).spec))


@asynccontextmanager
async def serving(control: FakeControl) -> AsyncIterator[str]:
    """Serve `control` on a free port of this machine; yield its address."""
    server = make_server(interceptors=[BerthErrorInterceptor()])
    _add_servicer(control, server)
    port = bind(server, "127.0.0.1:0", None)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
