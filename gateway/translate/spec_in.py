"""Docker's ServiceSpec -> the model. Pure.

Duty: read every field that Docker has; what Berth cannot do is a fault with its path. Not here:
the container's part (container_in), the way back (spec_out), what stays as it was over an update
(settle), whether values make sense (the control API validates).
Invariant (tests/property/test_docker_specs.py): reading what spec_out wrote gives the same spec.
"""

from typing import Any

from berth.model.resources import Limits, Reservation
from berth.model.service import (
    EndpointSpec,
    FailureAction,
    LogDriver,
    ModeKind,
    NetworkAttachment,
    Placement,
    Platform,
    PortSpec,
    PublishMode,
    RestartCondition,
    RestartPolicy,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
    UpdateOrder,
    UpdatePolicy,
)
from gateway.translate.container_in import read_container
from gateway.translate.reading import Faults, Struct


def read_service_spec(document: Any) -> ServiceSpec:
    """Return the spec that a client sent.

    Raises:
        InvalidRequestError: lists every field of a wrong type, and what Berth cannot do.
    """
    faults = Faults()
    spec = Struct(document, "", faults)
    found = ServiceSpec(
        name=spec.text("Name"),
        labels=spec.text_map("Labels"),
        mode=_mode(spec.struct("Mode")),
        task=_task(spec.struct("TaskTemplate"), spec),
        endpoint=_endpoint(spec.struct("EndpointSpec")),
        update=spec.optional("UpdateConfig", _update),
        rollback=spec.optional("RollbackConfig", _update),
    )
    faults.check(f'service "{found.name}"')
    return found


def _mode(mode: Struct) -> ServiceMode:
    kinds = ("Replicated", "Global", "ReplicatedJob", "GlobalJob")
    given = [name for name in kinds if mode.has(name)]
    if len(given) > 1:
        mode.fault("", f"has {' and '.join(given)}; name one")
    if mode.has("Global"):
        return ServiceMode(ModeKind.GLOBAL)
    if mode.has("GlobalJob"):
        return ServiceMode(ModeKind.GLOBAL_JOB)
    if mode.has("ReplicatedJob"):
        job = mode.struct("ReplicatedJob")
        return ServiceMode(
            ModeKind.REPLICATED_JOB,
            max_concurrent=job.integer_or_none("MaxConcurrent"),
            total_completions=job.integer_or_none("TotalCompletions"),
        )
    replicas = mode.struct("Replicated").integer_or_none("Replicas")
    return ServiceMode(ModeKind.REPLICATED, replicas=replicas)


def _task(task: Struct, spec: Struct) -> TaskSpec:
    runtime = task.text("Runtime")
    if runtime not in ("", "container"):
        task.fault("Runtime", f'"{runtime}" is not supported; Berth runs containers')
    for name in ("PluginSpec", "NetworkAttachmentSpec"):
        if task.has(name):
            task.fault(name, "is not supported; Berth runs containers")
    resources = task.struct("Resources")
    for name in ("SwapBytes", "MemorySwappiness"):
        if resources.has(name):
            resources.fault(name, "is not supported; leave it out")
    # Where networks stood before API 1.25; some clients still write them there.
    networks = task.structs("Networks") or spec.structs("Networks")
    return TaskSpec(
        container=read_container(task.struct("ContainerSpec")),
        limits=_limits(resources.struct("Limits")),
        reservation=_reservation(resources.struct("Reservations")),
        restart=_restart(task.struct("RestartPolicy")),
        placement=_placement(task.struct("Placement")),
        log_driver=task.optional("LogDriver", _log_driver),
        networks=tuple(_network(network) for network in networks),
        force_update=task.integer("ForceUpdate"),
    )


def _limits(limits: Struct) -> Limits:
    return Limits(
        nano_cpus=limits.integer("NanoCPUs"),
        memory_bytes=limits.integer("MemoryBytes"),
        pids=limits.integer("Pids"),
    )


def _reservation(reservation: Struct) -> Reservation:
    generic: dict[str, int] = {}
    for resource in reservation.structs("GenericResources"):
        if resource.has("NamedResourceSpec"):
            resource.fault("NamedResourceSpec", "cannot be reserved by name; ask for a number")
            continue
        counted = resource.struct("DiscreteResourceSpec")
        kind = counted.text("Kind")
        generic[kind] = generic.get(kind, 0) + counted.integer("Value")
    return Reservation(
        nano_cpus=reservation.integer("NanoCPUs"),
        memory_bytes=reservation.integer("MemoryBytes"),
        generic=generic,
    )


def _restart(policy: Struct) -> RestartPolicy:
    return RestartPolicy(
        condition=policy.word("Condition", RestartCondition),
        delay_s=policy.seconds_or_none("Delay"),
        max_attempts=policy.integer_or_none("MaxAttempts"),
        window_s=policy.seconds_or_none("Window"),
    )


def _placement(placement: Struct) -> Placement:
    descriptors = []
    for preference in placement.structs("Preferences"):
        descriptor = preference.struct("Spread").text("SpreadDescriptor")
        if descriptor:
            descriptors.append(descriptor)
        else:
            preference.fault("", "is no preference; write Spread.SpreadDescriptor")
    return Placement(
        constraints=placement.texts("Constraints"),
        spread_preferences=tuple(descriptors),
        max_replicas_per_node=placement.integer("MaxReplicas"),
        platforms=tuple(
            Platform(os=found.text("OS"), architecture=found.text("Architecture"))
            for found in placement.structs("Platforms")
        ),
    )


def _log_driver(driver: Struct) -> LogDriver:
    return LogDriver(name=driver.text("Name"), options=driver.text_map("Options"))


def _network(network: Struct) -> NetworkAttachment:
    return NetworkAttachment(
        target=network.text("Target"),
        aliases=network.texts("Aliases"),
        driver_options=network.text_map("DriverOpts"),
    )


def _endpoint(endpoint: Struct) -> EndpointSpec:
    return EndpointSpec(
        mode=endpoint.text("Mode"),
        ports=tuple(
            PortSpec(
                name=port.text("Name"),
                protocol=port.text("Protocol", "tcp"),
                target_port=port.integer("TargetPort"),
                published_port=port.integer("PublishedPort"),
                publish_mode=port.word("PublishMode", PublishMode) or PublishMode.INGRESS,
            )
            for port in endpoint.structs("Ports")
        ),
    )


def _update(policy: Struct) -> UpdatePolicy:
    return UpdatePolicy(
        parallelism=policy.integer_or_none("Parallelism"),
        delay_s=policy.seconds_or_none("Delay"),
        monitor_s=policy.seconds_or_none("Monitor"),
        failure_action=policy.word("FailureAction", FailureAction),
        max_failure_ratio=policy.number_or_none("MaxFailureRatio"),
        order=policy.word("Order", UpdateOrder),
    )
