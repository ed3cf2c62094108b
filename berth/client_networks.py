"""The Control API's calls about networks, as a part of `berth.client.ControlClient`.

Duty: one typed method per call. Not here: how a call reaches a scheduler (berth.client).
"""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from berth.model.ids import NetworkId
from berth.model.network import NetworkSpec
from berth.v1 import control_pb2
from berth.views import CreatedNetwork, NetworkView
from berth.wire.convert import from_proto, to_proto

T = TypeVar("T")


class _Caller(Protocol):
    async def _call(self, method: str, request: Any, *, is_read: bool = True) -> Any: ...

    async def _read_all(self, kind: type[T], messages: Sequence[Any]) -> list[T]: ...


class NetworkCalls:
    """Mixed into `ControlClient`."""

    async def create_network(self: _Caller, spec: NetworkSpec) -> CreatedNetwork:
        """Create a network."""
        request = control_pb2.CreateNetworkRequest(spec=to_proto(spec))
        answer = await self._call("CreateNetwork", request, is_read=False)
        return from_proto(CreatedNetwork, answer)

    async def list_networks(self: _Caller, names: Sequence[str] = ()) -> list[NetworkView]:
        """Return the networks named (name, ID or unique prefix of an ID), or all that exist."""
        request = control_pb2.ListNetworksRequest(names=names)
        answer = await self._call("ListNetworks", request)
        return await self._read_all(NetworkView, answer.networks)

    async def remove_network(self: _Caller, name: str) -> NetworkId:
        """Remove a network that no service asks for; return its ID."""
        request = control_pb2.RemoveNetworkRequest(name=name)
        answer = await self._call("RemoveNetwork", request, is_read=False)
        return NetworkId(answer.id)
