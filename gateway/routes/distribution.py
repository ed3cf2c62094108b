"""/distribution/{name}/json: what a registry says of an image; the docker CLI pins tags by it."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.context import gateway_of
from gateway.requests import registry_auth
from gateway.translate.writing import without_empty


async def inspect_distribution(request: Request) -> Response:
    """GET /distribution/{name}/json."""
    found = await gateway_of(request).client.resolve_image(
        request.path_params["name"], registry_auth=registry_auth(request)
    )
    descriptor = {
        "mediaType": found.media_type,
        "digest": found.digest,
        "size": found.size,
    }
    platforms = [
        without_empty({"architecture": each.architecture, "os": each.os, "variant": each.variant})
        for each in found.platforms
    ]
    return JSONResponse({"Descriptor": descriptor, "Platforms": platforms})


ROUTES = [Route("/distribution/{name:path}/json", inspect_distribution, methods=["GET"])]
