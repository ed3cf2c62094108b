"""Services that users might want: drawn from the seed, valid by the product's own rules.

Duty: specs, changes to them, and the images that they name.
Not here: who asks for them, and when (workload).
"""

import random
from dataclasses import replace

from berth.errors import RetryRule
from berth.model.fence import FENCE_LABEL, fence_after_s
from berth.model.resources import Reservation
from berth.model.service import (
    ContainerSpec,
    EndpointSpec,
    FailureAction,
    FileReference,
    ModeKind,
    Placement,
    PlacementStrategy,
    PortSpec,
    RestartCondition,
    RestartPolicy,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
    UpdateOrder,
    UpdatePolicy,
)
from scheduler.control.validate import validate_spec
from tests.fakes.fake_engine_host import ImageBehaviour

VERSIONS = range(1, 6)

BEHAVIOURS = {
    "good": ImageBehaviour(pull_time_s=0.3),
    "slow": ImageBehaviour(pull_time_s=4.0, start_time_s=1.0),
    "stubborn": ImageBehaviour(ignores_stop=True),
    "lazy": ImageBehaviour(stop_time_s=1.5),
    "healthy": ImageBehaviour(healthy_after_s=1.5),
    "flaky": ImageBehaviour(
        pull_error="registry hiccup", pull_retry=RetryRule.LATER, pull_failures=2
    ),
    "crash": ImageBehaviour(exit_after_s=1.2, exit_code=1),
    "mortal": ImageBehaviour(exit_after_s=25.0, exit_code=1),
    "brief": ImageBehaviour(exit_after_s=2.0, exit_code=0),
    "sick": ImageBehaviour(unhealthy_after_s=2.0),
    "bad": ImageBehaviour(pull_error="no such image"),
    "task": ImageBehaviour(pull_time_s=0.3, exit_after_s=4.0, exit_code=0),
    "quick": ImageBehaviour(exit_after_s=0.2, exit_code=0),
    "broken": ImageBehaviour(start_error="exec: no such file"),
}
STEADY = ("good", "slow", "stubborn", "lazy", "healthy", "flaky")
"""Images whose containers run on once they run."""

_IMAGES = ("good",) * 8 + STEADY * 2 + ("crash", "mortal", "brief", "sick", "bad", "broken")


def is_steady(spec: ServiceSpec) -> bool:
    return spec.task.container.image.partition(":")[0] in STEADY


SECRET = FileReference("simulated-secret", "pw", "pw")
"""Every third service has it: what only one number decides leaves the old seeds their stories."""


