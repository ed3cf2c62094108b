"""/swarm: what the cluster is; forming and joining one is not done through this API."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from berth.errors import ConflictError, UnsupportedError
from gateway.context import gateway_of
from gateway.translate.cluster import write_swarm

_REFUSALS = {
    "join": "machines join a cluster of Berth by running berth-agent --scheduler HOST:PORT there",
    "leave": "a machine leaves a cluster of Berth when its berth-agent is stopped and its node "
    "removed: docker node rm NODE",
    "update": "use `berth cluster update` to change the settings of a cluster of Berth",
    "unlock": "a cluster of Berth is never locked: its keys are files of the schedulers' machines",
}


async def inspect_swarm(request: Request) -> Response:
    """GET /swarm."""
    return JSONResponse(write_swarm(await gateway_of(request).client.get_cluster()))


async def init_swarm(request: Request) -> Response:
    """POST /swarm/init."""
    raise ConflictError(
        "this is a scheduler of a cluster of Berth already; more schedulers join by being started "
        "on the same etcd"
    )


async def inspect_unlock_key(request: Request) -> Response:
    """GET /swarm/unlockkey: no key, as of a Swarm that is not locked."""
    return JSONResponse({"UnlockKey": ""})


def _refusing(verb: str) -> Callable[[Request], Awaitable[Response]]:
    async def refuse_swarm(request: Request) -> Response:
        raise UnsupportedError(f"docker swarm {verb} is not supported: {_REFUSALS[verb]}")

    return refuse_swarm


ROUTES = [
    Route("/swarm", inspect_swarm, methods=["GET"]),
    Route("/swarm/init", init_swarm, methods=["POST"]),
    Route("/swarm/unlockkey", inspect_unlock_key, methods=["GET"]),
    *(Route(f"/swarm/{verb}", _refusing(verb), methods=["POST"]) for verb in _REFUSALS),
]
