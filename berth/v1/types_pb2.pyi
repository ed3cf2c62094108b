from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Platform(_message.Message):
    __slots__ = ("os", "architecture", "variant")
    OS_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    VARIANT_FIELD_NUMBER: _ClassVar[int]
    os: str
    architecture: str
    variant: str
    def __init__(self, os: _Optional[str] = ..., architecture: _Optional[str] = ..., variant: _Optional[str] = ...) -> None: ...

class StringList(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, values: _Optional[_Iterable[str]] = ...) -> None: ...

class NodeResources(_message.Message):
    __slots__ = ("nano_cpus", "memory_bytes", "generic_counts", "generic_names")
    class GenericCountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    class GenericNamesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: StringList
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[StringList, _Mapping]] = ...) -> None: ...
    NANO_CPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    GENERIC_COUNTS_FIELD_NUMBER: _ClassVar[int]
    GENERIC_NAMES_FIELD_NUMBER: _ClassVar[int]
    nano_cpus: int
    memory_bytes: int
    generic_counts: _containers.ScalarMap[str, int]
    generic_names: _containers.MessageMap[str, StringList]
    def __init__(self, nano_cpus: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., generic_counts: _Optional[_Mapping[str, int]] = ..., generic_names: _Optional[_Mapping[str, StringList]] = ...) -> None: ...

