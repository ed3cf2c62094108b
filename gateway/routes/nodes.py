"""/nodes: list, inspect, update, remove."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from berth.client import ControlClient
from berth.errors import UnsupportedError
from berth.views import NodeView
from gateway.answers import in_slices, rendered, rendered_list
from gateway.context import gateway_of
from gateway.filters import Filters
from gateway.renderings import Renderings
from gateway.requests import json_body, object_version, query_flag
from gateway.translate.cluster import SCHEDULER_PREFIX
from gateway.translate.nodes import WORKER, read_node_spec, write_node

_FILTERS = ("id", "label", "membership", "name", "node.label", "role")
_MEMBERSHIPS = ("accepted", "pending")


async def list_nodes(request: Request) -> Response:
    """GET /nodes."""
    gateway = gateway_of(request)
    text = request.query_params.get("filters", "")
    filters = Filters.from_text(text, _FILTERS)
    filters.one_of("role", ("manager", WORKER))
    filters.one_of("membership", _MEMBERSHIPS)
    views = await gateway.client.list_nodes()
    if (body := gateway.renderings.body("nodes", text, views)) is not None:
        return rendered(body)
    found = await in_slices(views, lambda view: _is_wanted(view, filters), gateway.clock)
    renderings = gateway.renderings.for_list(len(found))
    keep = partial(gateway.renderings.keep_body, "nodes", text, views)
    return rendered_list(found, lambda view: _rendered(view, renderings), gateway.clock, keep)


def _rendered(view: NodeView, renderings: Renderings) -> bytes:
    return renderings.of(lambda: write_node(view), "node", view.node)


def _is_wanted(view: NodeView, filters: Filters) -> bool:
    node = view.node
    return (
        filters.prefix("id", node.id)
        and filters.prefix("name", node.description.hostname, view.name)
        and filters.labels("label", node.description.engine_labels)
        and filters.labels("node.label", node.labels)
        and filters.exact("role", WORKER)
        and filters.exact("membership", "accepted")
    )


async def _find(client: ControlClient, name: str) -> NodeView:
    if name.startswith(SCHEDULER_PREFIX):
        # What /info calls NodeID: clients ask for it as "self".
        raise UnsupportedError(
            f"{name.removeprefix(SCHEDULER_PREFIX)} is a scheduler of Berth, and no node; name a "
            "node (docker node ls). Machines join by running berth-agent --scheduler HOST:PORT, "
            "not by join tokens"
        )
    return await client.get_node(name)


async def inspect_node(request: Request) -> Response:
    """GET /nodes/{id}."""
    gateway = gateway_of(request)
    view = await _find(gateway.client, request.path_params["id"])
    return rendered(_rendered(view, gateway.renderings))


async def update_node(request: Request) -> Response:
    """POST /nodes/{id}/update."""
    client = gateway_of(request).client
    version = object_version(request)
    stored = await _find(client, request.path_params["id"])
    spec = read_node_spec(await json_body(request), stored)
    await client.update_node(stored.node.id, version=version, spec=spec)
    return Response()


async def remove_node(request: Request) -> Response:
    """DELETE /nodes/{id}."""
    client = gateway_of(request).client
    stored = await _find(client, request.path_params["id"])
    await client.remove_node(stored.node.id, force=query_flag(request, "force"))
    return Response()


ROUTES = [
    Route("/nodes", list_nodes, methods=["GET"]),
    Route("/nodes/{id}", inspect_node, methods=["GET"]),
    Route("/nodes/{id}", remove_node, methods=["DELETE"]),
    Route("/nodes/{id}/update", update_node, methods=["POST"]),
]
