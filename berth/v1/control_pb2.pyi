from berth.v1 import streams_pb2 as _streams_pb2
from berth.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateServiceRequest(_message.Message):
    __slots__ = ("spec", "registry_auth", "no_resolve_image", "dry_run")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_AUTH_FIELD_NUMBER: _ClassVar[int]
    NO_RESOLVE_IMAGE_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    spec: _types_pb2.ServiceSpec
    registry_auth: _types_pb2.RegistryAuth
    no_resolve_image: bool
    dry_run: bool
    def __init__(self, spec: _Optional[_Union[_types_pb2.ServiceSpec, _Mapping]] = ..., registry_auth: _Optional[_Union[_types_pb2.RegistryAuth, _Mapping]] = ..., no_resolve_image: _Optional[bool] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class CreateServiceResponse(_message.Message):
    __slots__ = ("id", "warnings", "plan")
    ID_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    id: str
    warnings: _containers.RepeatedScalarFieldContainer[str]
    plan: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., warnings: _Optional[_Iterable[str]] = ..., plan: _Optional[_Iterable[str]] = ...) -> None: ...

class UpdateServiceRequest(_message.Message):
    __slots__ = ("name", "version", "spec", "rollback", "registry_auth", "registry_auth_from", "no_resolve_image", "dry_run", "resolve_image")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    ROLLBACK_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_AUTH_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_AUTH_FROM_FIELD_NUMBER: _ClassVar[int]
    NO_RESOLVE_IMAGE_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    RESOLVE_IMAGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    spec: _types_pb2.ServiceSpec
    rollback: bool
    registry_auth: _types_pb2.RegistryAuth
    registry_auth_from: str
    no_resolve_image: bool
    dry_run: bool
    resolve_image: bool
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., spec: _Optional[_Union[_types_pb2.ServiceSpec, _Mapping]] = ..., rollback: _Optional[bool] = ..., registry_auth: _Optional[_Union[_types_pb2.RegistryAuth, _Mapping]] = ..., registry_auth_from: _Optional[str] = ..., no_resolve_image: _Optional[bool] = ..., dry_run: _Optional[bool] = ..., resolve_image: _Optional[bool] = ...) -> None: ...

class UpdateServiceResponse(_message.Message):
    __slots__ = ("version", "warnings", "plan")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    version: int
    warnings: _containers.RepeatedScalarFieldContainer[str]
    plan: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, version: _Optional[int] = ..., warnings: _Optional[_Iterable[str]] = ..., plan: _Optional[_Iterable[str]] = ...) -> None: ...

class RemoveServiceRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class RemoveServiceResponse(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetServiceRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListServicesRequest(_message.Message):
    __slots__ = ("names", "known_edition")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    KNOWN_EDITION_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    known_edition: str
    def __init__(self, names: _Optional[_Iterable[str]] = ..., known_edition: _Optional[str] = ...) -> None: ...

class ListServicesResponse(_message.Message):
    __slots__ = ("services", "edition", "is_unchanged")
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    EDITION_FIELD_NUMBER: _ClassVar[int]
    IS_UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    services: _containers.RepeatedCompositeFieldContainer[Service]
    edition: str
    is_unchanged: bool
    def __init__(self, services: _Optional[_Iterable[_Union[Service, _Mapping]]] = ..., edition: _Optional[str] = ..., is_unchanged: _Optional[bool] = ...) -> None: ...

class UpdateStatus(_message.Message):
    __slots__ = ("state", "message", "started_at", "completed_at")
    STATE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_AT_FIELD_NUMBER: _ClassVar[int]
    state: str
    message: str
    started_at: float
    completed_at: float
    def __init__(self, state: _Optional[str] = ..., message: _Optional[str] = ..., started_at: _Optional[float] = ..., completed_at: _Optional[float] = ...) -> None: ...

class Service(_message.Message):
    __slots__ = ("id", "version", "spec", "previous_spec", "update_status", "created_at", "updated_at", "desired_tasks", "running_tasks", "completed_tasks", "template_version", "image_digest", "published_at", "job")
    ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_SPEC_FIELD_NUMBER: _ClassVar[int]
    UPDATE_STATUS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    DESIRED_TASKS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_TASKS_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_TASKS_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_VERSION_FIELD_NUMBER: _ClassVar[int]
    IMAGE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_AT_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    id: str
    version: int
    spec: _types_pb2.ServiceSpec
    previous_spec: _types_pb2.ServiceSpec
    update_status: UpdateStatus
    created_at: float
    updated_at: float
    desired_tasks: int
    running_tasks: int
    completed_tasks: int
    template_version: int
    image_digest: str
    published_at: _containers.RepeatedScalarFieldContainer[str]
    job: JobStatus
    def __init__(self, id: _Optional[str] = ..., version: _Optional[int] = ..., spec: _Optional[_Union[_types_pb2.ServiceSpec, _Mapping]] = ..., previous_spec: _Optional[_Union[_types_pb2.ServiceSpec, _Mapping]] = ..., update_status: _Optional[_Union[UpdateStatus, _Mapping]] = ..., created_at: _Optional[float] = ..., updated_at: _Optional[float] = ..., desired_tasks: _Optional[int] = ..., running_tasks: _Optional[int] = ..., completed_tasks: _Optional[int] = ..., template_version: _Optional[int] = ..., image_digest: _Optional[str] = ..., published_at: _Optional[_Iterable[str]] = ..., job: _Optional[_Union[JobStatus, _Mapping]] = ...) -> None: ...

class JobStatus(_message.Message):
    __slots__ = ("iteration", "is_under_way", "last_execution", "next_due_at", "runs", "awaits_schedule")
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    IS_UNDER_WAY_FIELD_NUMBER: _ClassVar[int]
    LAST_EXECUTION_FIELD_NUMBER: _ClassVar[int]
    NEXT_DUE_AT_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    AWAITS_SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    iteration: int
    is_under_way: bool
    last_execution: float
    next_due_at: float
    runs: _containers.RepeatedCompositeFieldContainer[_types_pb2.JobRun]
    awaits_schedule: bool
    def __init__(self, iteration: _Optional[int] = ..., is_under_way: _Optional[bool] = ..., last_execution: _Optional[float] = ..., next_due_at: _Optional[float] = ..., runs: _Optional[_Iterable[_Union[_types_pb2.JobRun, _Mapping]]] = ..., awaits_schedule: _Optional[bool] = ...) -> None: ...

class ListTasksRequest(_message.Message):
    __slots__ = ("services", "nodes", "ids", "only_wanted", "up_to_date", "known_edition", "tasks_max")
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    ONLY_WANTED_FIELD_NUMBER: _ClassVar[int]
    UP_TO_DATE_FIELD_NUMBER: _ClassVar[int]
    KNOWN_EDITION_FIELD_NUMBER: _ClassVar[int]
    TASKS_MAX_FIELD_NUMBER: _ClassVar[int]
    services: _containers.RepeatedScalarFieldContainer[str]
    nodes: _containers.RepeatedScalarFieldContainer[str]
    ids: _containers.RepeatedScalarFieldContainer[str]
    only_wanted: bool
    up_to_date: bool
    known_edition: str
    tasks_max: int
    def __init__(self, services: _Optional[_Iterable[str]] = ..., nodes: _Optional[_Iterable[str]] = ..., ids: _Optional[_Iterable[str]] = ..., only_wanted: _Optional[bool] = ..., up_to_date: _Optional[bool] = ..., known_edition: _Optional[str] = ..., tasks_max: _Optional[int] = ...) -> None: ...

class ListTasksResponse(_message.Message):
    __slots__ = ("tasks", "edition", "is_unchanged", "is_too_long")
    TASKS_FIELD_NUMBER: _ClassVar[int]
    EDITION_FIELD_NUMBER: _ClassVar[int]
    IS_UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    IS_TOO_LONG_FIELD_NUMBER: _ClassVar[int]
    tasks: _containers.RepeatedCompositeFieldContainer[Task]
    edition: str
    is_unchanged: bool
    is_too_long: bool
    def __init__(self, tasks: _Optional[_Iterable[_Union[Task, _Mapping]]] = ..., edition: _Optional[str] = ..., is_unchanged: _Optional[bool] = ..., is_too_long: _Optional[bool] = ...) -> None: ...

class Task(_message.Message):
    __slots__ = ("id", "service_id", "service_name", "slot", "node_id", "node_name", "attempt", "template_version", "desired", "status", "created_at", "state_at", "image", "granted", "is_history", "is_drifted", "is_current", "job_iteration", "is_numbered")
    ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_NAME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_VERSION_FIELD_NUMBER: _ClassVar[int]
    DESIRED_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    STATE_AT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    IS_HISTORY_FIELD_NUMBER: _ClassVar[int]
    IS_DRIFTED_FIELD_NUMBER: _ClassVar[int]
    IS_CURRENT_FIELD_NUMBER: _ClassVar[int]
    JOB_ITERATION_FIELD_NUMBER: _ClassVar[int]
    IS_NUMBERED_FIELD_NUMBER: _ClassVar[int]
    id: str
    service_id: str
    service_name: str
    slot: int
    node_id: str
    node_name: str
    attempt: int
    template_version: int
    desired: int
    status: _types_pb2.TaskStatus
    created_at: float
    state_at: float
    image: str
    granted: _containers.RepeatedCompositeFieldContainer[_types_pb2.GrantedResource]
    is_history: bool
    is_drifted: bool
    is_current: bool
    job_iteration: int
    is_numbered: bool
    def __init__(self, id: _Optional[str] = ..., service_id: _Optional[str] = ..., service_name: _Optional[str] = ..., slot: _Optional[int] = ..., node_id: _Optional[str] = ..., node_name: _Optional[str] = ..., attempt: _Optional[int] = ..., template_version: _Optional[int] = ..., desired: _Optional[int] = ..., status: _Optional[_Union[_types_pb2.TaskStatus, _Mapping]] = ..., created_at: _Optional[float] = ..., state_at: _Optional[float] = ..., image: _Optional[str] = ..., granted: _Optional[_Iterable[_Union[_types_pb2.GrantedResource, _Mapping]]] = ..., is_history: _Optional[bool] = ..., is_drifted: _Optional[bool] = ..., is_current: _Optional[bool] = ..., job_iteration: _Optional[int] = ..., is_numbered: _Optional[bool] = ...) -> None: ...

class NodeView(_message.Message):
    __slots__ = ("node", "tasks_running", "reserved_nano_cpus", "reserved_memory_bytes", "connected", "heard_age_s")
    NODE_FIELD_NUMBER: _ClassVar[int]
    TASKS_RUNNING_FIELD_NUMBER: _ClassVar[int]
    RESERVED_NANO_CPUS_FIELD_NUMBER: _ClassVar[int]
    RESERVED_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    HEARD_AGE_S_FIELD_NUMBER: _ClassVar[int]
    node: _types_pb2.Node
    tasks_running: int
    reserved_nano_cpus: int
    reserved_memory_bytes: int
    connected: bool
    heard_age_s: float
    def __init__(self, node: _Optional[_Union[_types_pb2.Node, _Mapping]] = ..., tasks_running: _Optional[int] = ..., reserved_nano_cpus: _Optional[int] = ..., reserved_memory_bytes: _Optional[int] = ..., connected: _Optional[bool] = ..., heard_age_s: _Optional[float] = ...) -> None: ...

class ListNodesRequest(_message.Message):
    __slots__ = ("names", "known_edition")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    KNOWN_EDITION_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    known_edition: str
    def __init__(self, names: _Optional[_Iterable[str]] = ..., known_edition: _Optional[str] = ...) -> None: ...

class ListNodesResponse(_message.Message):
    __slots__ = ("nodes", "edition", "is_unchanged")
    NODES_FIELD_NUMBER: _ClassVar[int]
    EDITION_FIELD_NUMBER: _ClassVar[int]
    IS_UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeView]
    edition: str
    is_unchanged: bool
    def __init__(self, nodes: _Optional[_Iterable[_Union[NodeView, _Mapping]]] = ..., edition: _Optional[str] = ..., is_unchanged: _Optional[bool] = ...) -> None: ...

class GetNodeRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class UpdateNodeRequest(_message.Message):
    __slots__ = ("name", "version", "availability", "labels_add", "labels_remove", "spec")
    class LabelsAddEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AVAILABILITY_FIELD_NUMBER: _ClassVar[int]
    LABELS_ADD_FIELD_NUMBER: _ClassVar[int]
    LABELS_REMOVE_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    availability: str
    labels_add: _containers.ScalarMap[str, str]
    labels_remove: _containers.RepeatedScalarFieldContainer[str]
    spec: _types_pb2.NodeSpec
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., availability: _Optional[str] = ..., labels_add: _Optional[_Mapping[str, str]] = ..., labels_remove: _Optional[_Iterable[str]] = ..., spec: _Optional[_Union[_types_pb2.NodeSpec, _Mapping]] = ...) -> None: ...

class RemoveNodeRequest(_message.Message):
    __slots__ = ("name", "force")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FORCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    force: bool
    def __init__(self, name: _Optional[str] = ..., force: _Optional[bool] = ...) -> None: ...

class RemoveNodeResponse(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ExplainedFilter(_message.Message):
    __slots__ = ("name", "words", "forbids_alone", "admits_if_dropped")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    FORBIDS_ALONE_FIELD_NUMBER: _ClassVar[int]
    ADMITS_IF_DROPPED_FIELD_NUMBER: _ClassVar[int]
    name: str
    words: str
    forbids_alone: int
    admits_if_dropped: int
    def __init__(self, name: _Optional[str] = ..., words: _Optional[str] = ..., forbids_alone: _Optional[int] = ..., admits_if_dropped: _Optional[int] = ...) -> None: ...

class ExplainedTask(_message.Message):
    __slots__ = ("task", "summary", "story")
    TASK_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    STORY_FIELD_NUMBER: _ClassVar[int]
    task: Task
    summary: str
    story: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, task: _Optional[_Union[Task, _Mapping]] = ..., summary: _Optional[str] = ..., story: _Optional[_Iterable[str]] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("service_id", "service_name", "nodes_total", "nodes_fitting", "filters", "tasks", "summary", "rollout")
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    NODES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    NODES_FITTING_FIELD_NUMBER: _ClassVar[int]
    FILTERS_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_FIELD_NUMBER: _ClassVar[int]
    service_id: str
    service_name: str
    nodes_total: int
    nodes_fitting: int
    filters: _containers.RepeatedCompositeFieldContainer[ExplainedFilter]
    tasks: _containers.RepeatedCompositeFieldContainer[ExplainedTask]
    summary: str
    rollout: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, service_id: _Optional[str] = ..., service_name: _Optional[str] = ..., nodes_total: _Optional[int] = ..., nodes_fitting: _Optional[int] = ..., filters: _Optional[_Iterable[_Union[ExplainedFilter, _Mapping]]] = ..., tasks: _Optional[_Iterable[_Union[ExplainedTask, _Mapping]]] = ..., summary: _Optional[str] = ..., rollout: _Optional[_Iterable[str]] = ...) -> None: ...

class GetClusterRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SchedulerInfo(_message.Message):
    __slots__ = ("name", "address", "is_leader", "http_address")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    IS_LEADER_FIELD_NUMBER: _ClassVar[int]
    HTTP_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    name: str
    address: str
    is_leader: bool
    http_address: str
    def __init__(self, name: _Optional[str] = ..., address: _Optional[str] = ..., is_leader: _Optional[bool] = ..., http_address: _Optional[str] = ...) -> None: ...

class Cluster(_message.Message):
    __slots__ = ("id", "settings", "version", "epoch", "leader_name", "leader_address", "schedulers", "store_state", "store_message", "created_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    LEADER_NAME_FIELD_NUMBER: _ClassVar[int]
    LEADER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SCHEDULERS_FIELD_NUMBER: _ClassVar[int]
    STORE_STATE_FIELD_NUMBER: _ClassVar[int]
    STORE_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    settings: _types_pb2.ClusterSettings
    version: int
    epoch: int
    leader_name: str
    leader_address: str
    schedulers: _containers.RepeatedCompositeFieldContainer[SchedulerInfo]
    store_state: str
    store_message: str
    created_at: float
    def __init__(self, id: _Optional[str] = ..., settings: _Optional[_Union[_types_pb2.ClusterSettings, _Mapping]] = ..., version: _Optional[int] = ..., epoch: _Optional[int] = ..., leader_name: _Optional[str] = ..., leader_address: _Optional[str] = ..., schedulers: _Optional[_Iterable[_Union[SchedulerInfo, _Mapping]]] = ..., store_state: _Optional[str] = ..., store_message: _Optional[str] = ..., created_at: _Optional[float] = ...) -> None: ...

class UpdateClusterRequest(_message.Message):
    __slots__ = ("version", "settings")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    version: int
    settings: _types_pb2.ClusterSettings
    def __init__(self, version: _Optional[int] = ..., settings: _Optional[_Union[_types_pb2.ClusterSettings, _Mapping]] = ...) -> None: ...

class ResolveImageRequest(_message.Message):
    __slots__ = ("image", "registry_auth")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_AUTH_FIELD_NUMBER: _ClassVar[int]
    image: str
    registry_auth: _types_pb2.RegistryAuth
    def __init__(self, image: _Optional[str] = ..., registry_auth: _Optional[_Union[_types_pb2.RegistryAuth, _Mapping]] = ...) -> None: ...

class ResolveImageResponse(_message.Message):
    __slots__ = ("pinned", "digest", "media_type", "size", "platforms")
    PINNED_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    PLATFORMS_FIELD_NUMBER: _ClassVar[int]
    pinned: str
    digest: str
    media_type: str
    size: int
    platforms: _containers.RepeatedCompositeFieldContainer[_types_pb2.Platform]
    def __init__(self, pinned: _Optional[str] = ..., digest: _Optional[str] = ..., media_type: _Optional[str] = ..., size: _Optional[int] = ..., platforms: _Optional[_Iterable[_Union[_types_pb2.Platform, _Mapping]]] = ...) -> None: ...

class CreateNetworkRequest(_message.Message):
    __slots__ = ("spec",)
    SPEC_FIELD_NUMBER: _ClassVar[int]
    spec: _types_pb2.NetworkSpec
    def __init__(self, spec: _Optional[_Union[_types_pb2.NetworkSpec, _Mapping]] = ...) -> None: ...

class CreateNetworkResponse(_message.Message):
    __slots__ = ("id", "warnings")
    ID_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    id: str
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class ListNetworksRequest(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class NetworkView(_message.Message):
    __slots__ = ("network", "used_by")
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    USED_BY_FIELD_NUMBER: _ClassVar[int]
    network: _types_pb2.Network
    used_by: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, network: _Optional[_Union[_types_pb2.Network, _Mapping]] = ..., used_by: _Optional[_Iterable[str]] = ...) -> None: ...

class ListNetworksResponse(_message.Message):
    __slots__ = ("networks",)
    NETWORKS_FIELD_NUMBER: _ClassVar[int]
    networks: _containers.RepeatedCompositeFieldContainer[NetworkView]
    def __init__(self, networks: _Optional[_Iterable[_Union[NetworkView, _Mapping]]] = ...) -> None: ...

class RemoveNetworkRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class RemoveNetworkResponse(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ServiceLogsRequest(_message.Message):
    __slots__ = ("name", "follow", "tail", "since", "stdout", "stderr", "read_to", "details")
    class ReadToEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    TAIL_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    STDOUT_FIELD_NUMBER: _ClassVar[int]
    STDERR_FIELD_NUMBER: _ClassVar[int]
    READ_TO_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    name: str
    follow: bool
    tail: int
    since: float
    stdout: bool
    stderr: bool
    read_to: _containers.ScalarMap[str, int]
    details: bool
    def __init__(self, name: _Optional[str] = ..., follow: _Optional[bool] = ..., tail: _Optional[int] = ..., since: _Optional[float] = ..., stdout: _Optional[bool] = ..., stderr: _Optional[bool] = ..., read_to: _Optional[_Mapping[str, int]] = ..., details: _Optional[bool] = ...) -> None: ...

class WatchEventsRequest(_message.Message):
    __slots__ = ("since_ns", "follow", "with_tasks", "epoch", "told_object_ns")
    SINCE_NS_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    WITH_TASKS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TOLD_OBJECT_NS_FIELD_NUMBER: _ClassVar[int]
    since_ns: int
    follow: bool
    with_tasks: bool
    epoch: int
    told_object_ns: int
    def __init__(self, since_ns: _Optional[int] = ..., follow: _Optional[bool] = ..., with_tasks: _Optional[bool] = ..., epoch: _Optional[int] = ..., told_object_ns: _Optional[int] = ...) -> None: ...

class TaskEvent(_message.Message):
    __slots__ = ("time_ns", "id", "service_id", "service_name", "slot", "is_numbered", "node_id", "image", "observed_before", "desired_before", "observed", "desired", "error", "exit_code")
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    IS_NUMBERED_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    DESIRED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_FIELD_NUMBER: _ClassVar[int]
    DESIRED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    time_ns: int
    id: str
    service_id: str
    service_name: str
    slot: int
    is_numbered: bool
    node_id: str
    image: str
    observed_before: int
    desired_before: int
    observed: int
    desired: int
    error: str
    exit_code: int
    def __init__(self, time_ns: _Optional[int] = ..., id: _Optional[str] = ..., service_id: _Optional[str] = ..., service_name: _Optional[str] = ..., slot: _Optional[int] = ..., is_numbered: _Optional[bool] = ..., node_id: _Optional[str] = ..., image: _Optional[str] = ..., observed_before: _Optional[int] = ..., desired_before: _Optional[int] = ..., observed: _Optional[int] = ..., desired: _Optional[int] = ..., error: _Optional[str] = ..., exit_code: _Optional[int] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("object", "task")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    object: _types_pb2.ObjectEvent
    task: TaskEvent
    def __init__(self, object: _Optional[_Union[_types_pb2.ObjectEvent, _Mapping]] = ..., task: _Optional[_Union[TaskEvent, _Mapping]] = ...) -> None: ...

class EventBatch(_message.Message):
    __slots__ = ("epoch", "position_ns", "objects_from_ns", "tasks_from_ns", "events", "newest_object_ns")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    POSITION_NS_FIELD_NUMBER: _ClassVar[int]
    OBJECTS_FROM_NS_FIELD_NUMBER: _ClassVar[int]
    TASKS_FROM_NS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEWEST_OBJECT_NS_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    position_ns: int
    objects_from_ns: int
    tasks_from_ns: int
    events: _containers.RepeatedCompositeFieldContainer[Event]
    newest_object_ns: int
    def __init__(self, epoch: _Optional[int] = ..., position_ns: _Optional[int] = ..., objects_from_ns: _Optional[int] = ..., tasks_from_ns: _Optional[int] = ..., events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., newest_object_ns: _Optional[int] = ...) -> None: ...

class File(_message.Message):
    __slots__ = ("id", "kind", "name", "labels", "template_driver", "version", "created_at", "updated_at", "size_bytes", "data")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_DRIVER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    id: str
    kind: str
    name: str
    labels: _containers.ScalarMap[str, str]
    template_driver: str
    version: int
    created_at: float
    updated_at: float
    size_bytes: int
    data: bytes
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[str] = ..., name: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., template_driver: _Optional[str] = ..., version: _Optional[int] = ..., created_at: _Optional[float] = ..., updated_at: _Optional[float] = ..., size_bytes: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class CreateFileRequest(_message.Message):
    __slots__ = ("kind", "name", "labels", "template_driver", "data")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_DRIVER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    kind: str
    name: str
    labels: _containers.ScalarMap[str, str]
    template_driver: str
    data: bytes
    def __init__(self, kind: _Optional[str] = ..., name: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., template_driver: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class CreateFileResponse(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class UpdateFileRequest(_message.Message):
    __slots__ = ("kind", "name", "version", "labels", "expected_name", "expected_data")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_NAME_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_DATA_FIELD_NUMBER: _ClassVar[int]
    kind: str
    name: str
    version: int
    labels: _containers.ScalarMap[str, str]
    expected_name: str
    expected_data: bytes
    def __init__(self, kind: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[int] = ..., labels: _Optional[_Mapping[str, str]] = ..., expected_name: _Optional[str] = ..., expected_data: _Optional[bytes] = ...) -> None: ...

class RemoveFileRequest(_message.Message):
    __slots__ = ("kind", "name")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    kind: str
    name: str
    def __init__(self, kind: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class RemoveFileResponse(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetFileRequest(_message.Message):
    __slots__ = ("kind", "name")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    kind: str
    name: str
    def __init__(self, kind: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class ListFilesRequest(_message.Message):
    __slots__ = ("kind",)
    KIND_FIELD_NUMBER: _ClassVar[int]
    kind: str
    def __init__(self, kind: _Optional[str] = ...) -> None: ...

class ListFilesResponse(_message.Message):
    __slots__ = ("files",)
    FILES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[File]
    def __init__(self, files: _Optional[_Iterable[_Union[File, _Mapping]]] = ...) -> None: ...
