"""/services: list, inspect, create, update, roll back, remove.

Not here: logs (routes.logs), what a spec means (translate, the control API).
"""

import contextlib
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from berth.client import ControlClient
from berth.errors import (
    AlreadyExistsError,
    BerthError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    UnsupportedError,
    UpstreamError,
)
from berth.model.image import ImageReference
from berth.model.registry_auth import RegistryAuth
from berth.model.service import ServiceSpec
from berth.views import CreatedService, ServiceView, UpdatedService
from gateway.answers import in_slices, rendered, rendered_list, to_json
from gateway.context import Gateway, gateway_of
from gateway.filters import Filters
from gateway.naming import name_of
from gateway.requests import json_body, object_version, registry_auth, strict_query_flag
from gateway.translate.defaults import settled
from gateway.translate.services import write_service
from gateway.translate.spec_in import read_service_spec

_FILTERS = ("id", "label", "mode", "name", "runtime")
_RUNTIMES = ("container", "plugin")
_NAMES_TRIED = 8
_RESOLVING_FAILS = (UpstreamError, NotFoundError, PermissionDeniedError, UnsupportedError)
"""That the registry is away or has no such image is Swarm's warning; all of them change nothing."""


async def list_services(request: Request) -> Response:
    """GET /services."""
    gateway = gateway_of(request)
    filters = Filters.from_text(request.query_params.get("filters", ""), _FILTERS)
    with_status = strict_query_flag(request, "status")
    filters.one_of("runtime", _RUNTIMES)
    services = await gateway.client.list_services()
    found = await in_slices(services, lambda each: _is_wanted(each, filters), gateway.clock)

    renderings = gateway.renderings.for_list(len(found))

    def render(service: ServiceView) -> bytes:
        kind = "service with status" if with_status else "service"
        return renderings.of(lambda: write_service(service, with_status=with_status), kind, service)

    return rendered_list(found, render, gateway.clock)


def _is_wanted(service: ServiceView, filters: Filters) -> bool:
    return (
        filters.prefix("id", service.id)
        and filters.prefix("name", service.spec.name)
        and filters.exact("mode", service.spec.mode.kind.value)
        and filters.exact("runtime", "container")
        and filters.labels("label", service.spec.labels)
    )


async def inspect_service(request: Request) -> Response:
    """GET /services/{id}."""
    insert_defaults = strict_query_flag(request, "insertDefaults")
    gateway = gateway_of(request)
    # As a list of one: of it the same value is given while nothing has changed.
    found = await gateway.client.list_services([request.path_params["id"]])
    kind = "service with defaults" if insert_defaults else "service"
    body = gateway.renderings.body(kind, "", found)
    if body is None:
        body = to_json(write_service(found[0], insert_defaults=insert_defaults))
        gateway.renderings.keep_body(kind, "", found, body)
    return rendered(body)


async def create_service(request: Request) -> Response:
    """POST /services/create."""
    gateway = gateway_of(request)
    spec = read_service_spec(await json_body(request))
    auth = registry_auth(request)
    if spec.name:
        created = await _create(gateway.client, spec, auth)
    else:
        created = await _create_nameless(gateway, spec, auth)
    answer = {"ID": created.id, "Warnings": list(created.warnings)}
    return JSONResponse(answer, status_code=201)


async def _create_nameless(
    gateway: Gateway, spec: ServiceSpec, auth: RegistryAuth | None
) -> CreatedService:
    """Create a service under a name that is free.

    It is drawn here, so that a call that is passed on again cannot make a second service.
    """
    for _ in range(_NAMES_TRIED):
        name = name_of(int.from_bytes(gateway.entropy.token_bytes(4)))
        with contextlib.suppress(AlreadyExistsError):
            return await _create(gateway.client, replace(spec, name=name), auth)
    raise ConflictError(f"{_NAMES_TRIED} names were drawn and all are taken; name the service")


async def _create(
    client: ControlClient, spec: ServiceSpec, auth: RegistryAuth | None
) -> CreatedService:
    """Create a service. A tag that no registry can be asked about stays a tag, as in Swarm."""
    _check_image(spec)
    problem = await _pinning_problem(client, spec.task.container.image, auth)
    created = await client.create_service(spec, registry_auth=auth, no_resolve_image=bool(problem))
    return replace(created, warnings=(*((problem,) if problem else ()), *created.warnings))


def _check_image(spec: ServiceSpec) -> None:
    if not spec.task.container.image:
        raise InvalidRequestError("TaskTemplate.ContainerSpec.Image: is empty; name an image")


async def _pinning_problem(client: ControlClient, image: str, auth: RegistryAuth | None) -> str:
    """Return why a tag cannot be held to a digest, "" when it can or already is.

    The docker CLI resolves tags by itself; where it could not, or was told not to, a tag arrives.
    """
    if ImageReference.from_text(image).is_pinned:
        return ""
    try:
        await client.resolve_image(image, registry_auth=auth)
    except _RESOLVING_FAILS as error:
        return _unresolved(error)
    return ""


def _unresolved(error: BerthError) -> str:
    """Return why the registry did not tell the digest; the service is made all the same.

    So what to do to have it made is left out; that nodes may differ is the cluster's own warning.
    """
    return error.message.partition("; use --no-resolve-image")[0]


async def update_service(request: Request) -> Response:
    """POST /services/{id}/update."""
    client, name = gateway_of(request).client, request.path_params["id"]
    version = object_version(request)
    rollback = request.query_params.get("rollback", "")
    if rollback not in ("", "none", "previous"):
        raise InvalidRequestError(f'unrecognized rollback option "{rollback}"; use previous')
    body = await json_body(request, is_optional=bool(rollback))
    if rollback == "previous":
        updated = await client.rollback_service(name, version=version)
        return JSONResponse({"Warnings": list(updated.warnings)})
    auth_from = request.query_params.get("registryAuthFrom", "")
    spec, auth = read_service_spec(body), registry_auth(request)
    stored = await client.get_service(name)
    spec = settled(spec, stored.spec)
    is_other_image = _without_digest(spec) != _without_digest(stored.spec)
    # Credentials that are stored cannot be tried from here.
    has_stored_auth = auth is None and auth_from != ""
    problem = ""
    if is_other_image and not has_stored_auth:
        problem = await _pinning_problem(client, spec.task.container.image, auth)

    async def update(*, no_resolve: bool) -> UpdatedService:
        return await client.update_service(
            stored.id,
            spec,
            version=version,
            registry_auth=auth,
            registry_auth_from=auth_from,
            no_resolve_image=no_resolve,
        )

    try:
        updated = await update(no_resolve=bool(problem))
    except _RESOLVING_FAILS as error:
        if not (is_other_image and has_stored_auth):
            raise
        problem = _unresolved(error)
        updated = await update(no_resolve=True)
    warnings = [*([problem] if problem else []), *updated.warnings]
    return JSONResponse({"Warnings": warnings})


def _without_digest(spec: ServiceSpec) -> str:
    return spec.task.container.image.partition("@")[0]


async def remove_service(request: Request) -> Response:
    """DELETE /services/{id}."""
    await gateway_of(request).client.remove_service(request.path_params["id"])
    return Response()


ROUTES = [
    Route("/services", list_services, methods=["GET"]),
    Route("/services/create", create_service, methods=["POST"]),
    Route("/services/{id}", inspect_service, methods=["GET"]),
    Route("/services/{id}", remove_service, methods=["DELETE"]),
    Route("/services/{id}/update", update_service, methods=["POST"]),
]
