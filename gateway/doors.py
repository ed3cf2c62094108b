"""The ways into the Docker API, and who comes in by which.

Duty: say who calls (what listens says how it was reached), refuse what may not come in at all, and
refuse each route to those whose role does not reach (berth.access).
Not here: listening and TLS (scheduler.http_listener), the table of roles (berth.access).

Invariants (tests/unit/gateway/test_doors.py): a request that came in by no door is refused, so that
a door which is forgotten is shut; a refusal says who, what, and which role is needed.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from berth.access import UserRole, needed_for_route, refusal_words
from berth.errors import BerthError, PermissionDeniedError
from berth.wire.tls import PeerIdentity, Role, identity_of_der
from gateway.config import is_loopback
from gateway.errors import error_response

CALLER_KEY: Final = "berth.caller"
CERTIFICATE_KEY: Final = "berth.certificate"
"""In a request's `state`: the certificate that its sender has proved to bear, as DER."""

_Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request, and what they may do."""

    name: str
    role: UserRole


_LOCAL: Final = Caller("whoever reaches this machine's own door", UserRole.ADMIN)


def local_door(app: ASGIApp) -> ASGIApp:
    """Return `app` for an address whose very reach makes an administrator, such as our socket."""

    async def let_in(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, CALLER_KEY: _LOCAL}, receive, send)

    return let_in


def loopback_door(app: ASGIApp) -> ASGIApp:
    """Return `app` for a loopback address: what asks for it by another name is a web page.

    A page of a stranger may let its own name point to 127.0.0.1, and a browser then lets it speak
    to us as to itself.
    """
    inner = local_door(app)

    async def check_host(scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host", "")
        if is_loopback(host if ":" in host.rpartition("]")[2] else f"{host}:0"):
            await inner(scope, receive, send)
            return
        refusal = PermissionDeniedError(
            f'the Docker API is not served under the name "{host}"; use 127.0.0.1 or localhost'
        )
        await error_response(refusal)(scope, receive, send)

    return check_host


def shut_door(text: str) -> ASGIApp:
    """Return the application for an address where the Docker API is not served; `text` says why."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await error_response(PermissionDeniedError(text))(scope, receive, send)

    return refuse


def tls_door(app: ASGIApp, otherwise: ASGIApp) -> ASGIApp:
    """Return `app` for those who showed a certificate; others come to `otherwise`."""

    async def identify(scope: Scope, receive: Receive, send: Send) -> None:
        certificate = scope.get("state", {}).get(CERTIFICATE_KEY)
        if certificate is None:
            await otherwise(scope, receive, send)
            return
        try:
            caller = _caller(identity_of_der(certificate))
        except BerthError as error:
            await error_response(error)(scope, receive, send)
            return
        await app({**scope, CALLER_KEY: caller}, receive, send)

    return identify


def _caller(peer: PeerIdentity) -> Caller:
    if peer.role is Role.AGENT:
        raise PermissionDeniedError(
            f'"{peer.name}" is an agent, and may not use the Docker API; use a certificate of one '
            f"of the roles {', '.join(UserRole)}"
        )
    # A scheduler's certificate opens the Control API whole.
    return Caller(peer.name, peer.user_role or UserRole.ADMIN)


def guarded(routes: Sequence[Route]) -> list[Route]:
    """Return `routes`, each of them closed to those whose role does not reach."""
    return [_guarded(route) for route in routes]


def _guarded(route: Route) -> Route:
    endpoint: _Endpoint = route.endpoint
    methods = sorted(route.methods or ())
    needed = {method: needed_for_route(method, route.path) for method in methods}

    @wraps(endpoint)  # Metrics call a route by its function.
    async def check_role(request: Request) -> Response:
        method = request.method
        _check(request.scope, needed[method], f"{method} {route.path}")
        return await endpoint(request)

    return Route(route.path, check_role, methods=methods)


def _check(scope: Any, needed: UserRole, what: str) -> None:
    caller = scope.get(CALLER_KEY)
    if not isinstance(caller, Caller):
        raise PermissionDeniedError("the Docker API is not served here; use one of its addresses")
    if not caller.role.allows(needed):
        raise PermissionDeniedError(refusal_words(caller.name, caller.role, needed, what))
