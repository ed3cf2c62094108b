"""Configs and secrets as the leader remembers them.

Duty: the record, the shelf that indexes them, and what references of specs mean. Pure; payloads are
sealed here as they are in the store.
Not here: users' changes and what they leave unsaved (file_commands), sealing
(scheduler.store.sealing), sending them to nodes
(scheduler.dispatch.files).
Invariants (tests/unit/scheduler/core/test_files.py): a name means one file of a kind; a record's
payload never changes; no `repr` shows one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from berth.errors import Fault
from berth.model.files import FileId, FileKey, FileKind
from berth.model.instant import NO_TIME, Timestamp
from berth.model.service import FileReference, ServiceSpec


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A config or secret as it is stored; `sealed` opens only for `place_of` its key."""

    kind: FileKind
    id: FileId
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    template_driver: str = ""
    version: int = 1
    created_at: Timestamp = NO_TIME
    updated_at: Timestamp = NO_TIME
    size_bytes: int = 0
    sealed: bytes = field(default=b"", repr=False)

    @property
    def key(self) -> FileKey:
        """What references name it by."""
        return self.kind, self.id


class FileShelf:
    """All configs and secrets of a cluster."""

    def __init__(self) -> None:
        self._records: dict[FileKey, FileRecord] = {}
        self._names: dict[tuple[FileKind, str], FileId] = {}

    def put(self, record: FileRecord) -> None:
        """Add or replace a record."""
        self._records[record.key] = record
        self._names[record.kind, record.name] = record.id

    def drop(self, record: FileRecord) -> None:
        """Forget a record."""
        del self._records[record.key]
        del self._names[record.kind, record.name]

    def get(self, key: FileKey) -> FileRecord | None:
        """Return a record by kind and full ID."""
        return self._records.get(key)

    def named(self, kind: FileKind, name: str) -> FileRecord | None:
        """Return a record by its exact name."""
        found = self._names.get((kind, name))
        return None if found is None else self._records[kind, found]

    def of_kind(self, kind: FileKind) -> list[FileRecord]:
        """Return all records of a kind by name."""
        found = [record for record in self._records.values() if record.kind is kind]
        return sorted(found, key=lambda record: record.name)

    def count(self, kind: FileKind) -> int:
        """Return how many there are of a kind."""
        return sum(record_kind is kind for record_kind, _ in self._names)


def resolve_references(shelf: FileShelf, spec: ServiceSpec) -> tuple[ServiceSpec, list[Fault]]:
    """Return `spec` with each reference's ID and name filled in, and a fault for each unknown one.

    As in Swarm a reference that has both must name one file by both: a client that looked an ID up
    a moment ago must not get another's file of the same name.
    """
    container = spec.task.container
    if not (container.configs or container.secrets):
        return spec, []
    faults: list[Fault] = []
    configs = _resolved(shelf, FileKind.CONFIG, container.configs, faults)
    secrets = _resolved(shelf, FileKind.SECRET, container.secrets, faults)
    changed = replace(container, configs=configs, secrets=secrets)
    return replace(spec, task=replace(spec.task, container=changed)), faults


def _resolved(
    shelf: FileShelf, kind: FileKind, references: Iterable[FileReference], faults: list[Fault]
) -> tuple[FileReference, ...]:
    found = []
    for index, reference in enumerate(references):
        record = (
            shelf.get((kind, FileId(reference.id)))
            if reference.id
            else shelf.named(kind, reference.name)
        )
        if record is None or reference.name not in ("", record.name):
            path = f"task.container.{kind.value}s[{index}]"
            faults.append(Fault(path, _unknown(kind, reference, record)))
            found.append(reference)
        else:
            found.append(replace(reference, id=record.id, name=record.name))
    return tuple(found)


def _unknown(kind: FileKind, reference: FileReference, record: FileRecord | None) -> str:
    if record is not None:
        return (
            f'{kind.value} {reference.id} is called "{record.name}", not "{reference.name}"; '
            "look it up again"
        )
    if reference.id and reference.name:
        return (
            f'{kind.value} "{reference.name}" with the ID {reference.id} not found; create it, or '
            "look it up again"
        )
    return f'{kind.value} "{reference.name or reference.id}" not found; create it first'