class Reservation(_message.Message):
    __slots__ = ("nano_cpus", "memory_bytes", "generic")
    class GenericEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NANO_CPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    GENERIC_FIELD_NUMBER: _ClassVar[int]
    nano_cpus: int
    memory_bytes: int
    generic: _containers.ScalarMap[str, int]
    def __init__(self, nano_cpus: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., generic: _Optional[_Mapping[str, int]] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("nano_cpus", "memory_bytes", "pids")
    NANO_CPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    PIDS_FIELD_NUMBER: _ClassVar[int]
    nano_cpus: int
    memory_bytes: int
    pids: int
    def __init__(self, nano_cpus: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., pids: _Optional[int] = ...) -> None: ...

class ServiceMode(_message.Message):
    __slots__ = ("kind", "replicas", "max_concurrent", "total_completions")
    KIND_FIELD_NUMBER: _ClassVar[int]
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    MAX_CONCURRENT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COMPLETIONS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    replicas: int
    max_concurrent: int
    total_completions: int
    def __init__(self, kind: _Optional[str] = ..., replicas: _Optional[int] = ..., max_concurrent: _Optional[int] = ..., total_completions: _Optional[int] = ...) -> None: ...

class JobRun(_message.Message):
    __slots__ = ("iteration", "cause", "outcome", "started_at", "ended_at", "due_at", "completed", "failed", "times", "note")
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    DUE_AT_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    TIMES_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    iteration: int
    cause: str
    outcome: str
    started_at: float
    ended_at: float
    due_at: float
    completed: int
    failed: int
    times: int
    note: str
    def __init__(self, iteration: _Optional[int] = ..., cause: _Optional[str] = ..., outcome: _Optional[str] = ..., started_at: _Optional[float] = ..., ended_at: _Optional[float] = ..., due_at: _Optional[float] = ..., completed: _Optional[int] = ..., failed: _Optional[int] = ..., times: _Optional[int] = ..., note: _Optional[str] = ...) -> None: ...

class RestartPolicy(_message.Message):
    __slots__ = ("condition", "delay_s", "max_attempts", "window_s")
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    DELAY_S_FIELD_NUMBER: _ClassVar[int]
    MAX_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_S_FIELD_NUMBER: _ClassVar[int]
    condition: str
    delay_s: float
    max_attempts: int
    window_s: float
    def __init__(self, condition: _Optional[str] = ..., delay_s: _Optional[float] = ..., max_attempts: _Optional[int] = ..., window_s: _Optional[float] = ...) -> None: ...

class UpdatePolicy(_message.Message):
    __slots__ = ("parallelism", "delay_s", "monitor_s", "failure_action", "max_failure_ratio", "order")
    PARALLELISM_FIELD_NUMBER: _ClassVar[int]
    DELAY_S_FIELD_NUMBER: _ClassVar[int]
    MONITOR_S_FIELD_NUMBER: _ClassVar[int]
    FAILURE_ACTION_FIELD_NUMBER: _ClassVar[int]
    MAX_FAILURE_RATIO_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    parallelism: int
    delay_s: float
    monitor_s: float
    failure_action: str
    max_failure_ratio: float
    order: str
    def __init__(self, parallelism: _Optional[int] = ..., delay_s: _Optional[float] = ..., monitor_s: _Optional[float] = ..., failure_action: _Optional[str] = ..., max_failure_ratio: _Optional[float] = ..., order: _Optional[str] = ...) -> None: ...

class Placement(_message.Message):
    __slots__ = ("constraints", "spread_preferences", "max_replicas_per_node", "platforms", "strategy")
    CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    SPREAD_PREFERENCES_FIELD_NUMBER: _ClassVar[int]
    MAX_REPLICAS_PER_NODE_FIELD_NUMBER: _ClassVar[int]
    PLATFORMS_FIELD_NUMBER: _ClassVar[int]
    STRATEGY_FIELD_NUMBER: _ClassVar[int]
    constraints: _containers.RepeatedScalarFieldContainer[str]
    spread_preferences: _containers.RepeatedScalarFieldContainer[str]
    max_replicas_per_node: int
    platforms: _containers.RepeatedCompositeFieldContainer[Platform]
    strategy: str
    def __init__(self, constraints: _Optional[_Iterable[str]] = ..., spread_preferences: _Optional[_Iterable[str]] = ..., max_replicas_per_node: _Optional[int] = ..., platforms: _Optional[_Iterable[_Union[Platform, _Mapping]]] = ..., strategy: _Optional[str] = ...) -> None: ...

class BindOptions(_message.Message):
    __slots__ = ("propagation", "non_recursive", "create_mountpoint", "read_only_non_recursive", "read_only_force_recursive")
    PROPAGATION_FIELD_NUMBER: _ClassVar[int]
    NON_RECURSIVE_FIELD_NUMBER: _ClassVar[int]
    CREATE_MOUNTPOINT_FIELD_NUMBER: _ClassVar[int]
    READ_ONLY_NON_RECURSIVE_FIELD_NUMBER: _ClassVar[int]
    READ_ONLY_FORCE_RECURSIVE_FIELD_NUMBER: _ClassVar[int]
    propagation: str
    non_recursive: bool
    create_mountpoint: bool
    read_only_non_recursive: bool
    read_only_force_recursive: bool
    def __init__(self, propagation: _Optional[str] = ..., non_recursive: _Optional[bool] = ..., create_mountpoint: _Optional[bool] = ..., read_only_non_recursive: _Optional[bool] = ..., read_only_force_recursive: _Optional[bool] = ...) -> None: ...

class VolumeOptions(_message.Message):
    __slots__ = ("no_copy", "subpath", "labels", "driver", "driver_options")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class DriverOptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NO_COPY_FIELD_NUMBER: _ClassVar[int]
    SUBPATH_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    DRIVER_FIELD_NUMBER: _ClassVar[int]
    DRIVER_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    no_copy: bool
    subpath: str
    labels: _containers.ScalarMap[str, str]
    driver: str
    driver_options: _containers.ScalarMap[str, str]
    def __init__(self, no_copy: _Optional[bool] = ..., subpath: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., driver: _Optional[str] = ..., driver_options: _Optional[_Mapping[str, str]] = ...) -> None: ...

class TmpfsOptions(_message.Message):
    __slots__ = ("size_bytes", "mode")
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    size_bytes: int
    mode: int
    def __init__(self, size_bytes: _Optional[int] = ..., mode: _Optional[int] = ...) -> None: ...

class Mount(_message.Message):
    __slots__ = ("type", "source", "target", "read_only", "consistency", "bind", "volume", "tmpfs")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    READ_ONLY_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    BIND_FIELD_NUMBER: _ClassVar[int]
    VOLUME_FIELD_NUMBER: _ClassVar[int]
    TMPFS_FIELD_NUMBER: _ClassVar[int]
    type: str
    source: str
    target: str
    read_only: bool
    consistency: str
    bind: BindOptions
    volume: VolumeOptions
    tmpfs: TmpfsOptions
    def __init__(self, type: _Optional[str] = ..., source: _Optional[str] = ..., target: _Optional[str] = ..., read_only: _Optional[bool] = ..., consistency: _Optional[str] = ..., bind: _Optional[_Union[BindOptions, _Mapping]] = ..., volume: _Optional[_Union[VolumeOptions, _Mapping]] = ..., tmpfs: _Optional[_Union[TmpfsOptions, _Mapping]] = ...) -> None: ...

class HealthCheck(_message.Message):
    __slots__ = ("test", "interval_s", "timeout_s", "start_period_s", "start_interval_s", "retries")
    TEST_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_S_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    START_PERIOD_S_FIELD_NUMBER: _ClassVar[int]
    START_INTERVAL_S_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    test: _containers.RepeatedScalarFieldContainer[str]
    interval_s: float
    timeout_s: float
    start_period_s: float
    start_interval_s: float
    retries: int
    def __init__(self, test: _Optional[_Iterable[str]] = ..., interval_s: _Optional[float] = ..., timeout_s: _Optional[float] = ..., start_period_s: _Optional[float] = ..., start_interval_s: _Optional[float] = ..., retries: _Optional[int] = ...) -> None: ...

class DnsConfig(_message.Message):
    __slots__ = ("nameservers", "search", "options")
    NAMESERVERS_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    nameservers: _containers.RepeatedScalarFieldContainer[str]
    search: _containers.RepeatedScalarFieldContainer[str]
    options: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, nameservers: _Optional[_Iterable[str]] = ..., search: _Optional[_Iterable[str]] = ..., options: _Optional[_Iterable[str]] = ...) -> None: ...

