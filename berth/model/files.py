"""Configs and secrets: bytes that the cluster keeps and hands to containers as files.

Duty: what they are called, how large they may be, where in a container they appear.
Not here: sealing them (scheduler.store.sealing), who may refer to which (scheduler.core.files),
putting them on a node (nodeagent.runtime.task_files).
Invariant (tests/unit/berth/model/test_files.py): no `repr` shows a payload.
"""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NewType

from berth.model.service import ContainerSpec, FileReference

FileId = NewType("FileId", str)

TEMPLATE_DRIVERS: Final = ("", "golang")
"""How a payload is filled in for each task: not at all, or by Go's templates."""

SECRETS_FOLDER: Final = "/run/secrets"


class FileKind(StrEnum):
    """The two kinds of files; a secret's payload is never shown again."""

    CONFIG = "config"
    SECRET = "secret"  # noqa: S105 - a word, not a password


FileKey = tuple[FileKind, FileId]

PAYLOAD_BYTES_MAX: Final[Mapping[FileKind, int]] = {
    FileKind.CONFIG: 1000 * 1024,
    FileKind.SECRET: 500 * 1024,
}
"""Swarm's limits; with base64 and framing both stay below etcd's for one request."""


@dataclass(frozen=True, slots=True)
class FilePayload:
    """A file on its way to a node; `problem` says why there is no `data`."""

    kind: FileKind
    id: FileId
    name: str = ""
    template_driver: str = ""
    data: bytes = field(default=b"", repr=False)
    problem: str = ""

    @property
    def key(self) -> FileKey:
        """What references name it by."""
        return self.kind, self.id


def references(container: ContainerSpec) -> Iterator[tuple[FileKind, FileReference]]:
    """Yield every reference of a container to a config or secret, in the spec's order."""
    for config in container.configs:
        yield FileKind.CONFIG, config
    for secret in container.secrets:
        yield FileKind.SECRET, secret


def file_keys(container: ContainerSpec) -> tuple[FileKey, ...]:
    """Return the files that a container needs, each once."""
    if not (container.configs or container.secrets):
        return ()  # Nearly every task: asked for each one that is assigned.
    return tuple(dict.fromkeys((kind, FileId(ref.id)) for kind, ref in references(container)))


def container_path(kind: FileKind, reference: FileReference) -> str:
    """Return where in the container the file appears, as in Swarm."""
    target = reference.target or reference.name
    folder = SECRETS_FOLDER if kind is FileKind.SECRET else "/"
    # POSIX lets a path begin with two slashes and means something else by it.
    return "/" + posixpath.normpath(posixpath.join(folder, target)).lstrip("/")
