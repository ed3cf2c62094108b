"""Swarm's defaults in a spec: written where a client asks for them, and not taken for a change.

Duty: `with_defaults` for ``insertDefaults=true``; `settled` for the way back. Pure.
Not here: what holds where a spec is silent (berth.model.defaults).

docker-py, Portainer and others read a service with its defaults written out, change one thing and
send all of it back. Taken literally the template would differ and every task be restarted, as in
Swarm. So what a client sends is laid beside what is stored: a field that means the same keeps the
stored form, and what Docker's JSON has no words for stays.

Invariants (tests/property/test_docker_specs.py): for every spec s that was stored,
``settled(read(write(with_defaults(s))), s) == s``; what means something else is taken as sent.
"""

from dataclasses import replace
from typing import Final, TypeVar

from berth.model.defaults import (
    EffectiveRestart,
    effective_completions,
    effective_concurrency,
    effective_replicas,
    effective_restart,
    effective_stop_grace_s,
    effective_update,
    job_restart,
)
from berth.model.service import (
    BindOptions,
    ContainerSpec,
    DnsConfig,
    EndpointSpec,
    HealthCheck,
    LogDriver,
    ModeKind,
    Mount,
    Placement,
    Privileges,
    RestartPolicy,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
    TmpfsOptions,
    UpdatePolicy,
    VolumeOptions,
)

T = TypeVar("T")

ENDPOINT_MODE: Final = "vip"
ISOLATION: Final = "default"


def with_defaults(spec: ServiceSpec) -> ServiceSpec:
    """Return `spec` with what holds where it is silent."""
    container, task = spec.task.container, spec.task
    is_job = spec.mode.kind.is_job
    restart = _effective_restart(task.restart, is_job=is_job)
    filled = replace(
        container,
        stop_grace_s=effective_stop_grace_s(container),
        dns=container.dns or DnsConfig(),
        isolation=container.isolation or ISOLATION,
    )
    return replace(
        spec,
        task=replace(
            task,
            container=filled,
            restart=RestartPolicy(
                restart.condition, restart.delay_s, restart.max_attempts, task.restart.window_s
            ),
        ),
        endpoint=replace(spec.endpoint, mode=spec.endpoint.mode or ENDPOINT_MODE),
        # Jobs have no such policies, and are refused with one.
        update=spec.update if is_job else _filled_update(spec.update),
        rollback=spec.rollback if is_job else _filled_update(spec.rollback),
    )


def _effective_restart(policy: RestartPolicy, *, is_job: bool) -> EffectiveRestart:
    return effective_restart(job_restart(policy) if is_job else policy)


def _filled_update(policy: UpdatePolicy | None) -> UpdatePolicy:
    found = effective_update(policy)
    return UpdatePolicy(
        parallelism=found.parallelism,
        delay_s=found.delay_s,
        monitor_s=found.monitor_s,
        failure_action=found.failure_action,
        max_failure_ratio=found.max_failure_ratio,
        order=found.order,
    )


def settled(sent: ServiceSpec, stored: ServiceSpec) -> ServiceSpec:
    """Return `sent` with every part that means the same as in `stored` in the stored form."""
    return replace(
        sent,
        name=sent.name or stored.name,
        mode=_mode(sent.mode, stored.mode),
        task=_task(sent, stored),
        endpoint=_endpoint(sent.endpoint, stored.endpoint),
        update=_update(sent.update, stored.update, is_job=sent.mode.kind.is_job),
        rollback=_update(sent.rollback, stored.rollback, is_job=sent.mode.kind.is_job),
    )


def _mode(sent: ServiceMode, stored: ServiceMode) -> ServiceMode:
    return stored if _numbers(sent) == _numbers(stored) else sent


def _numbers(mode: ServiceMode) -> tuple[ModeKind, int, int, int]:
    return (
        mode.kind,
        effective_replicas(mode),
        effective_concurrency(mode),
        effective_completions(mode),
    )


