"""Paths of Docker that Berth has nothing behind, answered so that clients go on or say why not.

Duty: empty lists where clients look in passing (`docker ps`, `docker inspect`, Portainer), clear
refusals where they would act.
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from berth.errors import NotFoundError, UnsupportedError

_Endpoint = Callable[[Request], Awaitable[Response]]

_RUN = (
    "a cluster of Berth runs services, not single containers: use docker service create, or set "
    "DOCKER_HOST to one node's own Engine"
)


def _empty(body: object) -> _Endpoint:
    async def list_nothing(request: Request) -> Response:
        return JSONResponse(body)

    return list_nothing


def _absent(kind: str) -> _Endpoint:
    async def find_nothing(request: Request) -> Response:
        raise NotFoundError(f"No such {kind}: {request.path_params['id']}")

    return find_nothing


def _refused(text: str) -> _Endpoint:
    async def refuse(request: Request) -> Response:
        raise UnsupportedError(text)

    return refuse


ROUTES = [
    Route("/containers/json", _empty([]), methods=["GET"]),
    Route("/containers/create", _refused(_RUN), methods=["POST"]),
    Route("/containers/{id}/{verb}", _absent("container"), methods=["GET", "POST"]),
    Route("/containers/{id}", _absent("container"), methods=["DELETE"]),
    Route("/images/json", _empty([]), methods=["GET"]),
    Route("/images/create", _refused(_RUN), methods=["POST"]),
    Route("/images/{id:path}/json", _absent("image"), methods=["GET"]),
    Route("/build", _refused(_RUN), methods=["POST"]),
    Route("/volumes", _empty({"Volumes": [], "Warnings": []}), methods=["GET"]),
    Route("/volumes/create", _refused(_RUN), methods=["POST"]),
    Route("/volumes/{id}", _absent("volume"), methods=["GET", "DELETE"]),
    Route("/plugins", _empty([]), methods=["GET"]),
    Route("/plugins/{id:path}/json", _absent("plugin"), methods=["GET"]),
]