class Ulimit(_message.Message):
    __slots__ = ("name", "soft", "hard")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SOFT_FIELD_NUMBER: _ClassVar[int]
    HARD_FIELD_NUMBER: _ClassVar[int]
    name: str
    soft: int
    hard: int
    def __init__(self, name: _Optional[str] = ..., soft: _Optional[int] = ..., hard: _Optional[int] = ...) -> None: ...

class Device(_message.Message):
    __slots__ = ("host_path", "container_path", "permissions")
    HOST_PATH_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_PATH_FIELD_NUMBER: _ClassVar[int]
    PERMISSIONS_FIELD_NUMBER: _ClassVar[int]
    host_path: str
    container_path: str
    permissions: str
    def __init__(self, host_path: _Optional[str] = ..., container_path: _Optional[str] = ..., permissions: _Optional[str] = ...) -> None: ...

class GpuRequest(_message.Message):
    __slots__ = ("driver", "count", "device_ids", "capabilities", "options")
    class OptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DRIVER_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    DEVICE_IDS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    driver: str
    count: int
    device_ids: _containers.RepeatedScalarFieldContainer[str]
    capabilities: _containers.RepeatedScalarFieldContainer[str]
    options: _containers.ScalarMap[str, str]
    def __init__(self, driver: _Optional[str] = ..., count: _Optional[int] = ..., device_ids: _Optional[_Iterable[str]] = ..., capabilities: _Optional[_Iterable[str]] = ..., options: _Optional[_Mapping[str, str]] = ...) -> None: ...

class FileReference(_message.Message):
    __slots__ = ("id", "name", "target", "uid", "gid", "mode")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    UID_FIELD_NUMBER: _ClassVar[int]
    GID_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    target: str
    uid: str
    gid: str
    mode: int
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., target: _Optional[str] = ..., uid: _Optional[str] = ..., gid: _Optional[str] = ..., mode: _Optional[int] = ...) -> None: ...

class Privileges(_message.Message):
    __slots__ = ("no_new_privileges", "seccomp", "apparmor", "selinux_disable", "selinux_user", "selinux_role", "selinux_type", "selinux_level")
    NO_NEW_PRIVILEGES_FIELD_NUMBER: _ClassVar[int]
    SECCOMP_FIELD_NUMBER: _ClassVar[int]
    APPARMOR_FIELD_NUMBER: _ClassVar[int]
    SELINUX_DISABLE_FIELD_NUMBER: _ClassVar[int]
    SELINUX_USER_FIELD_NUMBER: _ClassVar[int]
    SELINUX_ROLE_FIELD_NUMBER: _ClassVar[int]
    SELINUX_TYPE_FIELD_NUMBER: _ClassVar[int]
    SELINUX_LEVEL_FIELD_NUMBER: _ClassVar[int]
    no_new_privileges: bool
    seccomp: str
    apparmor: str
    selinux_disable: bool
    selinux_user: str
    selinux_role: str
    selinux_type: str
    selinux_level: str
    def __init__(self, no_new_privileges: _Optional[bool] = ..., seccomp: _Optional[str] = ..., apparmor: _Optional[str] = ..., selinux_disable: _Optional[bool] = ..., selinux_user: _Optional[str] = ..., selinux_role: _Optional[str] = ..., selinux_type: _Optional[str] = ..., selinux_level: _Optional[str] = ...) -> None: ...

