"""Read and change a cluster through its gRPC interface, from a test's own thread.

Duty: one blocking client over all schedulers; it asks those that can answer, the first first.
Not here: what users type (berth_cli), waiting (cluster).
"""

from collections.abc import Callable, Sequence
from typing import Any

import grpc

from berth.v1 import control_pb2 as pb
from berth.v1 import types_pb2
from berth.v1.control_pb2_grpc import ControlStub
from berth.wire.channel import MESSAGE_BYTES_MAX
from berth.wire.tls import Role, TlsSettings
from tests.cluster.programs import SchedulerProgram
from tests.cluster.waiting import NotYetError, status_code

_ELSEWHERE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


class ControlClient:
    """Calls of the Control service. Close it."""

    def __init__(self, schedulers: Sequence[SchedulerProgram], tls: TlsSettings) -> None:
        self._schedulers = schedulers
        self._credentials = tls.channel_credentials()
        self._channels: dict[str, grpc.Channel] = {}
        self.timeout_s = 10.0

    def close(self) -> None:
        """Close all connections."""
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()

    def stub(self, scheduler: SchedulerProgram) -> ControlStub:
        """Return the stub of one scheduler, whoever leads."""
        address = scheduler.grpc_address
        if address not in self._channels:
            options = [
                ("grpc.ssl_target_name_override", Role.SCHEDULER.tls_name),
                ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 500),
                ("grpc.enable_http_proxy", 0),
            ]
            self._channels[address] = grpc.secure_channel(address, self._credentials, options)
        return ControlStub(self._channels[address])

    def call(self, method: str, request: Any) -> Any:
        """Call `method` at the first scheduler that answers.

        Raises:
            grpc.RpcError: it refused, or the last one did not answer either.
            NotYetError: no scheduler runs.
        """
        error: grpc.RpcError | None = None
        for scheduler in self._schedulers:
            if not scheduler.answers:
                continue
            ask: Callable[..., Any] = getattr(self.stub(scheduler), method)
            try:
                return ask(request, timeout=self.timeout_s, wait_for_ready=False)
            except grpc.RpcError as refusal:
                error = refusal
                if status_code(refusal) not in _ELSEWHERE:
                    raise
        raise error or NotYetError("no scheduler runs that could be asked")

    def cluster(self) -> pb.Cluster:
        """Return leader, schedulers, settings and the state of the store."""
        answer: pb.Cluster = self.call("GetCluster", pb.GetClusterRequest())
        return answer

    def change_settings(self, **changes: float) -> types_pb2.ClusterSettings:
        """Change settings of the cluster, such as `lost_after_s=3`; return all."""
        found = self.cluster()
        for name, value in changes.items():
            setattr(found.settings, name, value)
        request = pb.UpdateClusterRequest(version=found.version, settings=found.settings)
        return self.call("UpdateCluster", request).settings  # type: ignore[no-any-return]

    def nodes(self) -> list[pb.NodeView]:
        """Return all nodes, by name."""
        found = self.call("ListNodes", pb.ListNodesRequest()).nodes
        return sorted(found, key=lambda view: view.node.description.hostname)

    def node(self, name: str) -> pb.NodeView:
        """Return one node."""
        answer: pb.NodeView = self.call("GetNode", pb.GetNodeRequest(name=name))
        return answer

    def services(self) -> list[pb.Service]:
        """Return all services."""
        return list(self.call("ListServices", pb.ListServicesRequest()).services)

    def service(self, name: str) -> pb.Service:
        """Return one service."""
        answer: pb.Service = self.call("GetService", pb.GetServiceRequest(name=name))
        return answer

    def tasks(self, service: str = "", *, only_wanted: bool = True) -> list[pb.Task]:
        """Return tasks, of one service or of all, by service and slot; history when asked."""
        names = [service] if service else []
        request = pb.ListTasksRequest(services=names, only_wanted=only_wanted)
        found = self.call("ListTasks", request).tasks
        return sorted(found, key=lambda task: (task.service_name, task.slot, task.attempt))

    def explain(self, name: str) -> pb.ExplainResponse:
        """Ask why a service or a task is where it is, or nowhere."""
        answer: pb.ExplainResponse = self.call("Explain", pb.ExplainRequest(name=name))
        return answer

    def remove_all_services(self) -> None:
        """Remove every service."""
        for service in self.services():
            try:
                self.call("RemoveService", pb.RemoveServiceRequest(name=service.id))
            except grpc.RpcError as refusal:
                if status_code(refusal) is not grpc.StatusCode.NOT_FOUND:  # Gone already.
                    raise
