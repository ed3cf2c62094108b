"""/_ping, /version, /info: who answers, and how the cluster is."""

import platform

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from berth.model.image import normalised_platform
from berth.model.service import Platform
from gateway.context import gateway_of
from gateway.translate.cluster import write_info, write_version
from gateway.translate.writing import time_text

_PING_HEADERS = {
    "Builder-Version": "1",
    "Swarm": "active/manager",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
}


async def ping(request: Request) -> Response:
    """GET and HEAD /_ping. It says that this scheduler answers, not that one leads."""
    return PlainTextResponse("OK", headers=_PING_HEADERS)


async def version(request: Request) -> Response:
    """GET /version."""
    own = normalised_platform(Platform(platform.system(), platform.machine()))
    settings = gateway_of(request).settings
    return JSONResponse(write_version(settings.software_version, own.os, own.architecture))


async def info(request: Request) -> Response:
    """GET /info."""
    gateway = gateway_of(request)
    return JSONResponse(
        write_info(
            await gateway.client.get_cluster(),
            await gateway.client.list_nodes(),
            scheduler=gateway.settings.scheduler,
            software_version=gateway.settings.software_version,
            now_text=time_text(gateway.clock.timestamp()),
        )
    )


ROUTES = [
    Route("/_ping", ping, methods=["GET", "HEAD"]),
    Route("/version", version, methods=["GET"]),
    Route("/info", info, methods=["GET"]),
]
