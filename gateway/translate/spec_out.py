"""The model -> Docker's ServiceSpec. Pure.

Duty: what clients read and, changed in places, send back. Objects that clients follow without
looking (ContainerSpec, Placement, Mode with its numbers) are always there. Not here: the
container's part (container_out), the way in (spec_in), defaults on demand (defaults).
"""

from typing import Any

from berth.model.defaults import effective_completions, effective_concurrency, effective_replicas
from berth.model.resources import Limits, Reservation
from berth.model.service import (
    EndpointSpec,
    ModeKind,
    NetworkAttachment,
    Placement,
    PortSpec,
    RestartPolicy,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
    UpdatePolicy,
)
from gateway.translate.container_out import write_container
from gateway.translate.writing import go_number, nanoseconds, without_empty, without_none


def write_service_spec(spec: ServiceSpec) -> dict[str, Any]:
    """Return a service's spec as Docker's clients know it."""
    written: dict[str, Any] = {
        "Name": spec.name,
        "Labels": dict(spec.labels),
        "TaskTemplate": write_task_spec(spec.task),
        "Mode": write_mode(spec.mode),
    }
    if spec.update is not None:
        written["UpdateConfig"] = write_update(spec.update)
    if spec.rollback is not None:
        written["RollbackConfig"] = write_update(spec.rollback)
    written["EndpointSpec"] = write_endpoint(spec.endpoint)
    return written


def write_mode(mode: ServiceMode) -> dict[str, Any]:
    """Return a mode with its numbers: the docker CLI follows them without looking."""
    match mode.kind:
        case ModeKind.GLOBAL:
            return {"Global": {}}
        case ModeKind.GLOBAL_JOB:
            return {"GlobalJob": {}}
        case ModeKind.REPLICATED_JOB:
            at_once, total = effective_concurrency(mode), effective_completions(mode)
            return {"ReplicatedJob": {"MaxConcurrent": at_once, "TotalCompletions": total}}
        case ModeKind.REPLICATED:
            return {"Replicated": {"Replicas": effective_replicas(mode)}}


def write_task_spec(task: TaskSpec) -> dict[str, Any]:
    """Return the template of a service's tasks."""
    written: dict[str, Any] = {
        "ContainerSpec": write_container(task.container),
        "Resources": {
            "Limits": _limits(task.limits),
            "Reservations": _reservation(task.reservation),
        },
    }
    restart = write_restart(task.restart)
    if restart:
        written["RestartPolicy"] = restart
    written["Placement"] = _placement(task.placement)
    if task.networks:
        written["Networks"] = [_network(network) for network in task.networks]
    if (driver := task.log_driver) is not None:
        written["LogDriver"] = without_empty({"Name": driver.name, "Options": dict(driver.options)})
    written["ForceUpdate"] = task.force_update
    written["Runtime"] = "container"
    return written


def _limits(limits: Limits) -> dict[str, Any]:
    return without_empty(
        {
            "NanoCPUs": limits.nano_cpus,
            "MemoryBytes": limits.memory_bytes,
            "Pids": limits.pids,
        }
    )


def _reservation(reservation: Reservation) -> dict[str, Any]:
    generic = [
        {"DiscreteResourceSpec": {"Kind": kind, "Value": count}}
        for kind, count in reservation.generic.items()
    ]
    return without_empty(
        {
            "NanoCPUs": reservation.nano_cpus,
            "MemoryBytes": reservation.memory_bytes,
            "GenericResources": generic,
        }
    )


def write_restart(policy: RestartPolicy) -> dict[str, Any]:
    """Return a RestartPolicy; {} where nothing was said."""
    return without_none(
        {
            "Condition": policy.condition and policy.condition.value,
            "Delay": nanoseconds(policy.delay_s),
            "MaxAttempts": policy.max_attempts,
            "Window": nanoseconds(policy.window_s),
        }
    )


def _placement(placement: Placement) -> dict[str, Any]:
    return without_empty(
        {
            "Constraints": list(placement.constraints),
            "Preferences": [
                {"Spread": {"SpreadDescriptor": descriptor}}
                for descriptor in placement.spread_preferences
            ],
            "MaxReplicas": placement.max_replicas_per_node,
            "Platforms": [
                without_empty({"Architecture": found.architecture, "OS": found.os})
                for found in placement.platforms
            ],
        }
    )


def _network(network: NetworkAttachment) -> dict[str, Any]:
    said = without_empty(
        {"Aliases": list(network.aliases), "DriverOpts": dict(network.driver_options)}
    )
    return {"Target": network.target, **said}


def write_endpoint(endpoint: EndpointSpec) -> dict[str, Any]:
    """Return an EndpointSpec."""
    return without_empty({"Mode": endpoint.mode, "Ports": write_ports(endpoint.ports)})


def write_ports(ports: tuple[PortSpec, ...]) -> list[dict[str, Any]]:
    """Return published ports; protocol and mode are always said, as Swarm does."""
    return [
        {
            **without_empty({"Name": port.name}),
            "Protocol": port.protocol,
            "TargetPort": port.target_port,
            **without_empty({"PublishedPort": port.published_port}),
            "PublishMode": port.publish_mode.value,
        }
        for port in ports
    ]


def write_update(policy: UpdatePolicy) -> dict[str, Any]:
    """Return an UpdateConfig; what was left open is absent, but Docker always says how many."""
    return without_none(
        {
            "Parallelism": 1 if policy.parallelism is None else policy.parallelism,
            "Delay": nanoseconds(policy.delay_s) or None,
            "FailureAction": policy.failure_action and policy.failure_action.value,
            "Monitor": nanoseconds(policy.monitor_s),
            "MaxFailureRatio": go_number(policy.max_failure_ratio),
            "Order": policy.order and policy.order.value,
        }
    )
