"""Decide whether a config or secret may be kept, and whether references to some make sense. Pure.

Duty: all faults at once, none of which quotes a payload.
Not here: whether a name is free or a reference's file exists (scheduler.core).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from berth.errors import Fault, InvalidRequestError
from berth.model.files import (
    PAYLOAD_BYTES_MAX,
    TEMPLATE_DRIVERS,
    FileKind,
    container_path,
    references,
)
from berth.model.service import ContainerSpec
from berth.model.template import check_payload_template

NAME_LENGTH_MAX: Final = 64
_LABELS_BYTES_MAX: Final = 64 * 1024
_MODE_MAX: Final = 0o777
_ID_MAX: Final = 2**32 - 2  # The last one means "no change" to chown.
_NAME: Final = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9._-]*[a-zA-Z0-9])?")

Faults = Iterator[Fault]


def file_faults(
    kind: FileKind, name: str, labels: Mapping[str, str], template_driver: str, data: bytes
) -> list[Fault]:
    """Return every fault of a new config or secret."""
    return [
        *_name_faults(name),
        *label_faults(labels),
        *_payload_faults(kind, template_driver, data),
    ]


def label_faults(labels: Mapping[str, str]) -> Faults:
    """Yield what is wrong with a file's labels."""
    if "" in labels:
        yield Fault("labels", f'"={labels[""]}" has an empty key')
    size = sum(len(key.encode()) + len(value.encode()) for key, value in labels.items())
    if size > _LABELS_BYTES_MAX:
        yield Fault("labels", f"are {size} bytes long; use at most {_LABELS_BYTES_MAX}")


def _name_faults(name: str) -> Faults:
    if not name:
        yield Fault("name", "is empty; give it a name")
    elif len(name) > NAME_LENGTH_MAX:
        yield Fault("name", f'"{name}" has {len(name)} characters; use at most {NAME_LENGTH_MAX}')
    elif not _NAME.fullmatch(name):
        yield Fault(
            "name",
            f'"{name}" is not a name; use letters and digits, with -, _ and . only between them',
        )


def _payload_faults(kind: FileKind, template_driver: str, data: bytes) -> Faults:
    most = PAYLOAD_BYTES_MAX[kind]
    if not data:
        yield Fault("data", f"is empty; a {kind.value} holds at least one byte")
    elif len(data) >= most:
        # Swarm's own words.
        yield Fault(
            "data",
            f"is {len(data)} bytes long: {kind.value} data must be larger than 0 and less than "
            f"{most} bytes",
        )
    if template_driver not in TEMPLATE_DRIVERS:
        yield Fault("template_driver", f'"{template_driver}" does not exist; use golang or none')
    elif template_driver:
        try:
            check_payload_template(data)
        except InvalidRequestError as error:
            # A secret's template is itself secret: the parser's words would quote it.
            is_secret = kind is FileKind.SECRET
            text = "is not a template that Berth can fill in" if is_secret else error.message
            yield Fault("data", text)


def reference_faults(container: ContainerSpec, path: str) -> Faults:
    """Yield what is wrong with the references of `container`, which stands at `path`."""
    taken = {mount.target.rstrip("/"): "a mount" for mount in container.mounts}
    numbers = dict.fromkeys(FileKind, -1)
    for kind, reference in references(container):
        numbers[kind] += 1
        at = f"{path}.{kind.value}s[{numbers[kind]}]"
        if not (reference.id or reference.name):
            yield Fault(at, f"names no {kind.value}; give its name")
            continue
        target = container_path(kind, reference)
        if "\0" in target or target == "/" or reference.target.endswith("/"):
            yield Fault(f"{at}.target", f'"{reference.target}" is not the path of a file')
        elif target in taken:
            yield Fault(
                f"{at}.target", f"{target} is taken by {taken[target]}; choose another target"
            )
        taken.setdefault(target, f'{kind.value} "{reference.name or reference.id}"')
        for name in ("uid", "gid"):
            text = getattr(reference, name)
            if text and not (text.isascii() and text.isdigit() and int(text) <= _ID_MAX):
                yield Fault(f"{at}.{name}", f'"{text}" is not a number; write the numeric ID')
        if not 0 <= reference.mode <= _MODE_MAX:
            yield Fault(f"{at}.mode", f"{reference.mode:#o} is not within 0..0o777")
