"""Which version of Docker's API a request speaks.

Duty: read the prefix ``/v1.51`` of a path, refuse versions that we do not speak, compare versions.
Pure. Not here: the ASGI side (gateway.app).
"""

import re
from dataclasses import dataclass
from typing import Final, Self

from berth.errors import InvalidRequestError

_PREFIX: Final = re.compile(r"/v(\d{1,4})\.(\d{1,4})(/.*)?", re.DOTALL)


@dataclass(frozen=True, slots=True, order=True)
class ApiVersion:
    """A version such as 1.51."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read ``1.51``; it must be one."""
        major, _, minor = text.partition(".")
        return cls(int(major), int(minor))


VERSION_MIN: Final = ApiVersion(1, 24)
"""Traefik's older releases ask for 1.24 whatever they are told."""
VERSION_MAX: Final = ApiVersion(1, 51)


def split_version(path: str) -> tuple[ApiVersion, str]:
    """Return the version that a request speaks and its path without the prefix.

    Without a prefix it speaks the newest.

    Raises:
        InvalidRequestError: we do not speak that version; the text is Docker's own.
    """
    found = _PREFIX.fullmatch(path)
    if found is None:
        return VERSION_MAX, path
    version = ApiVersion(int(found[1]), int(found[2]))
    if version > VERSION_MAX:
        raise InvalidRequestError(
            f"client version {version} is too new. Maximum supported API version is {VERSION_MAX}"
        )
    if version < VERSION_MIN:
        raise InvalidRequestError(
            f"client version {version} is too old. Minimum supported API version is {VERSION_MIN}, "
            "please upgrade your client to a newer version"
        )
    return version, found[3] or "/"