class SpecDrawer:
    """Draws specs that a user might write."""

    def __init__(self, rng: random.Random, apart: random.Random) -> None:
        self._rng = rng
        # For what came later, so that what a seed draws otherwise is as it was before.
        self._apart = apart

    def new(self, name: str) -> ServiceSpec:
        rng = self._rng
        is_global = rng.random() < 0.2
        is_fenced = not is_global and rng.random() < 0.3
        kind = ModeKind.GLOBAL if is_global else ModeKind.REPLICATED
        port = rng.choice((0, 0, 0, 0, 8001, 8002))
        spec = ServiceSpec(
            name=name,
            labels={FENCE_LABEL: f"after:{rng.randint(2, 8)}s"} if is_fenced else {},
            mode=ServiceMode(kind, replicas=None if is_global else rng.randint(1, 5)),
            task=TaskSpec(
                container=ContainerSpec(
                    image=self._image(),
                    stop_grace_s=self._grace_s(),
                    secrets=(SECRET,) if int(name.removeprefix("svc")) % 3 == 0 else (),
                ),
                reservation=Reservation(
                    nano_cpus=rng.choice((0, 0, 5 * 10**8, 10**9)),
                    memory_bytes=rng.choice((0, 0, 2**29)),
                ),
                restart=self._restart(),
                placement=self._placement(is_global=is_global),
            ),
            endpoint=EndpointSpec(
                ports=(PortSpec(target_port=80, published_port=port),) if port else ()
            ),
            update=self._policy(),
            rollback=self._rollback_policy(),
        )
        check_valid(spec, None)
        return spec

    def changed(self, spec: ServiceSpec) -> ServiceSpec:
        rng = self._rng
        task = spec.task
        is_global = spec.mode.kind is ModeKind.GLOBAL
        luck = rng.random()
        if luck < 0.6:
            container = replace(task.container, image=self._image())
            task = replace(task, container=container)
        elif luck < 0.7:
            task = replace(task, placement=self._placement(is_global=is_global))
        elif luck < 0.8:
            task = replace(task, force_update=task.force_update + 1)
        elif luck < 0.9:
            task = replace(task, restart=self._restart())
        else:
            return self._changed_otherwise(spec)
        spec = replace(spec, task=task)
        if rng.random() < 0.4:
            spec = replace(spec, update=self._policy())
        return spec

    def _changed_otherwise(self, spec: ServiceSpec) -> ServiceSpec:
        """Change what a task reserves or publishes, how it stops, or have it fenced (longer)."""
        rng, task = self._apart, spec.task
        match rng.choice(("reservation", "port", "grace", "fence", "labels")):
            case "reservation":
                amount = Reservation(rng.choice((0, 5 * 10**8, 10**9)), rng.choice((0, 2**29)))
                return replace(spec, task=replace(task, reservation=amount))
            case "port":
                port = rng.choice((0, 8001, 8002))
                ports = (PortSpec(target_port=80, published_port=port),) if port else ()
                return replace(spec, endpoint=EndpointSpec(ports=ports))
            case "grace":
                container = replace(task.container, stop_grace_s=rng.choice((0.5, 1.0, 3.0)))
                return replace(spec, task=replace(task, container=container))
            case "fence" if spec.mode.kind is not ModeKind.GLOBAL:
                # A shorter one would have to reach nodes that are cut off.
                fence_s = max(fence_after_s(spec.labels) or 0.0, rng.randint(2, 8))
                return replace(spec, labels={**spec.labels, FENCE_LABEL: f"after:{fence_s:g}s"})
        return replace(spec, labels={**spec.labels, "seen": str(rng.random())})

    def _image(self) -> str:
        return f"{self._rng.choice(_IMAGES)}:{self._rng.choice(VERSIONS)}"

    def _grace_s(self) -> float | None:
        return self._rng.choice((None, 0.5, 1.0, 1.0, 2.0, 3.0))

    def _restart(self) -> RestartPolicy:
        rng = self._rng
        return RestartPolicy(
            condition=rng.choice((None, None, *RestartCondition)),
            delay_s=rng.choice((None, 0.0, 0.5, 2.0)),
            max_attempts=rng.choice((None, None, 1, 3)),
            window_s=rng.choice((None, None, 20.0)),
        )

    def _placement(self, *, is_global: bool) -> Placement:
        rng = self._rng
        constraints = rng.choice(
            ((), (), (), ("node.labels.zone==a",), ("node.labels.zone!=b",), ("node.hostname!=n1",))
        )
        return Placement(
            constraints=constraints,
            spread_preferences=rng.choice(((), (), ("node.labels.zone",))),
            max_replicas_per_node=0 if is_global else rng.choice((0, 0, 0, 1, 2)),
            strategy=rng.choice((None, None, PlacementStrategy.BINPACK)),
        )

    def _rollback_policy(self) -> UpdatePolicy | None:
        policy = self._policy()
        if policy is not None and policy.failure_action is FailureAction.ROLLBACK:
            return None
        return policy

    def _policy(self) -> UpdatePolicy | None:
        rng = self._rng
        if rng.random() < 0.2:
            return None
        return UpdatePolicy(
            parallelism=rng.choice((None, 0, 1, 2, 3)),
            delay_s=rng.choice((None, 0.0, 1.0, 3.0)),
            monitor_s=rng.choice((None, 1.0, 3.0)),
            failure_action=rng.choice((None, *FailureAction)),
            max_failure_ratio=rng.choice((None, 0.0, 0.4)),
            order=rng.choice((None, UpdateOrder.STOP_FIRST, UpdateOrder.START_FIRST)),
        )


def check_valid(spec: ServiceSpec, previous: ServiceSpec | None) -> None:
    faults, _ = validate_spec(spec, previous=previous)
    assert not faults, f"the simulator asks for what no user may: {faults}"


def words(spec: ServiceSpec) -> str:
    task, update = spec.task, spec.update
    parts = [spec.name, task.container.image]
    parts.append("global" if spec.mode.kind is ModeKind.GLOBAL else f"x{spec.mode.replicas}")
    if task.placement.constraints:
        parts.append(f"on {task.placement.constraints[0]}")
    if task.placement.max_replicas_per_node:
        parts.append(f"max {task.placement.max_replicas_per_node} a node")
    if task.reservation.nano_cpus:
        parts.append(f"{task.reservation.nano_cpus / 1e9:g} CPU")
    if spec.endpoint.ports:
        parts.append(f"port {spec.endpoint.ports[0].published_port}")
    if FENCE_LABEL in spec.labels:
        parts.append(f"fence {spec.labels[FENCE_LABEL]}")
    if update is not None:
        order = update.order.value if update.order else "default order"
        parts.append(f"update {update.parallelism} at once, {order}, {update.failure_action}")
    restart = task.restart
    parts.append(f"restart {restart.condition} {restart.delay_s}s max {restart.max_attempts}")
    parts.append(f"grace {task.container.stop_grace_s}")
    return ", ".join(parts)