def _task(sent_spec: ServiceSpec, stored_spec: ServiceSpec) -> TaskSpec:
    sent, stored = sent_spec.task, stored_spec.task
    is_job = stored_spec.mode.kind.is_job
    meant = _effective_restart(sent.restart, is_job=is_job)
    is_same_restart = meant == _effective_restart(stored.restart, is_job=is_job)
    is_same_restart = is_same_restart and sent_spec.mode.kind.is_job is is_job
    return replace(
        sent,
        container=_container(sent.container, stored.container),
        restart=stored.restart if is_same_restart else sent.restart,
        placement=_placement(sent.placement, stored.placement),
        log_driver=_same_when_empty(sent.log_driver, stored.log_driver, LogDriver()),
    )


def _placement(sent: Placement, stored: Placement) -> Placement:
    """Keep the strategy, of which Docker knows nothing, and variants of platforms."""
    bare = tuple(replace(platform, variant="") for platform in stored.platforms)
    platforms = stored.platforms if sent.platforms == bare else sent.platforms
    return replace(sent, strategy=stored.strategy, platforms=platforms)


def _container(sent: ContainerSpec, stored: ContainerSpec) -> ContainerSpec:
    is_same_grace = effective_stop_grace_s(sent) == effective_stop_grace_s(stored)
    is_same_isolation = (sent.isolation or ISOLATION) == (stored.isolation or ISOLATION)
    return replace(
        sent,
        stop_grace_s=stored.stop_grace_s if is_same_grace else sent.stop_grace_s,
        isolation=stored.isolation if is_same_isolation else sent.isolation,
        dns=_same_when_empty(sent.dns, stored.dns, DnsConfig()),
        privileges=_same_when_empty(sent.privileges, stored.privileges, Privileges()),
        health_check=_health_check(sent.health_check, stored.health_check),
        mounts=_mounts(sent.mounts, stored.mounts),
        # Docker's JSON has no words for these, so a client cannot have meant to change them.
        devices=stored.devices,
        privileged=stored.privileged,
        gpus=stored.gpus,
        shm_size_bytes=stored.shm_size_bytes,
    )


def _health_check(sent: HealthCheck | None, stored: HealthCheck | None) -> HealthCheck | None:
    """A time or number of 0 means "as the image says", like absence."""
    is_same = _plain_check(sent) == _plain_check(stored)
    return stored if is_same else sent


def _plain_check(check: HealthCheck | None) -> HealthCheck:
    check = check or HealthCheck()
    return HealthCheck(
        test=check.test,
        interval_s=check.interval_s or None,
        timeout_s=check.timeout_s or None,
        start_period_s=check.start_period_s or None,
        start_interval_s=check.start_interval_s or None,
        retries=check.retries or None,
    )


def _mounts(sent: tuple[Mount, ...], stored: tuple[Mount, ...]) -> tuple[Mount, ...]:
    if sent == stored:
        return stored
    by_target = {mount.target: mount for mount in stored}
    settled_mounts = []
    for mount in sent:
        before = by_target.get(mount.target, mount)
        is_same = _plain_mount(mount) == _plain_mount(before)
        settled_mounts.append(before if is_same else mount)
    return tuple(settled_mounts)


def _plain_mount(mount: Mount) -> Mount:
    """Return a mount whose options are all there: an object that says nothing is like none."""
    return replace(
        mount,
        bind=mount.bind or BindOptions(),
        volume=mount.volume or VolumeOptions(),
        tmpfs=mount.tmpfs or TmpfsOptions(),
    )


def _endpoint(sent: EndpointSpec, stored: EndpointSpec) -> EndpointSpec:
    is_same = (sent.mode or ENDPOINT_MODE) == (stored.mode or ENDPOINT_MODE)
    return replace(sent, mode=stored.mode if is_same else sent.mode)


def _update(
    sent: UpdatePolicy | None, stored: UpdatePolicy | None, *, is_job: bool
) -> UpdatePolicy | None:
    """To a job a policy of defaults is not the same as none: it is refused with any."""
    if is_job and (sent is None or stored is None):
        return sent
    return stored if effective_update(sent) == effective_update(stored) else sent


def _same_when_empty(sent: T | None, stored: T | None, empty: T) -> T | None:
    """An object without content means the same as no object."""
    return stored if (sent or empty) == (stored or empty) else sent
