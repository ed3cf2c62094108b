"""The part of the Control API's client that speaks of configs and secrets.

Not here: how calls reach a scheduler, all other calls (berth.client).
"""

from collections.abc import Mapping
from typing import Any, Protocol

from berth.model.files import FileId, FileKind
from berth.v1 import control_pb2
from berth.views import FileView
from berth.wire.convert import from_proto


class _Caller(Protocol):
    async def _call(self, method: str, request: Any, *, is_read: bool = True) -> Any: ...


class FileCalls:
    """Mixed into `ControlClient`."""

    async def create_file(
        self: _Caller,
        kind: FileKind,
        name: str,
        data: bytes,
        *,
        labels: Mapping[str, str] | None = None,
        template_driver: str = "",
    ) -> FileId:
        """Keep a config or secret; return its ID.

        Raises:
            AlreadyExistsError: the name is taken.
            ConflictError: the cluster has no key to seal it with.
        """
        request = control_pb2.CreateFileRequest(
            kind=kind.value,
            name=name,
            data=data,
            labels=labels or {},
            template_driver=template_driver,
        )
        answer = await self._call("CreateFile", request, is_read=False)
        return FileId(answer.id)

    async def update_file(
        self: _Caller,
        kind: FileKind,
        name: str,
        labels: Mapping[str, str],
        *,
        version: int = 0,
        expected_name: str | None = None,
        expected_data: bytes | None = None,
    ) -> FileView:
        """Replace the labels of a config or secret.

        Args:
            kind: which of the two.
            name: name, ID or unique prefix of an ID.
            labels: all that it is to have.
            version: that the caller read; 0 overwrites whatever there is.
            expected_name: refuse the update if it is called otherwise.
            expected_data: refuse the update if it holds something else.
        """
        request = control_pb2.UpdateFileRequest(
            kind=kind.value,
            name=name,
            labels=labels,
            version=version,
            expected_name=expected_name,
            expected_data=expected_data,
        )
        return from_proto(FileView, await self._call("UpdateFile", request, is_read=False))

    async def remove_file(self: _Caller, kind: FileKind, name: str) -> FileId:
        """Forget a config or secret; refused while services use it. Return its ID."""
        request = control_pb2.RemoveFileRequest(kind=kind.value, name=name)
        answer = await self._call("RemoveFile", request, is_read=False)
        return FileId(answer.id)

    async def get_file(self: _Caller, kind: FileKind, name: str) -> FileView:
        """Return one by name, ID or unique prefix of an ID; a config with what it holds."""
        request = control_pb2.GetFileRequest(kind=kind.value, name=name)
        return from_proto(FileView, await self._call("GetFile", request))

    async def list_files(self: _Caller, kind: FileKind) -> list[FileView]:
        """Return all configs or all secrets by name, without what they hold."""
        request = control_pb2.ListFilesRequest(kind=kind.value)
        answer = await self._call("ListFiles", request)
        return [from_proto(FileView, message) for message in answer.files]
