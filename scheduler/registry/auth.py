"""Prove credentials to a registry: HTTP Basic, and Bearer tokens from a token service.

Duty: read WWW-Authenticate, choose a scheme, write Authorization headers, keep tokens for as long
as they live.
Not here: the HTTP requests for manifests (client), the form of the credentials
(berth.model.registry_auth).
Invariants (tests/unit/scheduler/registry/test_auth.py, tests/contract/test_registry.py): a token
serves only the credentials and the scope that it was given for; no password leaves over plain
HTTP to a token service of a registry that is spoken to over TLS.
"""

import base64
import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from berth.clock import Clock
from berth.model.instant import Instant
from berth.model.registry_auth import RegistryAuth

CLIENT_ID: Final = "berth"
_TOKEN_LIFE_S_DEFAULT: Final = 60.0  # The token specification's, where a service does not say.
_TOKEN_MARGIN_S: Final = 10.0  # No longer used so shortly before the end: a request takes time.
_TOKENS_MAX: Final = 1024

_SCHEME = re.compile(r"[\s,]*([A-Za-z][A-Za-z0-9_-]*)(?=[\s,]|$)")
_PARAMETER = re.compile(r'[\s,]*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to authenticate that a server offers. `scheme` and parameter names are lower case."""

    scheme: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What to ask a token service, and how. A `form` means POST; otherwise GET with `query`."""

    realm: str
    query: Mapping[str, str]
    form: Mapping[str, str] | None
    authorization: str


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Read WWW-Authenticate, in which several challenges may stand; stop at what is not readable.

    `Bearer realm="https://t/token",service="r",scope="a,b", Basic realm="x"` has two.
    """
    challenges = []
    position = 0
    while scheme := _SCHEME.match(header, position):
        position = scheme.end()
        parameters = {}
        while parameter := _PARAMETER.match(header, position):
            position = parameter.end()
            quoted, bare = parameter.group(2), parameter.group(3)
            value = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            parameters[parameter.group(1).lower()] = value
        challenges.append(Challenge(scheme.group(1).lower(), parameters))
    return tuple(challenges)


def choose_challenge(challenges: tuple[Challenge, ...]) -> Challenge | None:
    """Prefer Bearer, which shows the password to the token service only; else Basic; else None."""
    for challenge in challenges:
        if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
            return challenge
    return next((challenge for challenge in challenges if challenge.scheme == "basic"), None)


def basic_authorization(auth: RegistryAuth | None) -> str:
    """Return the Authorization header for name and password, "" without a name."""
    if auth is None or not auth.username:
        return ""
    raw = f"{auth.username}:{auth.password}".encode()
    return "Basic " + base64.b64encode(raw).decode()


def plan_token_request(challenge: Challenge, auth: RegistryAuth | None, scope: str) -> TokenRequest:
    """Decide how to get a token: a refresh token is exchanged by POST, all else goes by GET.

    Args:
        challenge: the registry's Bearer challenge.
        auth: the user's credentials, None for an anonymous token.
        scope: what to ask for when the challenge does not say.
    """
    parameters = challenge.parameters
    wanted = {"service": parameters.get("service", ""), "scope": parameters.get("scope") or scope}
    wanted = {key: value for key, value in wanted.items() if value}
    realm = parameters["realm"]
    if auth is not None and auth.identity_token:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": auth.identity_token,
            "client_id": CLIENT_ID,
            **wanted,
        }
        return TokenRequest(realm, {}, form, "")
    query = dict(wanted)
    if auth is not None and auth.username:
        query["account"] = auth.username
    return TokenRequest(realm, query, None, basic_authorization(auth))


def token_from_answer(document: Any) -> tuple[str, float] | None:
    """Return the token of a token service's answer and its life in seconds; None if it has none."""
    if not isinstance(document, dict):
        return None
    token = document.get("token") or document.get("access_token")
    if not isinstance(token, str) or not token or not token.isprintable():
        return None
    life_s = document.get("expires_in")
    if isinstance(life_s, bool) or not isinstance(life_s, int | float) or life_s <= 0:
        life_s = _TOKEN_LIFE_S_DEFAULT
    return token, float(life_s)


class TokenCache:
    """Tokens by who asked for what; shared by the threads of a resolver."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: OrderedDict[tuple[str, ...], tuple[str, Instant]] = OrderedDict()

    def token(
        self, request: TokenRequest, fetch: Callable[[TokenRequest], tuple[str, float]]
    ) -> str:
        """Return a living token for `request`, by `fetch` when none is kept.

        Two threads may fetch the same token at once; both are good and the later one is kept.
        """
        key = _cache_key(request)
        with self._lock:
            kept = self._tokens.get(key)
            if kept is not None and self._clock.instant() < kept[1]:
                self._tokens.move_to_end(key)
                return kept[0]
        asked_at = self._clock.instant()
        token, life_s = fetch(request)
        good_until = Instant(asked_at + max(life_s - _TOKEN_MARGIN_S, 0.0))
        with self._lock:
            self._tokens[key] = (token, good_until)
            self._tokens.move_to_end(key)
            while len(self._tokens) > _TOKENS_MAX:
                self._tokens.popitem(last=False)
        return token

    def forget(self, request: TokenRequest) -> None:
        """Drop a token that the registry refused."""
        with self._lock:
            self._tokens.pop(_cache_key(request), None)


def _cache_key(request: TokenRequest) -> tuple[str, ...]:
    """Key by a hash of the credentials, so that no secret is kept longer than its request."""
    form = request.form or {}
    secret = request.authorization + "\0" + form.get("refresh_token", "")
    who = hashlib.sha256(secret.encode()).hexdigest()
    what = {**request.query, **form}
    return request.realm, what.get("service", ""), what.get("scope", ""), who
