"""/networks: list, inspect, create, remove; see gateway.networks for what they are."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from berth.views import ServiceView
from gateway.context import gateway_of
from gateway.filters import Filters
from gateway.networks import SWARM_SCOPE, WARNING, Network, write_network
from gateway.requests import json_body
from gateway.translate.reading import Faults, Struct

_FILTERS = ("dangling", "driver", "id", "label", "name", "scope", "type")
_SCOPES = ("global", "local", "swarm")
_TYPES = ("builtin", "custom")


async def _services(request: Request) -> Sequence[ServiceView]:
    return await gateway_of(request).client.list_services()


async def list_networks(request: Request) -> Response:
    """GET /networks."""
    filters = Filters.from_text(request.query_params.get("filters", ""), _FILTERS)
    filters.one_of("scope", _SCOPES)
    filters.one_of("type", _TYPES)
    found = gateway_of(request).networks.all(await _services(request)).values()
    wanted = [write_network(network) for network in found if _is_wanted(network, filters)]
    return JSONResponse(wanted)


def _is_wanted(network: Network, filters: Filters) -> bool:
    is_dangling = not network.is_predefined and not network.used_by
    return (
        filters.part("id", network.name)
        and filters.part("name", network.name)
        and filters.exact("driver", network.driver)
        and filters.exact("scope", SWARM_SCOPE)
        and filters.exact("type", "builtin" if network.is_predefined else "custom")
        and filters.labels("label", network.labels)
        and filters.flag("dangling", default=is_dangling) == is_dangling
    )


async def inspect_network(request: Request) -> Response:
    """GET /networks/{id}."""
    name = request.path_params["id"]
    found = gateway_of(request).networks.find(await _services(request), name)
    return JSONResponse(write_network(found))


async def create_network(request: Request) -> Response:
    """POST /networks/create: remembers the name, makes nothing, and says so."""
    gateway = gateway_of(request)
    faults = Faults()
    sent = Struct(await json_body(request), "", faults)
    network = Network(
        name=sent.text("Name"),
        driver=sent.text("Driver", "overlay"),
        labels=sent.text_map("Labels"),
        created_at=gateway.clock.timestamp(),
        is_attachable=sent.flag("Attachable"),
        is_internal=sent.flag("Internal"),
    )
    if not network.name or "/" in network.name:
        sent.fault("Name", f'"{network.name}" is no name; use letters, digits, ., - and _')
    if sent.flag("Ingress"):
        sent.fault("Ingress", "is not supported: Berth has no routing mesh")
    faults.check("network")
    gateway.networks.add(await _services(request), network)
    return JSONResponse({"Id": network.name, "Warning": WARNING}, status_code=201)


async def remove_network(request: Request) -> Response:
    """DELETE /networks/{id}."""
    name = request.path_params["id"]
    gateway_of(request).networks.remove(await _services(request), name)
    return Response(status_code=204)


ROUTES = [
    Route("/networks", list_networks, methods=["GET"]),
    Route("/networks/create", create_network, methods=["POST"]),
    Route("/networks/{id}", inspect_network, methods=["GET"]),
    Route("/networks/{id}", remove_network, methods=["DELETE"]),
]
