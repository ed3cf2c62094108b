"""What a user declares: the spec of a service and its policies.

Values only; whether they make sense is `scheduler.control.validate`'s duty. Every field's default
is "the user did not say": for most an empty value, for policies None, so that a spec comes back to
its user exactly as it was sent. What then holds is in `berth.model.defaults`. Durations are in
seconds. A spec is never altered by the system, except that its image is pinned to a digest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from berth.model.hot_value import hot_value
from berth.model.resources import Limits, Reservation


class ModeKind(StrEnum):
    """How many tasks a service wants."""

    REPLICATED = "replicated"
    GLOBAL = "global"
    REPLICATED_JOB = "replicated-job"
    GLOBAL_JOB = "global-job"

    @property
    def is_job(self) -> bool:
        """True when its tasks are meant to end."""
        return self in _JOBS

    @property
    def is_global(self) -> bool:
        """True for one task per node."""
        return self in _GLOBALS


# Named once: Python 3.11 takes 0.15 us to find a member of an enumeration by its name.
_JOBS = (ModeKind.REPLICATED_JOB, ModeKind.GLOBAL_JOB)
_GLOBALS = (ModeKind.GLOBAL, ModeKind.GLOBAL_JOB)


@dataclass(frozen=True, slots=True)
class ServiceMode:
    """The mode of a service; it cannot change after create.

    `replicas` belongs to REPLICATED, `max_concurrent` and `total_completions` to REPLICATED_JOB.
    """

    kind: ModeKind = ModeKind.REPLICATED
    replicas: int | None = None
    max_concurrent: int | None = None
    total_completions: int | None = None


class RestartCondition(StrEnum):
    """After which end a task is replaced."""

    NONE = "none"
    ON_FAILURE = "on-failure"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When a task that ended is followed by another; attempts count per slot and template."""

    condition: RestartCondition | None = None
    delay_s: float | None = None
    max_attempts: int | None = None
    window_s: float | None = None


class FailureAction(StrEnum):
    """What a rollout does when too many of its tasks fail."""

    PAUSE = "pause"
    CONTINUE = "continue"
    ROLLBACK = "rollback"


class UpdateOrder(StrEnum):
    """Whether the old task stops before the new one starts, or after it runs."""

    STOP_FIRST = "stop-first"
    START_FIRST = "start-first"


@dataclass(frozen=True, slots=True)
class UpdatePolicy:
    """How a rollout proceeds; `parallelism` 0 means all at once."""

    parallelism: int | None = None
    delay_s: float | None = None
    monitor_s: float | None = None
    failure_action: FailureAction | None = None
    max_failure_ratio: float | None = None
    order: UpdateOrder | None = None


class PlacementStrategy(StrEnum):
    """Fewest tasks first, or fill one node before the next."""

    SPREAD = "spread"
    BINPACK = "binpack"


@dataclass(frozen=True, slots=True)
class Platform:
    """Operating system and processor as in an image's manifest; empty fields match anything."""

    os: str = ""
    architecture: str = ""
    variant: str = ""


@hot_value
class Placement:
    """Where tasks may run.

    `constraints` are Swarm's (``node.labels.zone==a``), all must hold. `spread_preferences` are
    descriptors in order (``node.labels.zone``). `platforms` come from the image's manifest.
    """

    constraints: tuple[str, ...] = ()
    spread_preferences: tuple[str, ...] = ()
    max_replicas_per_node: int = 0
    platforms: tuple[Platform, ...] = ()
    strategy: PlacementStrategy | None = None


class MountType(StrEnum):
    """What is mounted."""

    BIND = "bind"
    VOLUME = "volume"
    TMPFS = "tmpfs"


@dataclass(frozen=True, slots=True)
class BindOptions:
    """Options of a bind mount."""

    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


@dataclass(frozen=True, slots=True)
class VolumeOptions:
    """Options of a volume mount; the volume is made on the node when it is missing."""

    no_copy: bool = False
    subpath: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    driver: str = ""
    driver_options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TmpfsOptions:
    """Options of a tmpfs mount; 0 = the Engine's default."""

    size_bytes: int = 0
    mode: int = 0


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount; `target` is unique within a container."""

    type: MountType = MountType.BIND
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind: BindOptions | None = None
    volume: VolumeOptions | None = None
    tmpfs: TmpfsOptions | None = None


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """Overrides the image's health check; `test` is as Docker's: ("CMD-SHELL", "…"), ("NONE",)."""

    test: tuple[str, ...] = ()
    interval_s: float | None = None
    timeout_s: float | None = None
    start_period_s: float | None = None
    start_interval_s: float | None = None
    retries: int | None = None


@dataclass(frozen=True, slots=True)
class DnsConfig:
    """Resolver settings inside the container."""

    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ulimit:
    """One resource limit of the container's processes; -1 = unlimited."""

    name: str = ""
    soft: int = 0
    hard: int = 0


