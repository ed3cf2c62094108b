from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LogChunk(_message.Message):
    __slots__ = ("request_id", "node_id", "lines", "error", "done")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    node_id: str
    lines: _containers.RepeatedCompositeFieldContainer[LogLine]
    error: str
    done: bool
    def __init__(self, request_id: _Optional[str] = ..., node_id: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[LogLine, _Mapping]]] = ..., error: _Optional[str] = ..., done: _Optional[bool] = ...) -> None: ...

class LogLine(_message.Message):
    __slots__ = ("task_id", "is_stderr", "time_ns", "data", "attributes")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    IS_STDERR_FIELD_NUMBER: _ClassVar[int]
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    is_stderr: bool
    time_ns: int
    data: bytes
    attributes: str
    def __init__(self, task_id: _Optional[str] = ..., is_stderr: _Optional[bool] = ..., time_ns: _Optional[int] = ..., data: _Optional[bytes] = ..., attributes: _Optional[str] = ...) -> None: ...

class PublishSummary(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