class ContainerSpec(_message.Message):
    __slots__ = ("image", "command", "args", "env", "labels", "workdir", "user", "groups", "hostname", "tty", "open_stdin", "read_only", "init", "isolation", "stop_signal", "stop_grace_s", "health_check", "mounts", "hosts", "dns", "capabilities_add", "capabilities_drop", "ulimits", "sysctls", "privileges", "oom_score_adj", "devices", "privileged", "gpus", "shm_size_bytes", "configs", "secrets")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class SysctlsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    WORKDIR_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    TTY_FIELD_NUMBER: _ClassVar[int]
    OPEN_STDIN_FIELD_NUMBER: _ClassVar[int]
    READ_ONLY_FIELD_NUMBER: _ClassVar[int]
    INIT_FIELD_NUMBER: _ClassVar[int]
    ISOLATION_FIELD_NUMBER: _ClassVar[int]
    STOP_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    STOP_GRACE_S_FIELD_NUMBER: _ClassVar[int]
    HEALTH_CHECK_FIELD_NUMBER: _ClassVar[int]
    MOUNTS_FIELD_NUMBER: _ClassVar[int]
    HOSTS_FIELD_NUMBER: _ClassVar[int]
    DNS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_ADD_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_DROP_FIELD_NUMBER: _ClassVar[int]
    ULIMITS_FIELD_NUMBER: _ClassVar[int]
    SYSCTLS_FIELD_NUMBER: _ClassVar[int]
    PRIVILEGES_FIELD_NUMBER: _ClassVar[int]
    OOM_SCORE_ADJ_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    PRIVILEGED_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    SHM_SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    CONFIGS_FIELD_NUMBER: _ClassVar[int]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    image: str
    command: _containers.RepeatedScalarFieldContainer[str]
    args: _containers.RepeatedScalarFieldContainer[str]
    env: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.ScalarMap[str, str]
    workdir: str
    user: str
    groups: _containers.RepeatedScalarFieldContainer[str]
    hostname: str
    tty: bool
    open_stdin: bool
    read_only: bool
    init: bool
    isolation: str
    stop_signal: str
    stop_grace_s: float
    health_check: HealthCheck
    mounts: _containers.RepeatedCompositeFieldContainer[Mount]
    hosts: _containers.RepeatedScalarFieldContainer[str]
    dns: DnsConfig
    capabilities_add: _containers.RepeatedScalarFieldContainer[str]
    capabilities_drop: _containers.RepeatedScalarFieldContainer[str]
    ulimits: _containers.RepeatedCompositeFieldContainer[Ulimit]
    sysctls: _containers.ScalarMap[str, str]
    privileges: Privileges
    oom_score_adj: int
    devices: _containers.RepeatedCompositeFieldContainer[Device]
    privileged: bool
    gpus: _containers.RepeatedCompositeFieldContainer[GpuRequest]
    shm_size_bytes: int
    configs: _containers.RepeatedCompositeFieldContainer[FileReference]
    secrets: _containers.RepeatedCompositeFieldContainer[FileReference]
    def __init__(self, image: _Optional[str] = ..., command: _Optional[_Iterable[str]] = ..., args: _Optional[_Iterable[str]] = ..., env: _Optional[_Iterable[str]] = ..., labels: _Optional[_Mapping[str, str]] = ..., workdir: _Optional[str] = ..., user: _Optional[str] = ..., groups: _Optional[_Iterable[str]] = ..., hostname: _Optional[str] = ..., tty: _Optional[bool] = ..., open_stdin: _Optional[bool] = ..., read_only: _Optional[bool] = ..., init: _Optional[bool] = ..., isolation: _Optional[str] = ..., stop_signal: _Optional[str] = ..., stop_grace_s: _Optional[float] = ..., health_check: _Optional[_Union[HealthCheck, _Mapping]] = ..., mounts: _Optional[_Iterable[_Union[Mount, _Mapping]]] = ..., hosts: _Optional[_Iterable[str]] = ..., dns: _Optional[_Union[DnsConfig, _Mapping]] = ..., capabilities_add: _Optional[_Iterable[str]] = ..., capabilities_drop: _Optional[_Iterable[str]] = ..., ulimits: _Optional[_Iterable[_Union[Ulimit, _Mapping]]] = ..., sysctls: _Optional[_Mapping[str, str]] = ..., privileges: _Optional[_Union[Privileges, _Mapping]] = ..., oom_score_adj: _Optional[int] = ..., devices: _Optional[_Iterable[_Union[Device, _Mapping]]] = ..., privileged: _Optional[bool] = ..., gpus: _Optional[_Iterable[_Union[GpuRequest, _Mapping]]] = ..., shm_size_bytes: _Optional[int] = ..., configs: _Optional[_Iterable[_Union[FileReference, _Mapping]]] = ..., secrets: _Optional[_Iterable[_Union[FileReference, _Mapping]]] = ...) -> None: ...

