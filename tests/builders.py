"""Small makers of model values: a test writes only what it cares about."""

from dataclasses import replace

from berth.model.ids import NodeId
from berth.model.node import Availability, Node, NodeDescription, NodeSpec, NodeState
from berth.model.resources import NodeResources, Reservation
from berth.model.service import (
    ContainerSpec,
    EndpointSpec,
    ModeKind,
    Placement,
    PortSpec,
    RestartCondition,
    RestartPolicy,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
    UpdatePolicy,
)

GIB = 1024**3


def a_spec(
    name: str = "web",
    replicas: int = 1,
    *,
    image: str = "app:1",
    is_global: bool = False,
    labels: dict[str, str] | None = None,
    constraints: tuple[str, ...] = (),
    cpus: float = 0.0,
    memory: int = 0,
    port: int = 0,
    max_per_node: int = 0,
    restart: RestartPolicy | None = None,
    update: UpdatePolicy | None = None,
    rollback: UpdatePolicy | None = None,
    grace_s: float | None = None,
) -> ServiceSpec:
    """Return a service's spec."""
    mode = (
        ServiceMode(ModeKind.GLOBAL)
        if is_global
        else ServiceMode(ModeKind.REPLICATED, replicas=replicas)
    )
    ports = (PortSpec(target_port=80, published_port=port),) if port else ()
    return ServiceSpec(
        name=name,
        labels=labels or {},
        mode=mode,
        task=TaskSpec(
            container=ContainerSpec(image=image, stop_grace_s=grace_s),
            reservation=Reservation(nano_cpus=int(cpus * 1e9), memory_bytes=memory),
            restart=restart or RestartPolicy(),
            placement=Placement(constraints=constraints, max_replicas_per_node=max_per_node),
        ),
        endpoint=EndpointSpec(ports=ports),
        update=update,
        rollback=rollback,
    )


def a_job(
    total: int = 5,
    at_once: int = 2,
    *,
    name: str = "web",
    image: str = "job:1",
    labels: dict[str, str] | None = None,
    restart: RestartPolicy | None = None,
) -> ServiceSpec:
    """Return a replicated job's spec."""
    mode = ServiceMode(ModeKind.REPLICATED_JOB, max_concurrent=at_once, total_completions=total)
    return replace(a_spec(name, image=image, labels=labels, restart=restart), mode=mode)


def a_global_job(*, image: str = "job:1", labels: dict[str, str] | None = None) -> ServiceSpec:
    """Return a global job's spec."""
    mode = ServiceMode(ModeKind.GLOBAL_JOB)
    return replace(a_spec(image=image, labels=labels), mode=mode)


def a_node(
    node: str = "n1",
    *,
    cpus: float = 4.0,
    memory: int = 8 * GIB,
    labels: dict[str, str] | None = None,
    availability: Availability = Availability.ACTIVE,
    state: NodeState = NodeState.READY,
) -> Node:
    """Return a node."""
    return Node(
        id=NodeId(node),
        spec=NodeSpec(labels=labels or {}, availability=availability),
        description=a_description(node, cpus=cpus, memory=memory),
        state=state,
    )


def a_description(node: str = "n1", *, cpus: float = 4.0, memory: int = 8 * GIB) -> NodeDescription:
    """Return what an agent tells of its machine."""
    return NodeDescription(
        hostname=node,
        address="192.0.2.1",
        resources=NodeResources(nano_cpus=int(cpus * 1e9), memory_bytes=memory),
    )


def restart(
    condition: str = "any", delay_s: float = 5.0, attempts: int = 0, window_s: float = 0.0
) -> RestartPolicy:
    """Return a restart policy."""
    return RestartPolicy(RestartCondition(condition), delay_s, attempts, window_s)
