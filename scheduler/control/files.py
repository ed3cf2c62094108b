"""The Control API's calls for configs and secrets.

Duty: read a request, validate all of it, seal the payload, change the leader's memory, answer. Not
here: the rules (validate_files, scheduler.core.file_commands), other calls (service).
Invariants (tests/unit/scheduler/control/test_files.py): a secret's payload is in no answer; a
config's is in the answer to GetFile alone.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from berth.entropy import Entropy
from berth.errors import ConflictError, InvalidRequestError
from berth.model.files import FileId, FileKind
from berth.v1 import control_pb2 as pb
from scheduler.control.durable import perform, wait_readable
from scheduler.control.payloads import is_same_payload, open_payload, seal_payload
from scheduler.control.validate_files import file_faults, label_faults
from scheduler.core import file_commands
from scheduler.core.files import FileRecord
from scheduler.core.now import Now
from scheduler.core.state import LeaderState
from scheduler.leader import Leader
from scheduler.store.port import StoreHealth
from scheduler.store.sealing import Sealer

T = TypeVar("T")


class _Parts(Protocol):
    """What the calls need of the service that they are part of."""

    _sealer: Sealer | None
    _entropy: Entropy
    _store_health: Callable[[], StoreHealth]


class FileAnswers:
    """The calls' part of `ControlService`; methods bear the names of the calls."""

    async def CreateFile(  # noqa: N802 - gRPC's name
        self: _Parts, leader: Leader, request: pb.CreateFileRequest
    ) -> pb.CreateFileResponse:
        """Keep a config or secret."""
        kind = _kind_of(request.kind)
        labels = dict(request.labels)
        driver, data = request.template_driver, request.data
        faults = file_faults(kind, request.name, labels, driver, data)
        if faults:
            raise InvalidRequestError.from_faults(f'{kind.value} "{request.name}"', faults)
        file_commands.check_new_file_name(leader.state, kind, request.name)
        file_id = FileId(self._entropy.new_id())
        record = FileRecord(
            kind,
            file_id,
            request.name,
            labels=labels,
            template_driver=driver,
            size_bytes=len(data),
            sealed=seal_payload(self._sealer, (kind, file_id), data),
        )

        def create(state: LeaderState, now: Now) -> FileRecord:
            return file_commands.create_file(state, record, now)

        created = await perform(leader, self._store_health, create)
        return pb.CreateFileResponse(id=created.id)

    async def UpdateFile(  # noqa: N802
        self: _Parts, leader: Leader, request: pb.UpdateFileRequest
    ) -> pb.File:
        """Replace the labels of a config or secret; nothing else of it can change."""
        kind = _kind_of(request.kind)
        faults = list(label_faults(request.labels))
        if faults:
            raise InvalidRequestError.from_faults(f'{kind.value} "{request.name}"', faults)

        def update(state: LeaderState, now: Now) -> FileRecord:
            found = file_commands.find_file(state, kind, request.name)
            _check_rest(self._sealer, found, request)
            labels = dict(request.labels)
            return file_commands.update_file_labels(state, found, labels, request.version, now)

        return file_view(await perform(leader, self._store_health, update))

    async def RemoveFile(  # noqa: N802
        self: _Parts, leader: Leader, request: pb.RemoveFileRequest
    ) -> pb.RemoveFileResponse:
        """Forget a config or secret that no service uses."""
        kind = _kind_of(request.kind)

        def remove(state: LeaderState, now: Now) -> FileRecord:
            found = file_commands.find_file(state, kind, request.name)
            file_commands.remove_file(state, found)
            return found

        removed = await perform(leader, self._store_health, remove)
        return pb.RemoveFileResponse(id=removed.id)

    async def GetFile(  # noqa: N802
        self: _Parts, leader: Leader, request: pb.GetFileRequest
    ) -> pb.File:
        """Return one config or secret; of a config also what it holds."""
        found = file_commands.find_file(leader.state, _kind_of(request.kind), request.name)
        view = file_view(found)
        if found.kind is FileKind.CONFIG:
            view.data = open_payload(self._sealer, found)
        await wait_readable(leader, self._store_health)
        return view

    async def ListFiles(  # noqa: N802
        self: _Parts, leader: Leader, request: pb.ListFilesRequest
    ) -> pb.ListFilesResponse:
        """Return all configs, or all secrets, by name, without what they hold."""
        found = leader.state.files.of_kind(_kind_of(request.kind))
        views = [file_view(record) for record in found]
        await wait_readable(leader, self._store_health)
        return pb.ListFilesResponse(files=views)


def file_view(record: FileRecord) -> pb.File:
    """Return what users see of a config or secret, without what it holds."""
    return pb.File(
        id=record.id,
        kind=record.kind.value,
        name=record.name,
        labels=dict(record.labels),
        template_driver=record.template_driver,
        version=record.version,
        created_at=record.created_at,
        updated_at=record.updated_at,
        size_bytes=record.size_bytes,
    )


def _kind_of(text: str) -> FileKind:
    try:
        return FileKind(text)
    except ValueError:
        raise InvalidRequestError(f'kind "{text}" does not exist; use config or secret') from None


def _check_rest(sealer: Sealer | None, found: FileRecord, request: pb.UpdateFileRequest) -> None:
    """Refuse an update that means to change more than labels.

    Raises:
        InvalidRequestError: it does.
    """
    renames = request.HasField("expected_name") and request.expected_name != found.name
    refills = request.HasField("expected_data") and not _holds(sealer, found, request.expected_data)
    if renames or refills:
        raise InvalidRequestError(
            f"only updates to Labels are allowed: {found.kind.value} "
            f'"{found.name}" keeps its name and what it holds; create another one, and name that '
            "in the services"
        )


def _holds(sealer: Sealer | None, found: FileRecord, data: bytes) -> bool:
    try:
        return is_same_payload(sealer, found, data)
    except ConflictError as error:
        raise InvalidRequestError(error.message) from error
