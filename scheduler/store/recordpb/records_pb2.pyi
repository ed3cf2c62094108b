from berth.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TemplateRecord(_message.Message):
    __slots__ = ("version", "task", "endpoint")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    version: int
    task: _types_pb2.TaskSpec
    endpoint: _types_pb2.EndpointSpec
    def __init__(self, version: _Optional[int] = ..., task: _Optional[_Union[_types_pb2.TaskSpec, _Mapping]] = ..., endpoint: _Optional[_Union[_types_pb2.EndpointSpec, _Mapping]] = ...) -> None: ...

class UpdateStatusRecord(_message.Message):
    __slots__ = ("state", "message", "started_at", "completed_at", "slots_total", "failed_tasks")
    STATE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_AT_FIELD_NUMBER: _ClassVar[int]
    SLOTS_TOTAL_FIELD_NUMBER: _ClassVar[int]
    FAILED_TASKS_FIELD_NUMBER: _ClassVar[int]
    state: str
    message: str
    started_at: float
    completed_at: float
    slots_total: int
    failed_tasks: int
    def __init__(self, state: _Optional[str] = ..., message: _Optional[str] = ..., started_at: _Optional[float] = ..., completed_at: _Optional[float] = ..., slots_total: _Optional[int] = ..., failed_tasks: _Optional[int] = ...) -> None: ...

class JobRecord(_message.Message):
    __slots__ = ("run_version", "is_under_way", "began_at", "schedule_from", "runs")
    RUN_VERSION_FIELD_NUMBER: _ClassVar[int]
    IS_UNDER_WAY_FIELD_NUMBER: _ClassVar[int]
    BEGAN_AT_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FROM_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    run_version: int
    is_under_way: bool
    began_at: float
    schedule_from: float
    runs: _containers.RepeatedCompositeFieldContainer[_types_pb2.JobRun]
    def __init__(self, run_version: _Optional[int] = ..., is_under_way: _Optional[bool] = ..., began_at: _Optional[float] = ..., schedule_from: _Optional[float] = ..., runs: _Optional[_Iterable[_Union[_types_pb2.JobRun, _Mapping]]] = ...) -> None: ...

class ServiceRecord(_message.Message):
    __slots__ = ("schema", "id", "spec", "version", "template_version", "templates", "previous_spec", "update_status", "created_at", "updated_at", "is_removing", "attempt_floor", "sealed_auth", "previous_sealed_auth", "former_images", "job")
    class FormerImagesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: int
        value: str
        def __init__(self, key: _Optional[int] = ..., value: _Optional[str] = ...) -> None: ...
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_VERSION_FIELD_NUMBER: _ClassVar[int]
    TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_SPEC_FIELD_NUMBER: _ClassVar[int]
    UPDATE_STATUS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    IS_REMOVING_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FLOOR_FIELD_NUMBER: _ClassVar[int]
    SEALED_AUTH_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_SEALED_AUTH_FIELD_NUMBER: _ClassVar[int]
    FORMER_IMAGES_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    schema: int
    id: str
    spec: _types_pb2.ServiceSpec
    version: int
    template_version: int
    templates: _containers.RepeatedCompositeFieldContainer[TemplateRecord]
    previous_spec: _types_pb2.ServiceSpec
    update_status: UpdateStatusRecord
    created_at: float
    updated_at: float
    is_removing: bool
    attempt_floor: int
    sealed_auth: bytes
    previous_sealed_auth: bytes
    former_images: _containers.ScalarMap[int, str]
    job: JobRecord
    def __init__(self, schema: _Optional[int] = ..., id: _Optional[str] = ..., spec: _Optional[_Union[_types_pb2.ServiceSpec, _Mapping]] = ..., version: _Optional[int] = ..., template_version: _Optional[int] = ..., templates: _Optional[_Iterable[_Union[TemplateRecord, _Mapping]]] = ..., previous_spec: _Optional[_Union[_types_pb2.ServiceSpec, _Mapping]] = ..., update_status: _Optional[_Union[UpdateStatusRecord, _Mapping]] = ..., created_at: _Optional[float] = ..., updated_at: _Optional[float] = ..., is_removing: _Optional[bool] = ..., attempt_floor: _Optional[int] = ..., sealed_auth: _Optional[bytes] = ..., previous_sealed_auth: _Optional[bytes] = ..., former_images: _Optional[_Mapping[int, str]] = ..., job: _Optional[_Union[JobRecord, _Mapping]] = ...) -> None: ...

class NodeRecord(_message.Message):
    __slots__ = ("schema", "node")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    schema: int
    node: _types_pb2.Node
    def __init__(self, schema: _Optional[int] = ..., node: _Optional[_Union[_types_pb2.Node, _Mapping]] = ...) -> None: ...

