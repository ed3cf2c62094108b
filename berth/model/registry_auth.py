"""Credentials for an image registry, as Docker's clients send them.

Duty: read and write the X-Registry-Auth header, and never show a secret by accident.
Not here: proving them to a registry (scheduler.registry.auth), sealing them at rest
(scheduler.store.sealing).
Invariants (tests/unit/berth/model/test_registry_auth.py): no secret is in `repr`, in `str`, or in
an error; what `to_header` writes, `from_header` reads.
"""

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import Any, Self

from berth.errors import InvalidRequestError
from berth.model.json_text import read_json

_JSON_KEYS = {
    "username": "username",
    "password": "password",
    "identity_token": "identitytoken",
    "registry_token": "registrytoken",
    "server_address": "serveraddress",
}


@dataclass(frozen=True, slots=True)
class RegistryAuth:
    """What a user proves to a registry: name and password, or one of two tokens.

    An `identity_token` is exchanged for short-lived tokens at the registry's token service; a
    `registry_token` is such a short-lived token itself, sent as it is.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)
    server_address: str = ""

    @property
    def is_anonymous(self) -> bool:
        """Whether nothing is proved: Docker sends such a header when nobody is logged in."""
        return not (self.username or self.identity_token or self.registry_token)

    @classmethod
    def from_header(cls, header: str) -> Self:
        """Read the value of an X-Registry-Auth header: JSON as base64url, padded or not.

        Raises:
            InvalidRequestError: it is neither. The text says nothing of what was sent.
        """
        if not header:
            return cls()
        standard = header.strip().replace("+", "-").replace("/", "_").rstrip("=")
        try:
            raw = base64.b64decode(
                standard + "=" * (-len(standard) % 4), altchars=b"-_", validate=True
            )
            document = read_json(raw)
        except (binascii.Error, ValueError):  # `from None`: the cause would quote the secret.
            raise _invalid("it is not JSON in base64url") from None
        if not isinstance(document, dict):
            raise _invalid("its JSON is not an object")
        # Clients differ in the case of the keys; Go's decoder, which Docker uses, ignores it.
        values = {str(key).lower(): value for key, value in document.items()}
        fields = {name: _text(values, key) for name, key in _JSON_KEYS.items()}
        if not fields["username"]:
            fields["username"], fields["password"] = _from_basic(_text(values, "auth"), fields)
        return cls(**fields)

    def to_header(self) -> str:
        """Write the value of an X-Registry-Auth header; what is empty is left out."""
        document = {
            key: getattr(self, name) for name, key in _JSON_KEYS.items() if getattr(self, name)
        }
        return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


def _text(values: dict[str, Any], key: str) -> str:
    value = values.get(key) or ""
    if not isinstance(value, str):
        raise _invalid(f'"{key}" is not text')
    return value


def _from_basic(auth: str, fields: dict[str, str]) -> tuple[str, str]:
    """Take name and password from the `auth` field, where config.json keeps them joined."""
    if not auth:
        return "", fields["password"]
    try:
        username, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise _invalid('"auth" is not base64') from None
    if not colon:
        raise _invalid('"auth" is not USER:PASSWORD in base64')
    return username, password.rstrip("\0")


def _invalid(problem: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"invalid X-Registry-Auth header: {problem}; send what `docker login` stored, "
        'as {"username": ..., "password": ..., "serveraddress": ...} in base64url'
    )