@dataclass(frozen=True, slots=True)
class Device:
    """A device of the node inside the container (beyond Swarm)."""

    host_path: str = ""
    container_path: str = ""
    permissions: str = "rwm"


@dataclass(frozen=True, slots=True)
class GpuRequest:
    """GPUs as `docker run --gpus` asks for them (beyond Swarm); count -1 = all."""

    driver: str = ""
    count: int = 0
    device_ids: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ("gpu",)
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileReference:
    """A config or secret given to the container as a file."""

    id: str = ""
    name: str = ""
    target: str = ""
    uid: str = ""
    gid: str = ""
    mode: int = 0o444


@dataclass(frozen=True, slots=True)
class Privileges:
    """Security settings of the container."""

    no_new_privileges: bool = False
    seccomp: str = ""  # "", "unconfined", or a profile as JSON text
    apparmor: str = ""  # "", "disabled"
    selinux_disable: bool = False
    selinux_user: str = ""
    selinux_role: str = ""
    selinux_type: str = ""
    selinux_level: str = ""


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What runs. `command` replaces the image's ENTRYPOINT, `args` its CMD, as in Swarm."""

    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()  # "NAME=value", in order
    labels: Mapping[str, str] = field(default_factory=dict)
    workdir: str = ""
    user: str = ""
    groups: tuple[str, ...] = ()
    hostname: str = ""
    tty: bool = False
    open_stdin: bool = False
    read_only: bool = False
    init: bool | None = None
    isolation: str = ""
    stop_signal: str = ""
    stop_grace_s: float | None = None
    health_check: HealthCheck | None = None
    mounts: tuple[Mount, ...] = ()
    hosts: tuple[str, ...] = ()  # "address name [name…]", as in a hosts file
    dns: DnsConfig | None = None
    capabilities_add: tuple[str, ...] = ()
    capabilities_drop: tuple[str, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    privileges: Privileges | None = None
    oom_score_adj: int = 0
    devices: tuple[Device, ...] = ()
    privileged: bool = False
    gpus: tuple[GpuRequest, ...] = ()
    shm_size_bytes: int = 0
    configs: tuple[FileReference, ...] = ()
    secrets: tuple[FileReference, ...] = ()


@dataclass(frozen=True, slots=True)
class LogDriver:
    """The log driver of the container; an empty name means the node's default."""

    name: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NetworkAttachment:
    """A network that tasks join, by name or ID."""

    target: str = ""
    aliases: tuple[str, ...] = ()
    driver_options: Mapping[str, str] = field(default_factory=dict)


class PublishMode(StrEnum):
    """Where a port is published: on the task's own node, or on every node."""

    HOST = "host"
    INGRESS = "ingress"


@dataclass(frozen=True, slots=True)
class PortSpec:
    """One published port; `published_port` 0 = the Engine chooses."""

    name: str = ""
    protocol: str = "tcp"
    target_port: int = 0
    published_port: int = 0
    publish_mode: PublishMode = PublishMode.HOST


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """How the service is reached."""

    mode: str = ""  # "", "vip", "dnsrr"
    ports: tuple[PortSpec, ...] = ()


@hot_value
class TaskSpec:
    """The template of a service's tasks: a change to it replaces tasks."""

    container: ContainerSpec = field(default_factory=ContainerSpec)
    limits: Limits = field(default_factory=Limits)
    reservation: Reservation = field(default_factory=Reservation)
    restart: RestartPolicy = field(default_factory=RestartPolicy)
    placement: Placement = field(default_factory=Placement)
    log_driver: LogDriver | None = None
    networks: tuple[NetworkAttachment, ...] = ()
    force_update: int = 0


@hot_value
class ServiceSpec:
    """Everything that a user says of a service."""

    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    mode: ServiceMode = field(default_factory=ServiceMode)
    task: TaskSpec = field(default_factory=TaskSpec)
    endpoint: EndpointSpec = field(default_factory=EndpointSpec)
    update: UpdatePolicy | None = None
    rollback: UpdatePolicy | None = None
