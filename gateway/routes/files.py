"""/configs and /secrets: list, create, inspect, update the labels, remove.

Not here: their JSON (translate.files), what may be kept (the control API).
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from berth.model.files import FileKind
from berth.views import FileView
from gateway.answers import list_response
from gateway.context import gateway_of
from gateway.filters import Filters
from gateway.requests import json_body, object_version
from gateway.translate.files import read_file_spec, write_file

_Endpoint = Callable[[Request], Awaitable[Response]]

_FILTERS = ("id", "label", "name", "names")


def _routes(kind: FileKind) -> list[Route]:
    """Return the routes of one kind; their functions bear its name, for the metrics."""

    async def list_files(request: Request) -> Response:
        gateway = gateway_of(request)
        filters = Filters.from_text(request.query_params.get("filters", ""), _FILTERS)
        found = [f for f in await gateway.client.list_files(kind) if _is_wanted(f, filters)]
        return list_response(found, write_file, gateway.clock)

    async def inspect_file(request: Request) -> Response:
        found = await gateway_of(request).client.get_file(kind, request.path_params["id"])
        return JSONResponse(write_file(found))

    async def create_file(request: Request) -> Response:
        client = gateway_of(request).client
        sent = read_file_spec(await json_body(request), kind)
        created = await client.create_file(
            kind,
            sent.name,
            sent.data or b"",
            labels=sent.labels,
            template_driver=sent.template_driver,
        )
        return JSONResponse({"ID": created}, status_code=201)

    async def update_file(request: Request) -> Response:
        client = gateway_of(request).client
        version = object_version(request)
        sent = read_file_spec(await json_body(request), kind)
        await client.update_file(
            kind,
            request.path_params["id"],
            sent.labels,
            version=version,
            expected_name=sent.name,
            expected_data=sent.data,
        )
        return Response()

    async def remove_file(request: Request) -> Response:
        await gateway_of(request).client.remove_file(kind, request.path_params["id"])
        return Response(status_code=204)

    path = f"/{kind.value}s"
    return [
        Route(path, _named(list_files, f"list_{kind.value}s"), methods=["GET"]),
        Route(f"{path}/create", _named(create_file, f"create_{kind.value}"), methods=["POST"]),
        Route(f"{path}/{{id}}", _named(inspect_file, f"inspect_{kind.value}"), methods=["GET"]),
        Route(f"{path}/{{id}}", _named(remove_file, f"remove_{kind.value}"), methods=["DELETE"]),
        Route(f"{path}/{{id}}/update", _named(update_file, f"update_{kind.value}"),
              methods=["POST"]),
    ]  # fmt: skip


def _named(endpoint: _Endpoint, name: str) -> _Endpoint:
    endpoint.__name__ = name
    return endpoint


def _is_wanted(file: FileView, filters: Filters) -> bool:
    return (
        filters.prefix("id", file.id)
        and filters.prefix("name", file.name)
        and filters.exact("names", file.name)
        and filters.labels("label", file.labels)
    )


ROUTES = [*_routes(FileKind.CONFIG), *_routes(FileKind.SECRET)]
