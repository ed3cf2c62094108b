"""Read and print references to container images as Docker does.

Duty: split a reference into registry, repository, tag and digest, fill in Docker's defaults, print
the form that Docker shows, and say which platforms are the same one.
Not here: asking a registry (scheduler.registry), pulling (nodeagent.runtime).
Invariants (tests/unit/berth/model/test_image.py): a reference has a tag or a digest or both;
reading what was printed, in either form, gives the same reference again.
"""

import re
from dataclasses import dataclass, replace
from typing import Self

from berth.errors import InvalidRequestError
from berth.model.service import Platform

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"
_OFFICIAL_NAMESPACE = "library"
_REPOSITORY_LENGTH_MAX = 255

# The grammar of github.com/distribution/reference, which Docker itself uses.
_HOST_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_REGISTRY = re.compile(rf"(?:{_HOST_LABEL}(?:\.{_HOST_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}")
_BARE_HASH = re.compile(r"[a-f0-9]{64}")

_ARCHITECTURES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armhf": "arm",
    "armel": "arm",
    "armv6l": "arm",
    "armv7l": "arm",
    "i386": "386",
    "i686": "386",
}


def normalised_platform(platform: Platform) -> Platform:
    """Return the same platform in Go's words: an Engine says `x86_64`, an image `amd64`."""
    architecture = platform.architecture.lower()
    return Platform(
        os=platform.os.lower(),
        architecture=_ARCHITECTURES.get(architecture, architecture),
        variant=platform.variant.lower(),
    )


def platform_text(platform: Platform) -> str:
    """Print a platform as Docker does: `linux/arm64/v8`."""
    parts = (platform.os, platform.architecture, platform.variant)
    return "/".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class ImageReference:
    """Which image is meant.

    `registry` is a host with an optional port, `docker.io` when the text names none; `repository`
    is the full path there (`library/busybox`). `tag` and `digest` are "" when absent, never both.
    """

    registry: str
    repository: str
    tag: str
    digest: str

    def __post_init__(self) -> None:
        assert self.tag or self.digest, "a reference without tag and digest names no image"

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a reference as a user writes it; without tag and digest, `latest` is meant.

        Raises:
            InvalidRequestError: it is not one. Mend it as the message says.
        """
        if not text:
            raise _invalid(text, "it is empty", "name an image, for example busybox:1.36")
        if _BARE_HASH.fullmatch(text):
            raise _invalid(
                text, "a bare hash is an image ID of one Engine", "write NAME@sha256:HASH"
            )
        name, _, digest = text.partition("@")
        registry, rest = _split_registry(name)
        path, colon, tag = rest.partition(":")
        if "@" in text and not _DIGEST.fullmatch(digest):
            raise _invalid(
                text,
                f'"{digest}" is not a digest',
                "write it as sha256: and 64 hexadecimal digits in lower case",
            )
        if colon and not _TAG.fullmatch(tag):
            raise _invalid(
                text,
                f'"{tag}" is not a tag',
                "use up to 128 letters, digits, underscores, dots and hyphens, "
                "the first neither a dot nor a hyphen",
            )
        _check_name(text, registry, path)
        return cls(
            registry=registry,
            repository=path,
            tag=tag if tag or digest else DEFAULT_TAG,
            digest=digest,
        )

    @property
    def familiar_name(self) -> str:
        """The name as Docker prints it, without tag and digest: `busybox`, `ghcr.io/a/b`."""
        if self.registry != DEFAULT_REGISTRY:
            return f"{self.registry}/{self.repository}"
        namespace, slash, rest = self.repository.partition("/")
        if namespace == _OFFICIAL_NAMESPACE and "/" not in rest:
            return rest
        if slash and _is_registry(namespace):  # Shortened, it would be read as another registry.
            return f"{self.registry}/{self.repository}"
        return self.repository

    @property
    def familiar(self) -> str:
        """The reference as Docker prints it: `busybox:latest`, `busybox:1.36@sha256:...`."""
        return self.familiar_name + self._suffix

    @property
    def is_pinned(self) -> bool:
        """Whether it names exactly one image, for ever."""
        return bool(self.digest)

    def __str__(self) -> str:
        """Print everything, defaults too: `docker.io/library/busybox:latest`."""
        return f"{self.registry}/{self.repository}{self._suffix}"

    def pinned(self, digest: str) -> Self:
        """Return the same reference, held to `digest`; the tag stays, for people to read."""
        if not _DIGEST.fullmatch(digest):
            raise _invalid(
                f"{self.familiar_name}@{digest}", f'"{digest}" is not a digest', "use sha256:HEX"
            )
        return replace(self, digest=digest)

    @property
    def _suffix(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return tag + (f"@{self.digest}" if self.digest else "")


def _is_registry(first: str) -> bool:
    """Tell a registry from a namespace: it has a dot, a port or a capital, or is localhost."""
    return "." in first or ":" in first or first == "localhost" or first != first.lower()


def _split_registry(name: str) -> tuple[str, str]:
    """Split `name[:tag]` into registry and the rest, by Docker's rule of what a registry is."""
    first, slash, rest = name.partition("/")
    if not (slash and _is_registry(first)):
        first, rest = DEFAULT_REGISTRY, name
    if first == "index.docker.io":  # The name of old; Docker prints both the same.
        first = DEFAULT_REGISTRY
    if first == DEFAULT_REGISTRY and "/" not in rest:
        rest = f"{_OFFICIAL_NAMESPACE}/{rest}"
    return first, rest


def _check_name(text: str, registry: str, repository: str) -> None:
    if not _REGISTRY.fullmatch(registry):
        raise _invalid(text, f'"{registry}" is not a registry', "write HOST or HOST:PORT")
    if repository != repository.lower():
        raise _invalid(
            text,
            f'the repository "{repository}" has capital letters',
            f'write "{repository.lower()}"',
        )
    if not _REPOSITORY.fullmatch(repository):
        raise _invalid(
            text,
            f'"{repository}" is not a repository',
            "use lower-case letters and digits, between them single dots, one or two underscores, "
            "or hyphens, and / between parts",
        )
    if len(repository) > _REPOSITORY_LENGTH_MAX:
        raise _invalid(
            text,
            f"the repository is {len(repository)} characters long",
            f"use at most {_REPOSITORY_LENGTH_MAX}",
        )


def _invalid(text: str, problem: str, fix: str) -> InvalidRequestError:
    return InvalidRequestError(f'invalid image reference "{text}": {problem}; {fix}')
