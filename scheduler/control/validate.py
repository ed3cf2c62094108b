"""Decide whether a service's spec makes sense: all faults at once, each with its path.

Duty: Swarm's checks at create and update, and Berth's own; warnings for what is accepted but will
not do what its user may expect. Pure.
Not here: whether the name is free or the image exists (scheduler.control.service), the container's
own part (scheduler.control.validate_container).
Invariant (tests/unit/scheduler/control/test_validate.py): every rule has a row there, and a spec
without faults never makes the agent's translation fail.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from berth.errors import Fault, InvalidRequestError
from berth.model.defaults import effective_update
from berth.model.fence import FENCE_LABEL, fence_after_s
from berth.model.service import (
    FailureAction,
    ModeKind,
    PublishMode,
    ServiceSpec,
    TaskSpec,
    UpdateOrder,
    UpdatePolicy,
)
from scheduler.control.endpoints import shared_networks
from scheduler.control.validate_container import container_faults
from scheduler.control.validate_job import job_faults
from scheduler.core.placement.constraints import label_subject, parse_constraint

NAME_LENGTH_MAX: Final = 63
REPLICAS_MAX: Final = 1_000_000
NANO_CPUS_MIN: Final = 1_000_000
MEMORY_BYTES_MIN: Final = 4 * 1024 * 1024
_PORT_MAX: Final = 65_535

_NAME: Final = re.compile(r"[a-zA-Z0-9](?:[-_]*[a-zA-Z0-9]+)*")
_KIND: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_PROTOCOLS: Final = ("tcp", "udp", "sctp")
_ENDPOINT_MODES: Final = ("", "vip", "dnsrr")

Faults = Iterator[Fault]


def validate_spec(
    spec: ServiceSpec, *, previous: ServiceSpec | None
) -> tuple[list[Fault], list[str]]:
    """Return all faults of `spec`, or else the warnings to show its user.

    Args:
        spec: what the user sent.
        previous: the spec that it is to follow, None at create.
    """
    faults = [
        *_name_faults(spec.name),
        *_fence_faults(spec),
        *job_faults(spec),
        *_mode_faults(spec),
        *_change_faults(spec, previous),
        *container_faults(spec.task.container, "task.container"),
        *_resource_faults(spec.task),
        *_restart_faults(spec.task),
        *_placement_faults(spec),
        *_log_driver_faults(spec.task),
        *_network_faults(spec.task),
        *_endpoint_faults(spec),
        *_policy_faults("update", spec.update),
        *_policy_faults("rollback", spec.rollback),
    ]
    return faults, [] if faults else list(_warnings(spec))  # What is refused needs none.


def refusal_of(call: Callable[[], object]) -> str:
    """Return why `call` refuses, "" when it does not."""
    try:
        call()
    except InvalidRequestError as error:
        return error.message
    return ""


def _name_faults(name: str) -> Faults:
    if not name:
        yield Fault("name", "is empty; name the service")
    elif len(name) > NAME_LENGTH_MAX:
        yield Fault("name", f'"{name}" has {len(name)} characters; use at most {NAME_LENGTH_MAX}')
    elif not _NAME.fullmatch(name):
        yield Fault(
            "name",
            f'"{name}" is not a name; use letters and digits, with - and _ only between them',
        )


def _fence_faults(spec: ServiceSpec) -> Faults:
    yield from (
        Fault("labels", f'"={value}" has an empty key')
        for key, value in spec.labels.items()
        if not key
    )
    problem = refusal_of(lambda: fence_after_s(spec.labels))
    if problem:
        yield Fault(f"labels[{FENCE_LABEL}]", problem)


def _mode_faults(spec: ServiceSpec) -> Faults:
    mode = spec.mode
    if mode.replicas is not None:
        if mode.kind is not ModeKind.REPLICATED:
            yield Fault("mode.replicas", "is only for replicated services; leave it out")
        elif not 0 <= mode.replicas <= REPLICAS_MAX:
            yield Fault("mode.replicas", f"{mode.replicas} is not within 0..{REPLICAS_MAX}")


def _change_faults(spec: ServiceSpec, previous: ServiceSpec | None) -> Faults:
    if previous is None:
        return
    if spec.name != previous.name:
        yield Fault(
            "name",
            f'cannot change from "{previous.name}" to "{spec.name}"; create a new service instead',
        )
    if spec.mode.kind is not previous.mode.kind:
        yield Fault(
            "mode",
            f"cannot change from {previous.mode.kind.value} to {spec.mode.kind.value}; "
            "remove the service and create it anew",
        )


def _resource_faults(task: TaskSpec) -> Faults:
    for path, amounts in (("task.limits", task.limits), ("task.reservation", task.reservation)):
        cpus, memory = amounts.nano_cpus, amounts.memory_bytes
        if cpus != 0 and cpus < NANO_CPUS_MIN:
            yield Fault(f"{path}.nano_cpus", f"{cpus / 1e9:g} CPU is below 0.001; ask for more")
        if memory != 0 and memory < MEMORY_BYTES_MIN:
            yield Fault(f"{path}.memory_bytes", f"{memory} bytes is below 4 MiB; ask for more")
    if task.limits.pids < -1:
        yield Fault("task.limits.pids", f"{task.limits.pids} is negative; 0 = unlimited")
    for kind, count in task.reservation.generic.items():
        path = f"task.reservation.generic[{kind}]"
        if not _KIND.fullmatch(kind):
            yield Fault(path, f'"{kind}" is not a kind of resource; write letters and digits')
        if count < 1:
            yield Fault(path, f"{count} is not a number to reserve; ask for 1 or more")


def _restart_faults(task: TaskSpec) -> Faults:
    yield from _negative_faults(
        "task.restart", task.restart, ("delay_s", "max_attempts", "window_s")
    )
    if task.force_update < 0:
        yield Fault("task.force_update", f"{task.force_update} is negative")


def _negative_faults(path: str, policy: object, names: tuple[str, ...]) -> Faults:
    for name in names:
        value = getattr(policy, name)
        # `not >=` refuses NaN as well.
        if value is not None and not value >= 0:
            yield Fault(f"{path}.{name}", f"{value:g} is negative; use 0 or more")


def _placement_faults(spec: ServiceSpec) -> Faults:
    placement = spec.task.placement
    for index, text in enumerate(placement.constraints):
        problem = refusal_of(lambda text=text: parse_constraint(text))  # type: ignore[misc]
        if problem:
            yield Fault(f"task.placement.constraints[{index}]", problem)
    for index, descriptor in enumerate(placement.spread_preferences):
        if not label_subject(descriptor):
            yield Fault(
                f"task.placement.spread_preferences[{index}]",
                f'"{descriptor}" cannot be spread over; write node.labels.NAME or '
                "engine.labels.NAME",
            )
    path = "task.placement.max_replicas_per_node"
    if placement.max_replicas_per_node < 0:
        yield Fault(path, f"{placement.max_replicas_per_node} is negative; 0 = no cap")
    elif placement.max_replicas_per_node and spec.mode.kind.is_global:
        yield Fault(path, "is only for replicated services; a global one has one task per node")


def _log_driver_faults(task: TaskSpec) -> Faults:
    driver = task.log_driver
    if driver is not None and driver.options and not driver.name:
        yield Fault("task.log_driver.name", "is empty, but there are options; name the driver")


def _network_faults(task: TaskSpec) -> Faults:
    seen: set[str] = set()
    for index, network in enumerate(task.networks):
        path = f"task.networks[{index}].target"
        if not network.target:
            yield Fault(path, "is empty; name a network")
        elif network.target in seen:
            yield Fault(path, f'"{network.target}" is named twice; name it once')
        elif network.target in ("host", "none") and len(task.networks) > 1:
            yield Fault(path, f'"{network.target}" cannot be combined with other networks')
        seen.add(network.target)


def _endpoint_faults(spec: ServiceSpec) -> Faults:
    endpoint = spec.endpoint
    if endpoint.mode not in _ENDPOINT_MODES:
        yield Fault("endpoint.mode", f'"{endpoint.mode}" is neither vip nor dnsrr')
    taken: dict[tuple[str, int], int] = {}
    for index, port in enumerate(endpoint.ports):
        path = f"endpoint.ports[{index}]"
        if port.protocol not in _PROTOCOLS:
            yield Fault(f"{path}.protocol", f'"{port.protocol}" is not one of tcp, udp, sctp')
        if not 1 <= port.target_port <= _PORT_MAX:
            yield Fault(f"{path}.target_port", f"{port.target_port} is not within 1..{_PORT_MAX}")
        if not 0 <= port.published_port <= _PORT_MAX:
            yield Fault(
                f"{path}.published_port",
                f"{port.published_port} is not within 1..{_PORT_MAX}; 0 = any free one",
            )
        if port.published_port:
            key = (port.protocol, port.published_port)
            if key in taken:
                yield Fault(
                    f"{path}.published_port",
                    f"{port.published_port}/{port.protocol} is already published by "
                    f"ports[{taken[key]}]; choose another",
                )
            taken.setdefault(key, index)
        if endpoint.mode == "dnsrr" and port.publish_mode is PublishMode.INGRESS:
            yield Fault(
                f"{path}.publish_mode",
                "ingress cannot be had with the endpoint mode dnsrr; use mode=host",
            )


def _policy_faults(path: str, policy: UpdatePolicy | None) -> Faults:
    if policy is None:
        return
    yield from _negative_faults(path, policy, ("parallelism", "delay_s", "monitor_s"))
    ratio = policy.max_failure_ratio
    if ratio is not None and not 0 <= ratio <= 1:
        yield Fault(f"{path}.max_failure_ratio", f"{ratio:g} is not within 0..1")
    if path == "rollback" and policy.failure_action is FailureAction.ROLLBACK:
        yield Fault("rollback.failure_action", "a rollback cannot roll back; use pause or continue")


def _warnings(spec: ServiceSpec) -> Iterator[str]:
    task, ports = spec.task, spec.endpoint.ports
    for name in ("nano_cpus", "memory_bytes"):
        limit, reserved = getattr(task.limits, name), getattr(task.reservation, name)
        if limit and reserved > limit:
            what = "CPU is" if name == "nano_cpus" else "memory is"
            yield f"more {what} reserved than the limit lets the task use"
    fixed = [port for port in ports if port.published_port]
    for port in ports:
        if port.publish_mode is PublishMode.INGRESS:
            yield (
                f"port {port.published_port or port.target_port}/{port.protocol} is published in "
                "host mode: Berth has no routing mesh, so only nodes that run a task answer there"
                + (", and no node can run two" if port.published_port else "")
            )
    if fixed and effective_update(spec.update).order is UpdateOrder.START_FIRST:
        yield (
            f"start-first with the published port {fixed[0].published_port}: a replacement can "
            "only start on a node that does not run the old task"
        )
    yield from _hopeless_warnings(task)
    for name in shared_networks(task):
        yield (
            f'network "{name}" is a bridge on each node: tasks on the same node find each other '
            "by name, those on different nodes reach each other by published ports"
        )


def _hopeless_warnings(task: TaskSpec) -> Iterator[str]:
    """Warn of constraints that Swarm knows, or takes, and that no node of Berth ever meets."""
    for text in task.placement.constraints:
        constraint = parse_constraint(text)
        why = constraint.hopeless_because
        if why:
            yield (
                f'no node can ever meet the constraint "{constraint}" ({why}); label the nodes '
                "that you mean (docker node update --label-add KEY=VALUE NODE) and write "
                "node.labels.KEY==VALUE"
            )
