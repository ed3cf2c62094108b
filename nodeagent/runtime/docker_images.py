"""Make images present, prove that they are the ones asked for, remove those nobody needs.

Duty: pull by digest or tag with progress and credentials; verify; remember what was pulled.
Not here: back-off between pulls (nodeagent.core.backoff), resolving tags (the scheduler does).
Invariants (tests/contract/test_docker_runtime.py): an image pinned by digest and present is not
pulled; what is returned for a pinned image carries exactly that digest; an image that Berth did not
pull is never removed.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import docker.errors
import structlog

from berth.clock import Clock
from berth.errors import InvalidRequestError, RetryRule
from berth.model.image import ImageReference
from berth.model.instant import Timestamp
from berth.model.registry_auth import RegistryAuth
from nodeagent.runtime.docker_errors import (
    TRANSPORT_ERRORS,
    call_error,
    is_conflict,
    is_not_found,
    pull_call_error,
    pull_error,
)
from nodeagent.runtime.engine_pool import EnginePool
from nodeagent.runtime.json_lines import JsonLines
from nodeagent.runtime.observer import PullOutcome, RuntimeObserver
from nodeagent.runtime.port import (
    PulledImage,
    PullProgress,
    RegistryCredentials,
    RuntimeCallError,
)
from nodeagent.runtime.pull_meter import PullMeter
from nodeagent.runtime.pulled_images import PulledImages
from nodeagent.runtime.seen import ImageFacts, image_facts

_SILENCE_TIMEOUT_S = 300.0
"""A pull of which the Engine says nothing for so long has failed."""

_log = structlog.get_logger(__name__)


class DockerImages:
    """The images of one Engine."""

    def __init__(
        self,
        pool: EnginePool,
        *,
        pulled: PulledImages,
        clock: Clock,
        observer: RuntimeObserver,
        parallel_pulls: int,
    ) -> None:
        """Prepare; `parallel_pulls` is how many pulls may be under way at once."""
        self._pool = pool
        self._pulled = pulled
        self._clock = clock
        self._observer = observer
        self._pull_slots = asyncio.Semaphore(parallel_pulls)
        self._facts: dict[str, ImageFacts] = {}  # By image ID, which never changes its meaning.

    async def pull(
        self,
        image: str,
        credentials: RegistryCredentials | None,
        on_progress: Callable[[PullProgress], None],
    ) -> PulledImage:
        """Make `image` present.

        Raises:
            RuntimeCallError: see `ContainerRuntime.pull`.
        """
        try:
            reference = ImageReference.from_text(image)
        except InvalidRequestError as error:
            raise RuntimeCallError(error.message, retry=RetryRule.NEVER) from error
        started = self._clock.instant()
        meter = PullMeter()
        outcome = PullOutcome.FAILED
        try:
            if facts := await self._present_if_pinned(reference):
                outcome = PullOutcome.PRESENT
            else:
                async with self._pull_slots:
                    # Another task of the same service may have pulled it while this one waited.
                    if facts := await self._present_if_pinned(reference):
                        outcome = PullOutcome.PRESENT
                    else:
                        facts, outcome = await self._pull_or_fall_back(
                            reference, credentials, meter, on_progress
                        )
        finally:
            seconds = self._clock.instant() - started
            self._observer.pull(seconds, meter.progress.bytes_done, outcome)
        return PulledImage(
            reference=image,
            # An image may have several digests under one name: the pull said which one it is.
            digest=meter.digest or facts.digest_for(image),
            image_id=facts.image_id,
            platform=facts.platform,
        )

    async def facts(self, reference: str) -> ImageFacts | None:
        """Return what the Engine knows of an image by ID or name; None where it is gone.

        Raises:
            RuntimeCallError: the Engine did not answer.
        """
        if known := self._facts.get(reference):
            return known
        try:
            document: dict[str, Any] = await self._pool.call(
                "inspect_image",
                f"inspect image {reference}",
                lambda client: client.inspect_image(reference),
                raises_raw=True,
            )
        except docker.errors.APIError as error:
            if is_not_found(error):
                return None
            raise call_error(f"inspect image {reference}", error, is_final=False) from error
        return image_facts(document)

    async def facts_by_id(self, image_id: str) -> ImageFacts | None:
        """Return what the Engine knows of an image, remembered: called for every container."""
        facts = await self.facts(image_id)
        # Without a digest it may still get one, when the same image is pulled or pushed.
        if facts is not None and facts.digests:
            self._facts[image_id] = facts
        return facts

    async def remove_unused(self, older_than_s: float, image_ids_in_use: Iterable[str]) -> int:
        """Remove images that Berth pulled and nobody has used for `older_than_s` seconds.

        Returns:
            The bytes that were freed.
        """
        in_use = set(image_ids_in_use)
        now = self._clock.timestamp()
        freed_bytes = 0
        for reference, used_at in (await self._pool.run(self._pulled.last_used)).items():
            facts = await self.facts(reference)
            if facts is None:
                await self._forget(reference)
            elif facts.image_id in in_use:
                await self._record(reference, now)
            elif now - used_at >= older_than_s:
                freed_bytes += await self._remove(reference, facts)
        return freed_bytes

    async def _present_if_pinned(self, reference: ImageReference) -> ImageFacts | None:
        if not reference.is_pinned:
            return None
        name = _pull_name(reference)
        facts = await self.facts(name)
        if facts is not None:
            _verify(reference, facts)
            # Ours only if we pulled it: an image that an operator put there stays theirs.
            if name in await self._pool.run(self._pulled.last_used):
                await self._record(name, self._clock.timestamp())
        return facts

    async def _pull_or_fall_back(
        self,
        reference: ImageReference,
        credentials: RegistryCredentials | None,
        meter: PullMeter,
        on_progress: Callable[[PullProgress], None],
    ) -> tuple[ImageFacts, PullOutcome]:
        name = _pull_name(reference)
        was_there = await self.facts(name)
        try:
            await self._pull_from_registry(reference, credentials, meter, on_progress)
        except RuntimeCallError as error:
            facts = None if reference.is_pinned else await self.facts(name)
            if facts is None:
                raise
            # As Docker does for a tag: what is there serves, and may be older than the registry's.
            _log.warning("pull_fell_back_to_present_image", image=name, reason=error.message)
            return facts, PullOutcome.FELL_BACK
        facts = await self.facts(name)
        if facts is None:
            raise RuntimeCallError(
                f"cannot pull {name}: the image was gone right after it was pulled; something "
                "removes images on this node",
                retry=RetryRule.LATER,
            )
        _verify(reference, facts)
        if was_there is None or name in await self._pool.run(self._pulled.last_used):
            await self._record(name, self._clock.timestamp())
        return facts, PullOutcome.PULLED

    async def _pull_from_registry(
        self,
        reference: ImageReference,
        credentials: RegistryCredentials | None,
        meter: PullMeter,
        on_progress: Callable[[PullProgress], None],
    ) -> None:
        name = _pull_name(reference)
        params = {
            "fromImage": reference.familiar_name,
            "tag": reference.digest or reference.tag,
        }
        messages = JsonLines()
        shown = meter.progress
        try:
            async with (
                self._pool.stream(
                    "pull",
                    "POST",
                    "/images/create",
                    params=params,
                    headers=_auth_header(credentials),
                    read_timeout_s=_SILENCE_TIMEOUT_S,
                ) as stream,
                contextlib.aclosing(stream.batches()) as batches,
            ):
                async for batch in batches:
                    for message in messages.feed(batch):
                        if fault := message.get("error"):
                            raise pull_error(name, str(fault))
                        meter.feed(message)
                    if meter.progress != shown:
                        shown = meter.progress
                        on_progress(shown)
        except (*TRANSPORT_ERRORS, ValueError) as error:
            raise pull_call_error(name, error) from error

    async def _remove(self, reference: str, facts: ImageFacts) -> int:
        try:
            removed: list[dict[str, str]] = await self._pool.call(
                "remove_image",
                f"remove image {reference}",
                lambda client: client.remove_image(reference),
                raises_raw=True,
            )
        except docker.errors.APIError as error:
            if is_conflict(error):  # A container came to use it meanwhile.
                return 0
            if not is_not_found(error):
                raise call_error(f"remove image {reference}", error, is_final=False) from error
            removed = []
        await self._forget(reference)
        self._facts.pop(facts.image_id, None)
        # Untagged alone frees nothing: the image has another name.
        return facts.size_bytes if any("Deleted" in entry for entry in removed) else 0

    async def _record(self, reference: str, used_at: Timestamp) -> None:
        await self._pool.run(lambda: self._pulled.record(reference, used_at))

    async def _forget(self, reference: str) -> None:
        await self._pool.run(lambda: self._pulled.forget(reference))


def _pull_name(reference: ImageReference) -> str:
    """Return what is pulled: a digest where there is one, and then the tag does not matter."""
    if reference.digest:
        return f"{reference.familiar_name}@{reference.digest}"
    return reference.familiar


def _verify(reference: ImageReference, facts: ImageFacts) -> None:
    """Refuse an image that is not the one asked for."""
    if reference.is_pinned and _pull_name(reference) not in facts.digests:
        found = ", ".join(facts.digests) or "none"
        raise RuntimeCallError(
            f"image {reference.familiar} is not what the Engine has under that name (its digests: "
            f"{found}); remove the image {facts.image_id} from this node",
            retry=RetryRule.NEVER,
        )


def _auth_header(credentials: RegistryCredentials | None) -> dict[str, str]:
    """Return the header that carries credentials; an empty one keeps the machine's own out."""
    if credentials is None:
        return {"X-Registry-Auth": RegistryAuth().to_header()}
    auth = RegistryAuth(
        username=credentials.username,
        password=credentials.password,
        identity_token=credentials.identity_token,
        registry_token=credentials.registry_token,
        server_address=credentials.server_address,
    )
    return {"X-Registry-Auth": auth.to_header()}
