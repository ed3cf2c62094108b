"""Find out which image a reference means now, and for which platforms it was built.

Duty: hold a tag to a digest, read platforms from manifest lists and configurations, and keep the
blocking client away from the event loop.
Not here: HTTP (transport), the registry's protocol (client).
Invariants (tests/contract/test_registry.py): the digest is that of bytes which we saw and hashed,
now or before; what is remembered is never answered without the registry's leave for these
credentials.
"""

import asyncio
import json
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from berth.clock import Clock
from berth.errors import UnsupportedError
from berth.model.image import ImageReference, normalised_platform
from berth.model.instant import Instant, after
from berth.model.registry_auth import RegistryAuth
from berth.model.service import Platform
from scheduler.registry.auth import TokenCache
from scheduler.registry.client import MANIFEST_MEDIA_TYPES, Manifest, RepositoryClient
from scheduler.registry.errors import WITHOUT_REGISTRY, RegistryUnreachableError
from scheduler.registry.transport import RegistrySettings

_REMEMBERED_MAX: Final = 4096
_ATTESTATION: Final = "vnd.docker.reference.type"


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """The image behind a reference.

    `size_bytes` is the manifest's, as Docker reports it. `platforms` is empty when the image does
    not say what it was built for; such an image may run anywhere.
    """

    reference_pinned: str
    digest: str
    media_type: str
    size_bytes: int
    platforms: tuple[Platform, ...]


@dataclass(frozen=True, slots=True)
class _Description:
    """What a digest stands for; it can never change."""

    media_type: str
    size_bytes: int
    platforms: tuple[Platform, ...]


class ImageResolver:
    """Resolves references, a bounded number at a time, in threads of its own. Close it."""

    def __init__(self, settings: RegistrySettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._tokens = TokenCache(clock)
        self._lock = threading.Lock()
        self._remembered: OrderedDict[tuple[str, str, str], _Description] = OrderedDict()
        self._threads = ThreadPoolExecutor(settings.concurrency_max, "registry")

    def configure(self, settings: RegistrySettings) -> None:
        """Ask by other settings from the next question on; threads stay as many as they are."""
        self._settings = settings

    async def resolve(self, reference: str, auth: RegistryAuth | None) -> ResolvedImage:
        """Ask the registry which image `reference` means.

        Raises:
            InvalidRequestError: `reference` is not one.
            ImageNotFoundError: the registry has no such image.
            RegistryDeniedError: it wants (other) credentials.
            RegistryUnreachableError: it does not answer, or not as it should; retry later.
            UnsupportedError: the manifest is of a kind that Docker does not run.
        """
        parsed = ImageReference.from_text(reference)
        timeout_s = self._settings.total_timeout_s
        deadline = after(self._clock.instant(), timeout_s)
        loop = asyncio.get_running_loop()
        try:
            # The thread keeps the deadline by itself; this is for what it cannot bound (DNS).
            async with asyncio.timeout(timeout_s):
                return await loop.run_in_executor(
                    self._threads, self._resolve_blocking, parsed, auth, deadline
                )
        except TimeoutError as error:
            raise RegistryUnreachableError(
                f'cannot resolve image "{parsed.familiar}": registry {parsed.registry} gave no '
                f"answer within {timeout_s:g} s; {WITHOUT_REGISTRY}"
            ) from error

    def close(self) -> None:
        """Let threads end by themselves and start no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _resolve_blocking(
        self, reference: ImageReference, auth: RegistryAuth | None, deadline: Instant
    ) -> ResolvedImage:
        with RepositoryClient(
            reference, auth, self._settings, self._tokens, self._clock, deadline
        ) as client:
            digest = client.manifest_digest(reference.digest or reference.tag)
            if digest and reference.digest:  # The registry has no say in what the user pinned.
                digest = reference.digest
            place = (reference.registry, reference.repository)
            description = self._recall((*place, digest)) if digest else None
            if description is None:
                manifest = client.manifest(digest or reference.digest or reference.tag)
                digest = manifest.digest
                description = _describe(reference, manifest, client)
                self._remember((*place, digest), description)
        return ResolvedImage(
            reference_pinned=reference.pinned(digest).familiar,
            digest=digest,
            media_type=description.media_type,
            size_bytes=description.size_bytes,
            platforms=description.platforms,
        )

    def _recall(self, key: tuple[str, str, str]) -> _Description | None:
        with self._lock:
            if key in self._remembered:
                self._remembered.move_to_end(key)
            return self._remembered.get(key)

    def _remember(self, key: tuple[str, str, str], description: _Description) -> None:
        with self._lock:
            self._remembered[key] = description
            while len(self._remembered) > _REMEMBERED_MAX:
                self._remembered.popitem(last=False)


def _describe(
    reference: ImageReference, manifest: Manifest, client: RepositoryClient
) -> _Description:
    document = _object(manifest.body)
    media_type = str(document.get("mediaType") or manifest.content_type)
    is_list, is_image = "manifests" in document, "config" in document
    # One that is both would mean different images to different Engines (CVE-2021-41190).
    if media_type not in MANIFEST_MEDIA_TYPES or is_list == is_image:
        raise UnsupportedError(
            f'image "{reference.familiar}" has a manifest of type "{media_type[:100]}", which is '
            "no image of today: push it again with a current Docker or BuildKit"
        )
    if is_list:
        platforms = platforms_of_list(document)
    else:
        config = document["config"]
        digest = str(config.get("digest", "")) if isinstance(config, dict) else ""
        platforms = platforms_of_config(_object(client.blob(digest)))
    return _Description(media_type, len(manifest.body), platforms)


def platforms_of_list(document: dict[str, Any]) -> tuple[Platform, ...]:
    """Return the platforms of a manifest list in its order, without attestations."""
    entries = document.get("manifests")
    platforms: dict[Platform, None] = {}
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict):
            continue
        annotations = entry.get("annotations")
        if isinstance(annotations, dict) and _ATTESTATION in annotations:
            continue
        for platform in platforms_of_config(entry.get("platform")):
            platforms[platform] = None
    return tuple(platforms)


def platforms_of_config(document: object) -> tuple[Platform, ...]:
    """Return the platform that a configuration or a list's entry names, if it names one."""
    if not isinstance(document, dict):
        return ()
    names = [str(document.get(key) or "") for key in ("os", "architecture", "variant")]
    if not (names[0] or names[1]) or "unknown" in names[:2]:
        return ()
    return (normalised_platform(Platform(*names)),)


def _object(body: bytes) -> dict[str, Any]:
    """Read a JSON object; anything else has none of the fields that are looked for."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
