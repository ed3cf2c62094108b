"""Which image a service's tasks run: hold a tag to a digest, once, for all nodes.

Duty: decide whether the registry must be asked (pure: `plan_pin`), ask it, and write the answer
into the spec (`pinned_spec`). Not here: the registry's protocol (scheduler.registry).

An update keeps the digest as long as the image's text, digest aside, stays the same: scaling or
labelling a service never changes what it runs, though its tag may have moved meanwhile.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from berth.errors import NotFoundError, PermissionDeniedError, UnavailableError, UnsupportedError
from berth.model.image import ImageReference, normalised_platform
from berth.model.registry_auth import RegistryAuth
from berth.model.service import ContainerSpec, Platform, ServiceSpec
from berth.wire.shared_parts import Recent
from scheduler.registry import ResolvedImage

_PINNED: Recent[tuple[int, str], tuple[ContainerSpec, ContainerSpec]] = Recent(16)
"""By a container's identity, which no other has while it is held here, and its digest."""


class Resolver(Protocol):
    """What is asked of `scheduler.registry.ImageResolver`."""

    async def resolve(self, reference: str, auth: RegistryAuth | None) -> ResolvedImage:
        """Return the image behind `reference`; see `ImageResolver.resolve`."""
        ...


class PinAction(StrEnum):
    """What to do about an image."""

    KEEP = "keep"  # As it is; the previous digest holds.
    RESOLVE = "resolve"  # Ask the registry which digest the tag means.
    DESCRIBE = "describe"  # The digest is given; ask for its platforms only.
    TRUST = "trust"  # The user wants no registry asked.


@dataclass(frozen=True, slots=True)
class PinPlan:
    """What to do, with which reference, and whether the platforms of before still hold."""

    action: PinAction
    image: str
    keeps_platforms: bool
    warning: str = ""

    @property
    def asks_registry(self) -> bool:
        """True when the registry is needed."""
        return self.action in (PinAction.RESOLVE, PinAction.DESCRIBE)


def plan_pin(
    spec: ServiceSpec, previous: ServiceSpec | None, *, no_resolve: bool, resolve: bool
) -> PinPlan:
    """Decide how the image of `spec` becomes pinned.

    Args:
        spec: validated.
        previous: the spec that it follows, None at create.
        no_resolve: the user forbids asking the registry.
        resolve: the user wants the tag asked for anew, though its text is the same.

    Raises:
        InvalidRequestError: the image's text is no reference.
    """
    image = spec.task.container.image
    wanted = ImageReference.from_text(image)
    if previous is not None:
        before = ImageReference.from_text(previous.task.container.image)
        is_same_text = without_digest(wanted) == without_digest(before)
        asks_anew = resolve and not wanted.is_pinned  # A digest that was sent is meant.
        if wanted == before and not asks_anew:
            return PinPlan(PinAction.KEEP, image, keeps_platforms=True)
        if is_same_text and before.is_pinned and not wanted.is_pinned and not asks_anew:
            kept = before.familiar
            return PinPlan(
                PinAction.KEEP,
                kept,
                keeps_platforms=True,
                warning=f'image "{image}" stays at {before.digest}, to which this service holds it',
            )
    if no_resolve:
        warning = (
            ""
            if wanted.is_pinned
            else f'image "{image}" is not held to a digest: nodes may run different images'
        )
        return PinPlan(PinAction.TRUST, image, keeps_platforms=False, warning=warning)
    action = PinAction.DESCRIBE if wanted.is_pinned else PinAction.RESOLVE
    return PinPlan(action, image, keeps_platforms=False)


async def pinned_spec(
    plan: PinPlan,
    spec: ServiceSpec,
    previous: ServiceSpec | None,
    resolver: Resolver,
    auth: RegistryAuth | None,
) -> tuple[ServiceSpec, list[str]]:
    """Return `spec` with its image pinned and its platforms filled in, and warnings.

    Platforms that the user chose stay; those that came with the previous image go with it.

    Raises:
        BerthError: the tag cannot be resolved; the text names the image and the way out.
    """
    warnings = [plan.warning] if plan.warning else []
    image, platforms = plan.image, spec.task.placement.platforms
    if not plan.keeps_platforms and previous is not None:
        platforms = () if platforms == previous.task.placement.platforms else platforms
    if plan.action is PinAction.KEEP and previous is not None and not platforms:
        platforms = previous.task.placement.platforms
    if plan.asks_registry:
        try:
            found = await resolver.resolve(image, auth)
        except (UnavailableError, NotFoundError, PermissionDeniedError, UnsupportedError) as error:
            if plan.action is PinAction.RESOLVE:
                raise
            warnings.append(
                f'the platforms of image "{image}" are unknown, so any node may get it: '
                f"{error.message}"
            )
        else:
            image = found.reference_pinned
            platforms = platforms or placement_platforms(found.platforms)
    container, placement = _with_image(spec.task.container, image), spec.task.placement
    if placement.platforms != platforms:
        placement = replace(placement, platforms=platforms)
    if container is spec.task.container and placement is spec.task.placement:
        return spec, warnings
    task = replace(spec.task, container=container, placement=placement)
    return replace(spec, task=task), warnings


def _with_image(container: ContainerSpec, image: str) -> ContainerSpec:
    """Return `container` with another image: for equal ones the same object, as they are read."""
    if container.image == image:
        return container
    known = _PINNED.get((id(container), image))
    if known is None:
        known = container, replace(container, image=image)
        _PINNED.put((id(container), image), known)
    return known[1]


def without_digest(reference: ImageReference) -> str:
    """Return the reference's text with its tag alone; with the digest where there is no tag."""
    if not reference.tag:
        return reference.familiar
    return replace(reference, digest="").familiar


def placement_platforms(platforms: tuple[Platform, ...]) -> tuple[Platform, ...]:
    """Return an image's platforms as placement compares them.

    As in Swarm the processor of 32-bit ARM is left open: Engines name it in too many ways.
    """
    found: dict[Platform, None] = {}
    for platform in platforms:
        plain = replace(normalised_platform(platform), variant="")
        if plain.architecture == "arm":
            plain = replace(plain, architecture="")
        found[plain] = None
    return tuple(found)
