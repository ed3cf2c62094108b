from berth.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AgentMessage(_message.Message):
    __slots__ = ("node_id", "hello", "heartbeat", "status", "goodbye", "description", "departing")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    DEPARTING_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    hello: Hello
    heartbeat: Heartbeat
    status: StatusBatch
    goodbye: Goodbye
    description: _types_pb2.NodeDescription
    departing: Departing
    def __init__(self, node_id: _Optional[str] = ..., hello: _Optional[_Union[Hello, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., status: _Optional[_Union[StatusBatch, _Mapping]] = ..., goodbye: _Optional[_Union[Goodbye, _Mapping]] = ..., description: _Optional[_Union[_types_pb2.NodeDescription, _Mapping]] = ..., departing: _Optional[_Union[Departing, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("description", "tasks", "highest_epoch", "cluster_id", "boot_id", "departing", "unreachable", "can_wait")
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    HIGHEST_EPOCH_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    BOOT_ID_FIELD_NUMBER: _ClassVar[int]
    DEPARTING_FIELD_NUMBER: _ClassVar[int]
    UNREACHABLE_FIELD_NUMBER: _ClassVar[int]
    CAN_WAIT_FIELD_NUMBER: _ClassVar[int]
    description: _types_pb2.NodeDescription
    tasks: _containers.RepeatedCompositeFieldContainer[_types_pb2.TaskStatus]
    highest_epoch: int
    cluster_id: str
    boot_id: str
    departing: bool
    unreachable: _containers.RepeatedScalarFieldContainer[str]
    can_wait: bool
    def __init__(self, description: _Optional[_Union[_types_pb2.NodeDescription, _Mapping]] = ..., tasks: _Optional[_Iterable[_Union[_types_pb2.TaskStatus, _Mapping]]] = ..., highest_epoch: _Optional[int] = ..., cluster_id: _Optional[str] = ..., boot_id: _Optional[str] = ..., departing: _Optional[bool] = ..., unreachable: _Optional[_Iterable[str]] = ..., can_wait: _Optional[bool] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("loop_lag_s", "containers_running", "sequence")
    LOOP_LAG_S_FIELD_NUMBER: _ClassVar[int]
    CONTAINERS_RUNNING_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    loop_lag_s: float
    containers_running: int
    sequence: int
    def __init__(self, loop_lag_s: _Optional[float] = ..., containers_running: _Optional[int] = ..., sequence: _Optional[int] = ...) -> None: ...

class StatusBatch(_message.Message):
    __slots__ = ("tasks",)
    TASKS_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[_types_pb2.TaskStatus]
    def __init__(self, tasks: _Optional[_Iterable[_Union[_types_pb2.TaskStatus, _Mapping]]] = ...) -> None: ...

class Departing(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Goodbye(_message.Message):
    __slots__ = ("reason", "engine_away")
    REASON_FIELD_NUMBER: _ClassVar[int]
    ENGINE_AWAY_FIELD_NUMBER: _ClassVar[int]
    reason: str
    engine_away: bool
    def __init__(self, reason: _Optional[str] = ..., engine_away: _Optional[bool] = ...) -> None: ...

class SchedulerMessage(_message.Message):
    __slots__ = ("node_id", "epoch", "revision", "welcome", "assignments", "refused", "log_request", "settings", "files", "departure_noted", "waiting")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    LOG_REQUEST_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    DEPARTURE_NOTED_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    node_id: str
    epoch: int
    revision: int
    welcome: Welcome
    assignments: Assignments
    refused: Refused
    log_request: LogRequest
    settings: _types_pb2.ClusterSettings
    files: Files
    departure_noted: DepartureNoted
    waiting: Waiting
    def __init__(self, node_id: _Optional[str] = ..., epoch: _Optional[int] = ..., revision: _Optional[int] = ..., welcome: _Optional[_Union[Welcome, _Mapping]] = ..., assignments: _Optional[_Union[Assignments, _Mapping]] = ..., refused: _Optional[_Union[Refused, _Mapping]] = ..., log_request: _Optional[_Union[LogRequest, _Mapping]] = ..., settings: _Optional[_Union[_types_pb2.ClusterSettings, _Mapping]] = ..., files: _Optional[_Union[Files, _Mapping]] = ..., departure_noted: _Optional[_Union[DepartureNoted, _Mapping]] = ..., waiting: _Optional[_Union[Waiting, _Mapping]] = ...) -> None: ...

class Waiting(_message.Message):
    __slots__ = ("within_s",)
    WITHIN_S_FIELD_NUMBER: _ClassVar[int]
    within_s: float
    def __init__(self, within_s: _Optional[float] = ...) -> None: ...

class Files(_message.Message):
    __slots__ = ("payloads", "withdrawn")
    PAYLOADS_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_FIELD_NUMBER: _ClassVar[int]
    payloads: _containers.RepeatedCompositeFieldContainer[_types_pb2.FilePayload]
    withdrawn: _containers.RepeatedCompositeFieldContainer[FileKey]
    def __init__(self, payloads: _Optional[_Iterable[_Union[_types_pb2.FilePayload, _Mapping]]] = ..., withdrawn: _Optional[_Iterable[_Union[FileKey, _Mapping]]] = ...) -> None: ...

class DepartureNoted(_message.Message):
    __slots__ = ("takers",)
    TAKERS_FIELD_NUMBER: _ClassVar[int]
    takers: int
    def __init__(self, takers: _Optional[int] = ...) -> None: ...

class FileKey(_message.Message):
    __slots__ = ("kind", "id")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    kind: str
    id: str
    def __init__(self, kind: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("session_id", "cluster_id", "settings", "schedulers", "node_name", "node_labels")
    class NodeLabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    SCHEDULERS_FIELD_NUMBER: _ClassVar[int]
    NODE_NAME_FIELD_NUMBER: _ClassVar[int]
    NODE_LABELS_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    cluster_id: str
    settings: _types_pb2.ClusterSettings
    schedulers: _containers.RepeatedScalarFieldContainer[str]
    node_name: str
    node_labels: _containers.ScalarMap[str, str]
    def __init__(self, session_id: _Optional[str] = ..., cluster_id: _Optional[str] = ..., settings: _Optional[_Union[_types_pb2.ClusterSettings, _Mapping]] = ..., schedulers: _Optional[_Iterable[str]] = ..., node_name: _Optional[str] = ..., node_labels: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Assignments(_message.Message):
    __slots__ = ("complete", "sequence", "templates", "tasks", "forgotten", "purged")
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    FORGOTTEN_FIELD_NUMBER: _ClassVar[int]
    PURGED_FIELD_NUMBER: _ClassVar[int]
    complete: bool
    sequence: int
    templates: _containers.RepeatedCompositeFieldContainer[_types_pb2.TaskTemplate]
    tasks: _containers.RepeatedCompositeFieldContainer[_types_pb2.TaskAssignment]
    forgotten: _containers.RepeatedScalarFieldContainer[str]
    purged: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, complete: _Optional[bool] = ..., sequence: _Optional[int] = ..., templates: _Optional[_Iterable[_Union[_types_pb2.TaskTemplate, _Mapping]]] = ..., tasks: _Optional[_Iterable[_Union[_types_pb2.TaskAssignment, _Mapping]]] = ..., forgotten: _Optional[_Iterable[str]] = ..., purged: _Optional[_Iterable[str]] = ...) -> None: ...

class Refused(_message.Message):
    __slots__ = ("reason", "leader_address", "retry_after_s", "disowned")
    REASON_FIELD_NUMBER: _ClassVar[int]
    LEADER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    DISOWNED_FIELD_NUMBER: _ClassVar[int]
    reason: str
    leader_address: str
    retry_after_s: float
    disowned: bool
    def __init__(self, reason: _Optional[str] = ..., leader_address: _Optional[str] = ..., retry_after_s: _Optional[float] = ..., disowned: _Optional[bool] = ...) -> None: ...

class LogRequest(_message.Message):
    __slots__ = ("request_id", "task_ids", "follow", "tail", "since", "stdout", "stderr", "cancel", "details")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_IDS_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    TAIL_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    STDOUT_FIELD_NUMBER: _ClassVar[int]
    STDERR_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    task_ids: _containers.RepeatedScalarFieldContainer[str]
    follow: bool
    tail: int
    since: float
    stdout: bool
    stderr: bool
    cancel: bool
    details: bool
    def __init__(self, request_id: _Optional[str] = ..., task_ids: _Optional[_Iterable[str]] = ..., follow: _Optional[bool] = ..., tail: _Optional[int] = ..., since: _Optional[float] = ..., stdout: _Optional[bool] = ..., stderr: _Optional[bool] = ..., cancel: _Optional[bool] = ..., details: _Optional[bool] = ...) -> None: ...
