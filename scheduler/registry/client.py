"""Speak the Registry HTTP API v2 about one image, blocking.

Duty: find out whether the registry speaks TLS, authenticate when asked to, fetch manifests and
small blobs, verify their digests, and turn every failure into an error with a way out.
Not here: what a manifest means (resolve), the event loop (resolve), what a challenge means (auth).
Invariants (tests/contract/test_registry.py): no body is returned that does not match the digest
that named it; every wait is bounded, a trickling body too; plain HTTP is spoken to loopback and
to registries listed as insecure, never to others.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

import requests

from berth.clock import Clock
from berth.model.image import DEFAULT_REGISTRY, ImageReference
from berth.model.instant import Instant
from berth.model.registry_auth import RegistryAuth
from scheduler.registry.auth import (
    TokenCache,
    TokenRequest,
    basic_authorization,
    choose_challenge,
    parse_challenges,
    plan_token_request,
    token_from_answer,
)
from scheduler.registry.errors import (
    WITHOUT_REGISTRY,
    ImageNotFoundError,
    RegistryDeniedError,
    RegistryUnreachableError,
)
from scheduler.registry.transport import Answer, RegistrySettings, Transport, clean, reason

MANIFEST_MEDIA_TYPES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_DOCKER_HUB_HOST: Final = "registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or a list of them, as its registry holds it; the body matches the digest."""

    body: bytes
    content_type: str
    digest: str