class PlacedTask(_message.Message):
    __slots__ = ("slot", "attempt", "template_version", "desired", "observed", "created_at", "granted")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_VERSION_FIELD_NUMBER: _ClassVar[int]
    DESIRED_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    slot: int
    attempt: int
    template_version: int
    desired: int
    observed: int
    created_at: float
    granted: _containers.RepeatedCompositeFieldContainer[_types_pb2.GrantedResource]
    def __init__(self, slot: _Optional[int] = ..., attempt: _Optional[int] = ..., template_version: _Optional[int] = ..., desired: _Optional[int] = ..., observed: _Optional[int] = ..., created_at: _Optional[float] = ..., granted: _Optional[_Iterable[_Union[_types_pb2.GrantedResource, _Mapping]]] = ...) -> None: ...

class PlacementsRecord(_message.Message):
    __slots__ = ("schema", "services")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    schema: int
    services: _containers.RepeatedCompositeFieldContainer[ServicePlacements]
    def __init__(self, schema: _Optional[int] = ..., services: _Optional[_Iterable[_Union[ServicePlacements, _Mapping]]] = ...) -> None: ...

class ServicePlacements(_message.Message):
    __slots__ = ("service_id", "tasks")
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    service_id: str
    tasks: _containers.RepeatedCompositeFieldContainer[PlacedTask]
    def __init__(self, service_id: _Optional[str] = ..., tasks: _Optional[_Iterable[_Union[PlacedTask, _Mapping]]] = ...) -> None: ...

class FinishedTask(_message.Message):
    __slots__ = ("slot", "home", "attempt", "template_version", "node_id", "state", "desired", "created_at", "finished_at", "ran_s", "exit_code", "message", "error", "container_id", "counts_as_restart", "ends_in_row")
    SLOT_FIELD_NUMBER: _ClassVar[int]
    HOME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_VERSION_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DESIRED_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    RAN_S_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    COUNTS_AS_RESTART_FIELD_NUMBER: _ClassVar[int]
    ENDS_IN_ROW_FIELD_NUMBER: _ClassVar[int]
    slot: int
    home: str
    attempt: int
    template_version: int
    node_id: str
    state: int
    desired: int
    created_at: float
    finished_at: float
    ran_s: float
    exit_code: int
    message: str
    error: str
    container_id: str
    counts_as_restart: bool
    ends_in_row: int
    def __init__(self, slot: _Optional[int] = ..., home: _Optional[str] = ..., attempt: _Optional[int] = ..., template_version: _Optional[int] = ..., node_id: _Optional[str] = ..., state: _Optional[int] = ..., desired: _Optional[int] = ..., created_at: _Optional[float] = ..., finished_at: _Optional[float] = ..., ran_s: _Optional[float] = ..., exit_code: _Optional[int] = ..., message: _Optional[str] = ..., error: _Optional[str] = ..., container_id: _Optional[str] = ..., counts_as_restart: _Optional[bool] = ..., ends_in_row: _Optional[int] = ...) -> None: ...

class HistoryRecord(_message.Message):
    __slots__ = ("schema", "tasks")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    schema: int
    tasks: _containers.RepeatedCompositeFieldContainer[FinishedTask]
    def __init__(self, schema: _Optional[int] = ..., tasks: _Optional[_Iterable[_Union[FinishedTask, _Mapping]]] = ...) -> None: ...

class ClusterRecord(_message.Message):
    __slots__ = ("schema", "id", "settings", "version", "created_at")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    schema: int
    id: str
    settings: _types_pb2.ClusterSettings
    version: int
    created_at: float
    def __init__(self, schema: _Optional[int] = ..., id: _Optional[str] = ..., settings: _Optional[_Union[_types_pb2.ClusterSettings, _Mapping]] = ..., version: _Optional[int] = ..., created_at: _Optional[float] = ...) -> None: ...

class FileRecord(_message.Message):
    __slots__ = ("schema", "id", "kind", "name", "labels", "template_driver", "version", "created_at", "updated_at", "size_bytes", "sealed")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_DRIVER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    schema: int
    id: str
    kind: str
    name: str
    labels: _containers.ScalarMap[str, str]
    template_driver: str
    version: int
    created_at: float
    updated_at: float
    size_bytes: int
    sealed: bytes
    def __init__(self, schema: _Optional[int] = ..., id: _Optional[str] = ..., kind: _Optional[str] = ..., name: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., template_driver: _Optional[str] = ..., version: _Optional[int] = ..., created_at: _Optional[float] = ..., updated_at: _Optional[float] = ..., size_bytes: _Optional[int] = ..., sealed: _Optional[bytes] = ...) -> None: ...

class NetworkRecord(_message.Message):
    __slots__ = ("schema", "network")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    schema: int
    network: _types_pb2.Network
    def __init__(self, schema: _Optional[int] = ..., network: _Optional[_Union[_types_pb2.Network, _Mapping]] = ...) -> None: ...

class EventsRecord(_message.Message):
    __slots__ = ("schema", "events")
    SCHEMA_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    schema: int
    events: _containers.RepeatedCompositeFieldContainer[_types_pb2.ObjectEvent]
    def __init__(self, schema: _Optional[int] = ..., events: _Optional[_Iterable[_Union[_types_pb2.ObjectEvent, _Mapping]]] = ...) -> None: ...