class LogDriver(_message.Message):
    __slots__ = ("name", "options")
    class OptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    options: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., options: _Optional[_Mapping[str, str]] = ...) -> None: ...

class NetworkAttachment(_message.Message):
    __slots__ = ("target", "aliases", "driver_options")
    class DriverOptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TARGET_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    DRIVER_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    target: str
    aliases: _containers.RepeatedScalarFieldContainer[str]
    driver_options: _containers.ScalarMap[str, str]
    def __init__(self, target: _Optional[str] = ..., aliases: _Optional[_Iterable[str]] = ..., driver_options: _Optional[_Mapping[str, str]] = ...) -> None: ...

class PortSpec(_message.Message):
    __slots__ = ("name", "protocol", "target_port", "published_port", "publish_mode")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    TARGET_PORT_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_PORT_FIELD_NUMBER: _ClassVar[int]
    PUBLISH_MODE_FIELD_NUMBER: _ClassVar[int]
    name: str
    protocol: str
    target_port: int
    published_port: int
    publish_mode: str
    def __init__(self, name: _Optional[str] = ..., protocol: _Optional[str] = ..., target_port: _Optional[int] = ..., published_port: _Optional[int] = ..., publish_mode: _Optional[str] = ...) -> None: ...

class EndpointSpec(_message.Message):
    __slots__ = ("mode", "ports")
    MODE_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    mode: str
    ports: _containers.RepeatedCompositeFieldContainer[PortSpec]
    def __init__(self, mode: _Optional[str] = ..., ports: _Optional[_Iterable[_Union[PortSpec, _Mapping]]] = ...) -> None: ...