class RepositoryClient:
    """One conversation with the registry of one image, with one user's credentials.

    For one thread at a time. Use as a context manager, so that its connections are closed.
    """

    def __init__(
        self,
        reference: ImageReference,
        auth: RegistryAuth | None,
        settings: RegistrySettings,
        tokens: TokenCache,
        clock: Clock,
        deadline: Instant,
    ) -> None:
        self._reference = reference
        self._auth = None if auth is None or auth.is_anonymous else auth
        self._settings = settings
        self._tokens = tokens
        self._transport = Transport(settings, clock, deadline)
        is_hub = reference.registry == DEFAULT_REGISTRY
        self._authority = _DOCKER_HUB_HOST if is_hub else reference.registry
        self._is_insecure = settings.is_insecure(self._authority)
        self._origin = ""  # Scheme and authority, once one has answered.
        self._authorization = ""
        self._token_request: TokenRequest | None = None
        self._has_renewed_token = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def manifest_digest(self, target: str) -> str:
        """Return the digest behind a tag or digest by HEAD, "" when the registry does not say.

        HEAD does not count against the pull limit of Docker Hub.
        """
        answer = self._ask("HEAD", f"manifests/{target}", MANIFEST_MEDIA_TYPES)
        if answer.status != requests.codes.ok:
            return ""
        digest = answer.headers.get("Docker-Content-Digest", "")
        return digest if _hash_of(digest, b"") is not None else ""

    def manifest(self, target: str) -> Manifest:
        """Fetch the manifest behind a tag or digest and verify it.

        Raises:
            ImageNotFoundError: there is none.
            RegistryDeniedError: other credentials are needed.
            RegistryUnreachableError: everything else; retry later.
        """
        answer = self._ask("GET", f"manifests/{target}", MANIFEST_MEDIA_TYPES)
        self._raise_for_status(answer)
        claimed = [answer.headers.get("Docker-Content-Digest", "")]
        if ":" in target:
            claimed.insert(0, target)
        for digest in filter(None, claimed):
            self._verify(digest, answer.body, "manifest")
        own = "sha256:" + hashlib.sha256(answer.body).hexdigest()
        content_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        return Manifest(answer.body, content_type, next(filter(None, claimed), own))

    def blob(self, digest: str) -> bytes:
        """Fetch a small blob, such as an image's configuration, and verify it."""
        answer = self._ask("GET", f"blobs/{digest}", ("*/*",))
        self._raise_for_status(answer)
        self._verify(digest, answer.body, "blob")
        return answer.body

    def _verify(self, digest: str, body: bytes, what: str) -> None:
        if _hash_of(digest, body) != digest:
            raise self._unreachable(
                f"sent a {what} that does not match its digest {clean(digest)}; "
                "look for a broken proxy or cache in between"
            )

    def _ask(self, method: str, path: str, accept: tuple[str, ...]) -> Answer:
        """Send one request, and again with (fresh) credentials when it is refused for them."""
        while True:
            headers = {"Accept": ", ".join(accept)}
            if self._authorization:
                headers["Authorization"] = self._authorization
            answer = self._send_to_registry(method, path, headers)
            if answer.status != requests.codes.unauthorized or not self._renew(answer):
                return answer

    def _renew(self, refusal: Answer) -> bool:
        """Get other credentials than those just refused; False when there are none."""
        challenge = choose_challenge(parse_challenges(refusal.headers.get("WWW-Authenticate", "")))
        if challenge is None:
            return False
        before = self._authorization
        if challenge.scheme == "basic":
            self._authorization = basic_authorization(self._auth)
        elif self._auth is not None and self._auth.registry_token:
            self._authorization = f"Bearer {self._auth.registry_token}"
        else:
            scope = f"repository:{self._reference.repository}:pull"
            request = plan_token_request(challenge, self._auth, scope)
            if request == self._token_request:  # What it gave was refused: it may have aged.
                if self._has_renewed_token:
                    return False
                self._has_renewed_token = True
                self._tokens.forget(request)
            self._token_request = request
            token = self._tokens.token(request, self._fetch_token)
            self._authorization = f"Bearer {token}"
        return self._authorization not in ("", before)

    def _fetch_token(self, request: TokenRequest) -> tuple[str, float]:
        realm = urlsplit(request.realm)
        service = f"its token service {clean(realm.netloc)}"
        if realm.scheme not in ("http", "https") or not realm.hostname:
            raise self._unreachable(f'names "{clean(request.realm)}" as its token service')
        shows_secret = bool(request.authorization or request.form)
        is_insecure = self._settings.is_insecure(realm.netloc)
        if realm.scheme == "http" and shows_secret and not is_insecure:
            raise self._unreachable(
                f"wants the password sent over plain HTTP to {service}; "
                "if that network is safe, add it to insecure_registries"
            )
        headers = {"Accept": "application/json"}
        if request.authorization:
            headers["Authorization"] = request.authorization
        try:
            answer = self._transport.send(
                "GET" if request.form is None else "POST",
                request.realm,
                headers,
                is_verified=not is_insecure,
                query=dict(request.query),
                form=None if request.form is None else dict(request.form),
            )
        except requests.RequestException as error:
            raise self._unreachable(f"{reason(error)} at {service}") from error
        if answer.status in (requests.codes.unauthorized, requests.codes.forbidden):
            raise self._denied(f"{service} says {_registry_words(answer)}")
        token = (
            token_from_answer(_json(answer.body)) if answer.status == requests.codes.ok else None
        )
        if token is None:
            raise self._unreachable(f"got no token: {service} says {_registry_words(answer)}")
        return token

    def _send_to_registry(self, method: str, path: str, headers: dict[str, str]) -> Answer:
        """Send to the origin that has answered before, else find out which one does."""
        origins = [self._origin] if self._origin else [f"https://{self._authority}"]
        if self._is_insecure and not self._origin:
            origins.append(f"http://{self._authority}")
        failure: requests.RequestException | None = None
        for origin in origins:
            url = f"{origin}/v2/{self._reference.repository}/{path}"
            try:
                answer = self._transport.send(
                    method, url, headers, is_verified=not self._is_insecure
                )
            except requests.Timeout as error:  # Nobody is there: the other scheme is no better.
                raise self._unreachable(reason(error)) from error
            except requests.RequestException as error:
                failure = error
                continue
            self._origin = origin
            return answer
        assert failure is not None
        raise self._unreachable(reason(failure)) from failure

    def _raise_for_status(self, answer: Answer) -> None:
        if answer.status == requests.codes.ok:
            return
        registry, image = self._reference.registry, self._reference.familiar
        if answer.status == requests.codes.not_found:
            words = "" if _is_registry_json(answer) else f"; is {registry} a registry at all?"
            raise ImageNotFoundError(
                f'registry {registry} has no image "{image}": check its name and tag, '
                f"or push it{words}"
            )
        if answer.status in (requests.codes.unauthorized, requests.codes.forbidden):
            raise self._denied(f"it says {_registry_words(answer)}")
        if answer.status == requests.codes.too_many_requests:
            raise self._unreachable("limits how often it may be asked; log in or retry later")
        raise self._unreachable(f"says {_registry_words(answer)}")

    def _denied(self, problem: str) -> RegistryDeniedError:
        registry, image = self._reference.registry, self._reference.familiar
        who = "without credentials" if self._auth is None else f'for user "{self._auth.username}"'
        return RegistryDeniedError(
            f'registry {registry} denies image "{image}" {who}: {problem}; check the name, run '
            f"`docker login {registry}` and pass --with-registry-auth"
        )

    def _unreachable(self, problem: str) -> RegistryUnreachableError:
        registry, image = self._reference.registry, self._reference.familiar
        return RegistryUnreachableError(
            f'cannot resolve image "{image}": registry {registry} {problem}; {WITHOUT_REGISTRY}'
        )


def _hash_of(digest: str, body: bytes) -> str | None:
    """Return the digest of `body` by the algorithm of `digest`, None when it is not known."""
    algorithm = digest.partition(":")[0]
    if algorithm not in ("sha256", "sha384", "sha512"):
        return None
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _is_registry_json(answer: Answer) -> bool:
    document = _json(answer.body)
    return isinstance(document, dict) and isinstance(document.get("errors"), list)


def _registry_words(answer: Answer) -> str:
    """Return status and, where it sent one, the registry's own message."""
    document = _json(answer.body)
    said = ""
    if isinstance(document, dict):
        errors = document.get("errors")
        first = errors[0] if isinstance(errors, list) and errors else document
        if isinstance(first, dict):
            said = str(first.get("message") or first.get("details") or first.get("error") or "")
    return f"{answer.status} ({clean(said)})" if said else str(answer.status)
