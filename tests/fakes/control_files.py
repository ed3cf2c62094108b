"""The fake control API's configs and secrets: what a scheduler would answer, without sealing.

Not here: all other calls (tests.fakes.control).
"""

from typing import Any

from berth.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    OutOfSequenceError,
)
from berth.v1 import control_pb2


class FakeFiles:
    """Mixed into `FakeControl`, whose `_note` it uses."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, control_pb2.File] = {}
        self.file_users: dict[str, str] = {}
        """Names of files that cannot be removed, and of the services that use them."""

    def _note(self, call: str, request: Any) -> None:
        raise NotImplementedError

    def _file(self, kind: str, name: str) -> control_pb2.File:
        for file in self.files.values():
            if file.kind == kind and (name == file.name or file.id.startswith(name)):
                return file
        raise NotFoundError(f'{kind} "{name}" not found')

    async def CreateFile(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._note("CreateFile", request)
        if any((f.kind, f.name) == (request.kind, request.name) for f in self.files.values()):
            raise AlreadyExistsError(f'{request.kind} "{request.name}" already exists')
        file = control_pb2.File(
            id=f"{request.kind}{request.name}id".ljust(25, "0"),
            kind=request.kind,
            name=request.name,
            labels=request.labels,
            template_driver=request.template_driver,
            version=1,
            size_bytes=len(request.data),
            data=request.data,
        )
        self.files[file.id] = file
        return control_pb2.CreateFileResponse(id=file.id)

    async def UpdateFile(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._note("UpdateFile", request)
        file = self._file(request.kind, request.name)
        if request.version not in (0, file.version):
            raise OutOfSequenceError(f"update out of sequence: {request.version}")
        if request.HasField("expected_data") and request.expected_data != file.data:
            raise InvalidRequestError("only updates to Labels are allowed")
        file.labels.clear()
        file.labels.update(request.labels)
        file.version += 1
        return _without_data(file)

    async def RemoveFile(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._note("RemoveFile", request)
        file = self._file(request.kind, request.name)
        if file.name in self.file_users:
            raise ConflictError(f"{file.name} is in use by {self.file_users[file.name]}")
        del self.files[file.id]
        return control_pb2.RemoveFileResponse(id=file.id)

    async def GetFile(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._note("GetFile", request)
        file = self._file(request.kind, request.name)
        return file if file.kind == "config" else _without_data(file)

    async def ListFiles(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        self._note("ListFiles", request)
        found = [_without_data(f) for f in self.files.values() if f.kind == request.kind]
        return control_pb2.ListFilesResponse(files=found)


def _without_data(file: control_pb2.File) -> control_pb2.File:
    copy = control_pb2.File()
    copy.CopyFrom(file)
    copy.ClearField("data")
    return copy
