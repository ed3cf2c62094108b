"""What users do to the cluster, drawn from the seed, and what they were promised.

Duty: random services and changes to them, to nodes and to settings, through the same functions as
the control service; remember which answers were given, so that in the end they can be held against
what is there.
Not here: faults (faults), judging (checkers).
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from berth.errors import BerthError, RetryRule
from berth.model.fence import FENCE_LABEL
from berth.model.ids import ServiceId, id_from_text
from berth.model.node import Availability
from berth.model.resources import Reservation
from berth.model.service import (
    ContainerSpec,
    EndpointSpec,
    FailureAction,
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
from scheduler.core import commands
from scheduler.core.now import Now
from scheduler.core.state import LeaderState
from tests.fakes.fake_engine_host import ImageBehaviour
from tests.sim.cluster import Cluster, SimMachine

ANSWER_TIMEOUT_S = 12.0
SERVICES_MAX = 7
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
    "broken": ImageBehaviour(start_error="exec: no such file"),
}
STEADY = ("good", "slow", "stubborn", "lazy", "healthy", "flaky")
"""Images whose containers run on once they run."""

_IMAGES = ("good",) * 8 + STEADY * 2 + ("crash", "mortal", "brief", "sick", "bad", "broken")


def program_images(machine: SimMachine) -> None:
    """Tell a machine how every image behaves."""
    for kind, behaviour in BEHAVIOURS.items():
        for version in VERSIONS:
            machine.host.program(f"{kind}:{version}", behaviour)


def is_steady(spec: ServiceSpec) -> bool:
    return spec.task.container.image.partition(":")[0] in STEADY


@dataclass
class Promise:
    """What users may rely on of one service."""

    name: str
    may_exist: bool = True
    must_exist: bool = False
    specs: list[ServiceSpec] = field(default_factory=list)
    """One of these is its spec, or was before an automatic rollback; empty = unknown."""


class Users:
    """See the module."""

    def __init__(self, cluster: Cluster, rng: random.Random, pause_s: float) -> None:
        self.promises: dict[ServiceId, Promise] = {}
        self.is_over = False
        self._cluster = cluster
        self._rng = rng
        self._pause_s = pause_s
        self._names = 0
        self._drained: dict[str, None] = {}

    async def run(self) -> None:
        """Make changes until the safety phase is over."""
        for _ in range(self._rng.randint(1, 3)):
            await self._create()
        while not self.is_over:
            await asyncio.sleep(self._rng.expovariate(1 / self._pause_s))
            act = self._rng.choice(
                (self._create, self._update, self._update, self._scale, self._scale)
                + (self._roll_back, self._remove, self._set_availability, self._set_availability)
                + (self._set_label, self._remove_node, self._set_patience)
            )
            await act()

    async def restore(self) -> None:
        """Make every node active again, so that the liveness phase has where to go."""
        self.is_over = True

        def activate(state: LeaderState, now: Now) -> None:
            for node in list(state.nodes.values()):
                spec = replace(node.spec, availability=Availability.ACTIVE)
                commands.update_node(state, node, spec, 0, now)

        while not await self._ask("all nodes active", activate):
            await asyncio.sleep(1.0)

    # -- services

    async def _create(self) -> None:
        if len([p for p in self.promises.values() if p.may_exist]) >= SERVICES_MAX:
            return
        self._names += 1
        spec = self._new_spec(f"svc{self._names}")
        service = ServiceId(id_from_text(f"service {spec.name} of seed {self._cluster.seed:09}"))
        promise = self.promises[service] = Promise(spec.name, specs=[spec])

        def create(state: LeaderState, now: Now) -> None:
            commands.create_service(state, service, spec, b"", now)

        if await self._ask(f"create {_words(spec)}", create):
            promise.must_exist = True

    async def _update(self) -> None:
        await self._change("update", lambda spec: self._changed(spec))

    async def _scale(self) -> None:
        def scaled(spec: ServiceSpec) -> ServiceSpec:
            if spec.mode.kind is ModeKind.GLOBAL:
                return replace(spec, labels={**spec.labels, "seen": str(self._rng.random())})
            return replace(spec, mode=replace(spec.mode, replicas=self._rng.randint(0, 5)))

        await self._change("scale", scaled)

    async def _change(self, what: str, change: Callable[[ServiceSpec], ServiceSpec]) -> None:
        chosen = self._choose()
        if chosen is None:
            return
        service, promise = chosen
        base = promise.specs[-1] if promise.specs else None
        if base is None:
            return
        spec = change(base)
        _check_valid(spec, base)

        def update(state: LeaderState, now: Now) -> None:
            known = commands.find_service(state, service)
            commands.update_service(state, known, spec, 0, b"", now)

        promise.specs.append(spec)
        if await self._ask(f"{what} {_words(spec)}", update):
            promise.specs = [spec]

    async def _roll_back(self) -> None:
        chosen = self._choose()
        if chosen is None:
            return
        service, promise = chosen

        def back(state: LeaderState, now: Now) -> None:
            known = commands.find_service(state, service)
            if known.record.previous_spec is not None:
                commands.roll_back_service(state, known, 0, now)

        promise.specs = []  # Which one it is now, an automatic rollback may have decided as well.
        await self._ask(f"roll back {promise.name}", back)

    async def _remove(self) -> None:
        chosen = self._choose()
        if chosen is None or self._rng.random() < 0.4:
            return
        service, promise = chosen
        promise.must_exist = False

        def remove(state: LeaderState, now: Now) -> None:
            commands.remove_service(state, commands.find_service(state, service))

        if await self._ask(f"remove {promise.name}", remove):
            promise.may_exist = False

    def _choose(self) -> tuple[ServiceId, Promise] | None:
        known = [(key, promise) for key, promise in self.promises.items() if promise.must_exist]
        return self._rng.choice(known) if known else None

    # -- nodes

    async def _set_availability(self) -> None:
        name = self._rng.choice(self._cluster.machines).name
        kinds = (Availability.DRAIN, Availability.DRAIN, Availability.PAUSE, Availability.ACTIVE)
        wanted = Availability.ACTIVE if name in self._drained else self._rng.choice(kinds)
        if wanted is Availability.ACTIVE:
            self._drained.pop(name, None)
        else:
            self._drained[name] = None

        def update(state: LeaderState, now: Now) -> None:
            node = commands.find_node(state, name)
            spec = replace(node.spec, availability=wanted)
            commands.update_node(state, node, spec, 0, now)

        await self._ask(f"node {name} {wanted.value}", update)

    async def _set_label(self) -> None:
        name = self._rng.choice(self._cluster.machines).name
        zone = self._rng.choice("abc")

        def update(state: LeaderState, now: Now) -> None:
            node = commands.find_node(state, name)
            labels = commands.changed_labels(node.spec.labels, {"zone": zone}, ())
            commands.update_node(state, node, replace(node.spec, labels=labels), 0, now)

        await self._ask(f"node {name} zone={zone}", update)

    async def _remove_node(self) -> None:
        machine = self._rng.choice(self._cluster.machines)
        name = machine.name
        force = self._rng.random() < 0.2

        def remove(state: LeaderState, now: Now) -> None:
            leader = self._leader_of(state)
            node = commands.find_node(state, name)
            commands.remove_node(state, node, now, force=force)
            machine.removed_at = self._cluster.loop.time()
            if leader is not None:
                leader.desk.expel(node.id)

        await self._ask(f"node rm {'--force ' if force else ''}{name}", remove)

    async def _set_patience(self) -> None:
        lost_after_s = self._rng.choice((3.0, 5.0, 5.0, 10.0))
        limit = self._rng.choice((0, 2, 5))

        def update(state: LeaderState, now: Now) -> None:
            settings = state.cluster.settings
            settings = replace(settings, lost_after_s=lost_after_s, task_history_limit=limit)
            commands.update_settings(state, settings, 0)
            if (leader := self._leader_of(state)) is not None:
                leader.desk.tell_settings()

        await self._ask(f"lost_after {lost_after_s} s, history {limit}", update)

    def _leader_of(self, state: LeaderState):  # type: ignore[no-untyped-def]
        for scheduler in self._cluster.schedulers:
            if scheduler.leader is not None and scheduler.leader.state is state:
                return scheduler.leader
        return None

    # -- asking

    async def _ask(self, what: str, change: Callable[[LeaderState, Now], None]) -> bool:
        """Ask whoever leads for a change; False if it was refused, or the answer was lost."""
        scheduler = self._cluster.leading()
        if scheduler is None or scheduler.leader is None or scheduler.process is None:
            return False
        self._cluster.history.note("user", f"asks {scheduler.name}: {what}")
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        leader = scheduler.leader

        async def perform() -> None:
            try:
                await leader.perform(change)
            except BerthError as error:
                if not answer.done():
                    answer.set_result(error.message)
            else:
                if not answer.done():
                    answer.set_result("")

        scheduler.process.spawn(perform(), what)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                refusal = await answer
        except TimeoutError:
            refusal = "no answer"
        self._cluster.history.note("user", f"is told: {refusal or 'done'} ({what})")
        return not refusal

    # -- specs

    def _new_spec(self, name: str) -> ServiceSpec:
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
                container=ContainerSpec(image=self._image(), stop_grace_s=self._grace_s()),
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
        _check_valid(spec, None)
        return spec

    def _changed(self, spec: ServiceSpec) -> ServiceSpec:
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
        spec = replace(spec, task=task)
        if rng.random() < 0.4:
            spec = replace(spec, update=self._policy())
        return spec

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


def _check_valid(spec: ServiceSpec, previous: ServiceSpec | None) -> None:
    faults, _ = validate_spec(spec, previous=previous)
    assert not faults, f"the simulator asks for what no user may: {faults}"


def _words(spec: ServiceSpec) -> str:
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
