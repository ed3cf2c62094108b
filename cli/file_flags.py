"""`--config` and `--secret` of `berth service create` and `update`.

Duty: read ``NAME`` or ``source=NAME,target=…,uid=…,gid=…,mode=…`` as Swarm's client does. Not here:
other flags (cli.spec_flags); the cluster finds the ID.
"""

from collections.abc import Iterator
from typing import Final

from berth.errors import InvalidRequestError
from berth.model.service import FileReference
from cli.flags import Flag, ListForm, list_flags

_KEYS: Final = {
    "source": "name", "src": "name", "target": "target", "uid": "uid", "gid": "gid", "mode": "mode",
}  # fmt: skip


def parse_file_reference(text: str) -> FileReference:
    """Return the reference that a flag's value means.

    Raises:
        InvalidRequestError: a key is unknown or the mode is not octal.
    """
    if "=" not in text and "," not in text:
        return _filled({"name": text.strip()}, text)
    fields: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = part.strip().partition("=")
        name = _KEYS.get(key.lower())
        if name is None or not equals:
            raise InvalidRequestError(
                f'"{part}" is not KEY=VALUE with one of {", ".join(_KEYS)}; '
                "write source=NAME,target=PATH"
            )
        fields[name] = value
    return _filled(fields, text)


def _filled(fields: dict[str, str], text: str) -> FileReference:
    if not fields.get("name"):
        raise InvalidRequestError(f'"{text}" names nothing; write NAME or source=NAME')
    try:
        mode = int(fields.pop("mode", "0444"), 8)
    except ValueError:
        raise InvalidRequestError(f'the mode in "{text}" is not octal; write mode=0400') from None
    name = fields["name"]
    return FileReference(**{"target": name, "uid": "0", "gid": "0", **fields}, mode=mode)


_FORM: Final = ListForm(
    parse_file_reference,
    lambda reference: reference.target or reference.name,
    lambda reference, text: text in (reference.name, reference.id),
)


def file_flags() -> Iterator[Flag]:
    """Yield the flags of both kinds."""
    for kind in ("config", "secret"):
        yield from list_flags(
            kind,
            f"task.container.{kind}s",
            _FORM,
            f"{kind} as a file in the container",
            metavar="NAME|source=NAME,…",
            removal_metavar="NAME",
        )
