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
_IMAGES = (
    "a cluster of Berth keeps no images: push them to a registry that all nodes reach, with "
    "DOCKER_HOST unset, or pointing to an Engine"
)
_VOLUMES = (
    "volumes are made on the node where a task first mounts them: use docker service create "
    "--mount type=volume,source=NAME,target=PATH"
)
_PLUGINS = "plugins are installed on each node's own Engine: set DOCKER_HOST to that"
_ATTACH = "tasks join the networks of their service: use docker service update --network-add"
_PRUNE = (
    "a cluster of Berth keeps no containers, images or volumes of its own: set DOCKER_HOST to one "
    "node's own Engine to remove what that node does not use"
)
_PRUNE_NETWORKS = "networks of a cluster of Berth are removed by name: use docker network rm NAME"
_LOGIN = (
    "a cluster of Berth does not try credentials: log in with DOCKER_HOST unset, or pointing to an "
    "Engine. The client keeps them and sends them along with --with-registry-auth"
)

_NOTHING_USED = {
    "LayersSize": 0, "Images": [], "Containers": [], "Volumes": [], "BuildCache": [],
}  # fmt: skip


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
    Route("/images/prune", _refused(_PRUNE), methods=["POST"]),
    Route("/images/create", _refused(_IMAGES), methods=["POST"]),
    Route("/images/{id:path}/json", _absent("image"), methods=["GET"]),
    Route("/images/{rest:path}", _refused(_IMAGES), methods=["GET", "POST", "DELETE"]),
    Route("/commit", _refused(_IMAGES), methods=["POST"]),
    Route("/networks/{id}/connect", _refused(_ATTACH), methods=["POST"]),
    Route("/networks/{id}/disconnect", _refused(_ATTACH), methods=["POST"]),
    Route("/build", _refused(_RUN), methods=["POST"]),
    Route("/volumes", _empty({"Volumes": [], "Warnings": []}), methods=["GET"]),
    Route("/volumes/create", _refused(_VOLUMES), methods=["POST"]),
    Route("/volumes/{id}", _absent("volume"), methods=["GET", "DELETE"]),
    Route("/containers/prune", _refused(_PRUNE), methods=["POST"]),
    Route("/volumes/prune", _refused(_PRUNE), methods=["POST"]),
    Route("/build/prune", _refused(_PRUNE), methods=["POST"]),
    Route("/networks/prune", _refused(_PRUNE_NETWORKS), methods=["POST"]),
    Route("/system/df", _empty(_NOTHING_USED), methods=["GET"]),
    Route("/auth", _refused(_LOGIN), methods=["POST"]),
    Route("/plugins", _empty([]), methods=["GET"]),
    Route("/plugins/{id:path}/json", _absent("plugin"), methods=["GET"]),
    Route("/plugins/{rest:path}", _refused(_PLUGINS), methods=["GET", "POST", "DELETE"]),
]