class TaskSpec(_message.Message):
    __slots__ = ("container", "limits", "reservation", "restart", "placement", "log_driver", "networks", "force_update")
    CONTAINER_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_FIELD_NUMBER: _ClassVar[int]
    RESTART_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    LOG_DRIVER_FIELD_NUMBER: _ClassVar[int]
    NETWORKS_FIELD_NUMBER: _ClassVar[int]
    FORCE_UPDATE_FIELD_NUMBER: _ClassVar[int]
    container: ContainerSpec
    limits: Limits
    reservation: Reservation
    restart: RestartPolicy
    placement: Placement
    log_driver: LogDriver
    networks: _containers.RepeatedCompositeFieldContainer[NetworkAttachment]
    force_update: int
    def __init__(self, container: _Optional[_Union[ContainerSpec, _Mapping]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., reservation: _Optional[_Union[Reservation, _Mapping]] = ..., restart: _Optional[_Union[RestartPolicy, _Mapping]] = ..., placement: _Optional[_Union[Placement, _Mapping]] = ..., log_driver: _Optional[_Union[LogDriver, _Mapping]] = ..., networks: _Optional[_Iterable[_Union[NetworkAttachment, _Mapping]]] = ..., force_update: _Optional[int] = ...) -> None: ...

class ServiceSpec(_message.Message):
    __slots__ = ("name", "labels", "mode", "task", "endpoint", "update", "rollback")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    ROLLBACK_FIELD_NUMBER: _ClassVar[int]
    name: str
    labels: _containers.ScalarMap[str, str]
    mode: ServiceMode
    task: TaskSpec
    endpoint: EndpointSpec
    update: UpdatePolicy
    rollback: UpdatePolicy
    def __init__(self, name: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., mode: _Optional[_Union[ServiceMode, _Mapping]] = ..., task: _Optional[_Union[TaskSpec, _Mapping]] = ..., endpoint: _Optional[_Union[EndpointSpec, _Mapping]] = ..., update: _Optional[_Union[UpdatePolicy, _Mapping]] = ..., rollback: _Optional[_Union[UpdatePolicy, _Mapping]] = ...) -> None: ...

class NodeSpec(_message.Message):
    __slots__ = ("labels", "availability", "role", "name")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    LABELS_FIELD_NUMBER: _ClassVar[int]
    AVAILABILITY_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    labels: _containers.ScalarMap[str, str]
    availability: str
    role: str
    name: str
    def __init__(self, labels: _Optional[_Mapping[str, str]] = ..., availability: _Optional[str] = ..., role: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class NodeDescription(_message.Message):
    __slots__ = ("hostname", "address", "platform", "resources", "engine_version", "engine_labels", "volume_plugins", "network_plugins", "log_plugins", "agent_version", "agent_labels")
    class EngineLabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class AgentLabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    ENGINE_VERSION_FIELD_NUMBER: _ClassVar[int]
    ENGINE_LABELS_FIELD_NUMBER: _ClassVar[int]
    VOLUME_PLUGINS_FIELD_NUMBER: _ClassVar[int]
    NETWORK_PLUGINS_FIELD_NUMBER: _ClassVar[int]
    LOG_PLUGINS_FIELD_NUMBER: _ClassVar[int]
    AGENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    AGENT_LABELS_FIELD_NUMBER: _ClassVar[int]
    hostname: str
    address: str
    platform: Platform
    resources: NodeResources
    engine_version: str
    engine_labels: _containers.ScalarMap[str, str]
    volume_plugins: _containers.RepeatedScalarFieldContainer[str]
    network_plugins: _containers.RepeatedScalarFieldContainer[str]
    log_plugins: _containers.RepeatedScalarFieldContainer[str]
    agent_version: str
    agent_labels: _containers.ScalarMap[str, str]
    def __init__(self, hostname: _Optional[str] = ..., address: _Optional[str] = ..., platform: _Optional[_Union[Platform, _Mapping]] = ..., resources: _Optional[_Union[NodeResources, _Mapping]] = ..., engine_version: _Optional[str] = ..., engine_labels: _Optional[_Mapping[str, str]] = ..., volume_plugins: _Optional[_Iterable[str]] = ..., network_plugins: _Optional[_Iterable[str]] = ..., log_plugins: _Optional[_Iterable[str]] = ..., agent_version: _Optional[str] = ..., agent_labels: _Optional[_Mapping[str, str]] = ...) -> None: ...

class AddressPool(_message.Message):
    __slots__ = ("subnet", "ip_range", "gateway")
    SUBNET_FIELD_NUMBER: _ClassVar[int]
    IP_RANGE_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_FIELD_NUMBER: _ClassVar[int]
    subnet: str
    ip_range: str
    gateway: str
    def __init__(self, subnet: _Optional[str] = ..., ip_range: _Optional[str] = ..., gateway: _Optional[str] = ...) -> None: ...

class NetworkSpec(_message.Message):
    __slots__ = ("name", "driver", "labels", "options", "is_internal", "is_attachable", "is_ipv6", "pools")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class OptionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DRIVER_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    IS_INTERNAL_FIELD_NUMBER: _ClassVar[int]
    IS_ATTACHABLE_FIELD_NUMBER: _ClassVar[int]
    IS_IPV6_FIELD_NUMBER: _ClassVar[int]
    POOLS_FIELD_NUMBER: _ClassVar[int]
    name: str
    driver: str
    labels: _containers.ScalarMap[str, str]
    options: _containers.ScalarMap[str, str]
    is_internal: bool
    is_attachable: bool
    is_ipv6: bool
    pools: _containers.RepeatedCompositeFieldContainer[AddressPool]
    def __init__(self, name: _Optional[str] = ..., driver: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., options: _Optional[_Mapping[str, str]] = ..., is_internal: _Optional[bool] = ..., is_attachable: _Optional[bool] = ..., is_ipv6: _Optional[bool] = ..., pools: _Optional[_Iterable[_Union[AddressPool, _Mapping]]] = ...) -> None: ...

class Network(_message.Message):
    __slots__ = ("spec", "created_at")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    spec: NetworkSpec
    created_at: float
    def __init__(self, spec: _Optional[_Union[NetworkSpec, _Mapping]] = ..., created_at: _Optional[float] = ...) -> None: ...

class Node(_message.Message):
    __slots__ = ("id", "spec", "description", "state", "message", "version", "created_at", "updated_at", "down_since", "lost_at", "certified_as", "is_departing")
    ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    DOWN_SINCE_FIELD_NUMBER: _ClassVar[int]
    LOST_AT_FIELD_NUMBER: _ClassVar[int]
    CERTIFIED_AS_FIELD_NUMBER: _ClassVar[int]
    IS_DEPARTING_FIELD_NUMBER: _ClassVar[int]
    id: str
    spec: NodeSpec
    description: NodeDescription
    state: str
    message: str
    version: int
    created_at: float
    updated_at: float
    down_since: float
    lost_at: _containers.RepeatedScalarFieldContainer[float]
    certified_as: str
    is_departing: bool
    def __init__(self, id: _Optional[str] = ..., spec: _Optional[_Union[NodeSpec, _Mapping]] = ..., description: _Optional[_Union[NodeDescription, _Mapping]] = ..., state: _Optional[str] = ..., message: _Optional[str] = ..., version: _Optional[int] = ..., created_at: _Optional[float] = ..., updated_at: _Optional[float] = ..., down_since: _Optional[float] = ..., lost_at: _Optional[_Iterable[float]] = ..., certified_as: _Optional[str] = ..., is_departing: _Optional[bool] = ...) -> None: ...

class BoundPort(_message.Message):
    __slots__ = ("protocol", "target_port", "published_port")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    TARGET_PORT_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_PORT_FIELD_NUMBER: _ClassVar[int]
    protocol: str
    target_port: int
    published_port: int
    def __init__(self, protocol: _Optional[str] = ..., target_port: _Optional[int] = ..., published_port: _Optional[int] = ...) -> None: ...

class NetworkAddress(_message.Message):
    __slots__ = ("network", "address")
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    network: str
    address: str
    def __init__(self, network: _Optional[str] = ..., address: _Optional[str] = ...) -> None: ...

class TaskStatus(_message.Message):
    __slots__ = ("task_id", "state", "state_age_s", "message", "error", "exit_code", "container_id", "pid", "image_digest", "platform", "local_restarts", "ports", "ran_s", "addresses")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATE_AGE_S_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    CONTAINER_ID_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    LOCAL_RESTARTS_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    RAN_S_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    state: int
    state_age_s: float
    message: str
    error: str
    exit_code: int
    container_id: str
    pid: int
    image_digest: str
    platform: str
    local_restarts: int
    ports: _containers.RepeatedCompositeFieldContainer[BoundPort]
    ran_s: float
    addresses: _containers.RepeatedCompositeFieldContainer[NetworkAddress]
    def __init__(self, task_id: _Optional[str] = ..., state: _Optional[int] = ..., state_age_s: _Optional[float] = ..., message: _Optional[str] = ..., error: _Optional[str] = ..., exit_code: _Optional[int] = ..., container_id: _Optional[str] = ..., pid: _Optional[int] = ..., image_digest: _Optional[str] = ..., platform: _Optional[str] = ..., local_restarts: _Optional[int] = ..., ports: _Optional[_Iterable[_Union[BoundPort, _Mapping]]] = ..., ran_s: _Optional[float] = ..., addresses: _Optional[_Iterable[_Union[NetworkAddress, _Mapping]]] = ...) -> None: ...

class GrantedResource(_message.Message):
    __slots__ = ("kind", "units")
    KIND_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    units: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, kind: _Optional[str] = ..., units: _Optional[_Iterable[str]] = ...) -> None: ...

class RegistryAuth(_message.Message):
    __slots__ = ("username", "password", "identity_token", "registry_token", "server_address")
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SERVER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    username: str
    password: str
    identity_token: str
    registry_token: str
    server_address: str
    def __init__(self, username: _Optional[str] = ..., password: _Optional[str] = ..., identity_token: _Optional[str] = ..., registry_token: _Optional[str] = ..., server_address: _Optional[str] = ...) -> None: ...

class TaskTemplate(_message.Message):
    __slots__ = ("service_id", "service_name", "version", "task", "endpoint", "service_labels", "registry_auth", "is_global", "networks")
    class ServiceLabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    SERVICE_LABELS_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_AUTH_FIELD_NUMBER: _ClassVar[int]
    IS_GLOBAL_FIELD_NUMBER: _ClassVar[int]
    NETWORKS_FIELD_NUMBER: _ClassVar[int]
    service_id: str
    service_name: str
    version: int
    task: TaskSpec
    endpoint: EndpointSpec
    service_labels: _containers.ScalarMap[str, str]
    registry_auth: RegistryAuth
    is_global: bool
    networks: _containers.RepeatedCompositeFieldContainer[Network]
    def __init__(self, service_id: _Optional[str] = ..., service_name: _Optional[str] = ..., version: _Optional[int] = ..., task: _Optional[_Union[TaskSpec, _Mapping]] = ..., endpoint: _Optional[_Union[EndpointSpec, _Mapping]] = ..., service_labels: _Optional[_Mapping[str, str]] = ..., registry_auth: _Optional[_Union[RegistryAuth, _Mapping]] = ..., is_global: _Optional[bool] = ..., networks: _Optional[_Iterable[_Union[Network, _Mapping]]] = ...) -> None: ...

class TaskAssignment(_message.Message):
    __slots__ = ("task_id", "service_id", "slot", "template_version", "desired", "attempt", "granted")
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_ID_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_VERSION_FIELD_NUMBER: _ClassVar[int]
    DESIRED_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    service_id: str
    slot: int
    template_version: int
    desired: int
    attempt: int
    granted: _containers.RepeatedCompositeFieldContainer[GrantedResource]
    def __init__(self, task_id: _Optional[str] = ..., service_id: _Optional[str] = ..., slot: _Optional[int] = ..., template_version: _Optional[int] = ..., desired: _Optional[int] = ..., attempt: _Optional[int] = ..., granted: _Optional[_Iterable[_Union[GrantedResource, _Mapping]]] = ...) -> None: ...

class ClusterSettings(_message.Message):
    __slots__ = ("lost_after_s", "heartbeat_period_s", "task_history_limit", "orphan_after_s", "agent_restart_grace_s", "image_gc_age_s", "dead_container_age_s", "disk_low_percent")
    LOST_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_PERIOD_S_FIELD_NUMBER: _ClassVar[int]
    TASK_HISTORY_LIMIT_FIELD_NUMBER: _ClassVar[int]
    ORPHAN_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    AGENT_RESTART_GRACE_S_FIELD_NUMBER: _ClassVar[int]
    IMAGE_GC_AGE_S_FIELD_NUMBER: _ClassVar[int]
    DEAD_CONTAINER_AGE_S_FIELD_NUMBER: _ClassVar[int]
    DISK_LOW_PERCENT_FIELD_NUMBER: _ClassVar[int]
    lost_after_s: float
    heartbeat_period_s: float
    task_history_limit: int
    orphan_after_s: float
    agent_restart_grace_s: float
    image_gc_age_s: float
    dead_container_age_s: float
    disk_low_percent: int
    def __init__(self, lost_after_s: _Optional[float] = ..., heartbeat_period_s: _Optional[float] = ..., task_history_limit: _Optional[int] = ..., orphan_after_s: _Optional[float] = ..., agent_restart_grace_s: _Optional[float] = ..., image_gc_age_s: _Optional[float] = ..., dead_container_age_s: _Optional[float] = ..., disk_low_percent: _Optional[int] = ...) -> None: ...

class FilePayload(_message.Message):
    __slots__ = ("kind", "id", "name", "template_driver", "data", "problem")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_DRIVER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    kind: str
    id: str
    name: str
    template_driver: str
    data: bytes
    problem: str
    def __init__(self, kind: _Optional[str] = ..., id: _Optional[str] = ..., name: _Optional[str] = ..., template_driver: _Optional[str] = ..., data: _Optional[bytes] = ..., problem: _Optional[str] = ...) -> None: ...

class ObjectEvent(_message.Message):
    __slots__ = ("time_ns", "kind", "action", "id", "attributes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    time_ns: int
    kind: str
    action: str
    id: str
    attributes: _containers.ScalarMap[str, str]
    def __init__(self, time_ns: _Optional[int] = ..., kind: _Optional[str] = ..., action: _Optional[str] = ..., id: _Optional[str] = ..., attributes: _Optional[_Mapping[str, str]] = ...) -> None: ...
