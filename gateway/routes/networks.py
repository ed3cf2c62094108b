"""/networks: list, inspect, create, remove."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from berth.client import ControlClient
from berth.errors import PermissionDeniedError
from berth.model.network import PREDEFINED
from berth.views import NetworkView
from gateway.context import gateway_of
from gateway.filters import Filters
from gateway.requests import json_body
from gateway.translate.networks import (
    BUILTIN,
    SWARM_SCOPE,
    is_builtin,
    read_network,
    write_network,
)

_FILTERS = ("dangling", "driver", "id", "label", "name", "scope", "type")
_SCOPES = ("global", "local", "swarm")
_TYPES = ("builtin", "custom")


async def list_networks(request: Request) -> Response:
    """GET /networks."""
    filters = Filters.from_text(request.query_params.get("filters", ""), _FILTERS)
    filters.one_of("scope", _SCOPES)
    filters.one_of("type", _TYPES)
    found = [*BUILTIN, *await gateway_of(request).client.list_networks()]
    return JSONResponse([write_network(view) for view in found if _is_wanted(view, filters)])


def _is_wanted(view: NetworkView, filters: Filters) -> bool:
    spec = view.network.spec
    is_dangling = not is_builtin(view) and not view.used_by
    return (
        filters.part("id", view.network.id)
        and filters.part("name", spec.name)
        and filters.exact("driver", spec.driver)
        and filters.exact("scope", SWARM_SCOPE)
        and filters.exact("type", "builtin" if is_builtin(view) else "custom")
        and filters.labels("label", spec.labels)
        and filters.flag("dangling", default=is_dangling) == is_dangling
    )


async def inspect_network(request: Request) -> Response:
    """GET /networks/{id}."""
    client = gateway_of(request).client
    return JSONResponse(write_network(await _find(client, request.path_params["id"])))


async def _find(client: ControlClient, name: str) -> NetworkView:
    for view in BUILTIN:
        if view.network.spec.name == name:
            return view
    (found,) = await client.list_networks([name])
    return found


async def create_network(request: Request) -> Response:
    """POST /networks/create."""
    spec = read_network(await json_body(request))
    created = await gateway_of(request).client.create_network(spec)
    answer = {"Id": created.id, "Warning": "; ".join(created.warnings)}
    return JSONResponse(answer, status_code=201)


async def remove_network(request: Request) -> Response:
    """DELETE /networks/{id}."""
    name = request.path_params["id"]
    if name in PREDEFINED:
        raise PermissionDeniedError(f"{name} is a pre-defined network and cannot be removed")
    await gateway_of(request).client.remove_network(name)
    return Response(status_code=204)


ROUTES = [
    Route("/networks", list_networks, methods=["GET"]),
    Route("/networks/create", create_network, methods=["POST"]),
    Route("/networks/{id}", inspect_network, methods=["GET"]),
    Route("/networks/{id}", remove_network, methods=["DELETE"]),
]
