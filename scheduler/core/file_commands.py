"""What users may ask for of configs and secrets, as changes of the leader's memory.

Each function refuses whole, by a `BerthError`, or changes everything that it means to. Payloads
come sealed. Validation comes before (scheduler.control.validate_files).
Invariants (tests/unit/scheduler/core/test_file_commands.py): what a service, its rollout or a
wanted task refers to cannot be removed; only labels change.
"""

from collections.abc import Mapping
from dataclasses import replace

from berth.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    OutOfSequenceError,
)
from berth.model.events import CREATE, REMOVE, UPDATE
from berth.model.files import FileId, FileKey, FileKind, file_keys
from berth.model.service import ServiceSpec
from scheduler.core.events import note_file
from scheduler.core.files import FileRecord, resolve_references
from scheduler.core.now import Now
from scheduler.core.service_state import ServiceState
from scheduler.core.state import LeaderState


def find_file(state: LeaderState, kind: FileKind, name: str) -> FileRecord:
    """Return the file by full ID, else exact name, else unique prefix of its ID.

    Raises:
        NotFoundError: there is none.
        InvalidRequestError: the prefix is ambiguous; give more of it.
    """
    exact = state.files.get((kind, FileId(name))) or state.files.named(kind, name)
    if exact is not None:
        return exact
    found = [f for f in state.files.of_kind(kind) if name and f.id.startswith(name)]
    if len(found) > 1:
        raise InvalidRequestError(
            f'{kind.value} "{name}" is ambiguous: {len(found)} IDs begin so; give more of the ID'
        )
    if not found:
        raise NotFoundError(
            f'{kind.value} "{name}" not found; list {kind.value}s to see what there is'
        )
    return found[0]


def check_new_file_name(state: LeaderState, kind: FileKind, name: str) -> None:
    """Refuse a name that a file of this kind has already.

    Raises:
        AlreadyExistsError: it is taken.
    """
    if state.files.named(kind, name) is not None:
        raise AlreadyExistsError(
            f'{kind.value} "{name}" already exists, and what it holds cannot change; choose '
            "another name, for example with a version in it, or remove that one"
        )


def create_file(state: LeaderState, record: FileRecord, now: Now) -> FileRecord:
    """Add a config or secret.

    Raises:
        AlreadyExistsError: its name is taken.
    """
    check_new_file_name(state, record.kind, record.name)
    stamped = replace(record, created_at=now.timestamp, updated_at=now.timestamp)
    state.files.put(stamped)
    note_file(state.chronicle, CREATE, stamped)
    state.unsaved.files[stamped.key] = None
    return stamped


def update_file_labels(
    state: LeaderState, record: FileRecord, labels: Mapping[str, str], version: int, now: Now
) -> FileRecord:
    """Replace a file's labels.

    Raises:
        OutOfSequenceError: somebody else changed it meanwhile.
    """
    if version not in (0, record.version):
        # Clients of Docker match these very words.
        raise OutOfSequenceError(
            f'update out of sequence: {record.kind.value} "{record.name}" is at version '
            f"{record.version}, not {version}; read it again and repeat the change"
        )
    changed = replace(
        record, labels=dict(labels), version=record.version + 1, updated_at=now.timestamp
    )
    state.files.put(changed)
    note_file(state.chronicle, UPDATE, changed)
    state.unsaved.files[changed.key] = None
    return changed


def remove_file(state: LeaderState, record: FileRecord) -> None:
    """Forget a config or secret.

    Raises:
        ConflictError: services use it; it names them.
    """
    users = users_of(state, record.key)
    if users:
        raise ConflictError(
            f"{record.kind.value} '{record.name}' is in use by the following "
            f"service{'s' if len(users) > 1 else ''}: {', '.join(users)}; update or remove "
            f"{'them' if len(users) > 1 else 'it'} first"
        )
    state.files.drop(record)
    note_file(state.chronicle, REMOVE, record)
    state.unsaved.files[record.key] = None


def users_of(state: LeaderState, key: FileKey) -> list[str]:
    """Return the names of the services that need a file, in order.

    A service that is being removed starts nothing any more, so it needs nothing.
    """
    return sorted(
        service.record.spec.name
        for service in state.services.values()
        if not service.record.is_removing and _uses(service, key)
    )


def _uses(service: ServiceState, key: FileKey) -> bool:
    record = service.record
    if _names(record.spec, key):
        return True
    status, previous = record.update_status, record.previous_spec
    # It may go back by itself or by its user's word: the way must stay open.
    may_go_back = status is not None and (status.state.is_active or status.state.is_paused)
    if may_go_back and previous is not None and _names(previous, key):
        return True
    versions = {
        version
        for version, template in record.templates.items()
        if key in file_keys(template.task.container)
    }
    return bool(versions) and any(
        task.template_version in versions and task.is_wanted and task.is_alive
        for tasks in service.slots.values()
        for task in tasks
    )


def _names(spec: ServiceSpec, key: FileKey) -> bool:
    return key in file_keys(spec.task.container)


def require_files(state: LeaderState, spec: ServiceSpec) -> None:
    """Refuse a spec that refers to what is not there.

    Raises:
        InvalidRequestError: lists every reference to an unknown file.
    """
    _, faults = resolve_references(state.files, spec)
    if faults:
        raise InvalidRequestError.from_faults(f'service "{spec.name}"', faults)


def require_files_of_rollback(state: LeaderState, spec: ServiceSpec) -> None:
    """Refuse to go back to a spec whose files were removed since.

    Raises:
        ConflictError: names them.
    """
    _, faults = resolve_references(state.files, spec)
    if faults:
        gone = "; ".join(fault.problem for fault in faults)
        raise ConflictError(
            f'service "{spec.name}" cannot be rolled back: its previous spec refers to files that '
            f"were removed since: {gone}; use update instead"
        )
