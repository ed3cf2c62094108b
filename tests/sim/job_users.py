"""Users who run jobs, drawn from the seed apart from all the others.

Duty: random jobs and changes to them. They draw from a source of their own, so that what other
users do on a seed does not depend on them.
Not here: how users ask (workload), judging (job_checkers).
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

from berth.model.fence import FENCE_LABEL
from berth.model.ids import ServiceId, id_from_text
from berth.model.resources import Reservation
from berth.model.schedule import OVERLAP_LABEL, SCHEDULE_LABEL
from berth.model.service import (
    ContainerSpec,
    ModeKind,
    Placement,
    RestartCondition,
    RestartPolicy,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
)
from scheduler.core import commands
from scheduler.core.now import Now
from scheduler.core.state import LeaderState
from tests.sim.cluster import Cluster
from tests.sim.specs import check_valid
from tests.sim.workload import Promise, Users

_IMAGES = ("task",) * 4 + ("quick", "brief", "brief", "slow", "crash", "bad")


class JobUsers:
    """See the module."""

    def __init__(self, cluster: Cluster, users: Users) -> None:
        self.promises: dict[ServiceId, Promise] = {}
        self._cluster = cluster
        self._users = users
        self._rng = random.Random(f"jobs of seed {cluster.seed}")
        self._jobs_max = self._rng.choice((0, 1, 2, 2))

    async def run(self) -> None:
        """Make jobs and change them until the safety phase is over."""
        if not self._jobs_max:
            return
        weights = {
            self._create: 2,
            self._run_again: 2,
            self._scale: 1,
            self._change_image: 1,
            self._roll_back: 1,
            self._remove: 1,
        }
        while not self._users.is_over:
            await asyncio.sleep(self._rng.expovariate(1 / 9.0))
            act = self._rng.choices(list(weights), list(weights.values()))[0]
            await act()

    async def _create(self) -> None:
        if len([p for p in self.promises.values() if p.may_exist]) >= self._jobs_max:
            return
        name = f"job{len(self.promises) + 1}"
        spec = self._new_spec(name)
        service = ServiceId(id_from_text(f"service {name} of seed {self._cluster.seed:09}"))
        promise = self.promises[service] = Promise(name, specs=[spec])

        def create(state: LeaderState, now: Now) -> None:
            commands.create_service(state, service, spec, b"", now)

        if await self._users.ask(f"create {words(spec)}", create):
            promise.must_exist = True

    async def _run_again(self) -> None:
        def forced(spec: ServiceSpec) -> ServiceSpec:
            return replace(spec, task=replace(spec.task, force_update=spec.task.force_update + 1))

        await self._change("run again", forced)

    async def _scale(self) -> None:
        def scaled(spec: ServiceSpec) -> ServiceSpec:
            if spec.mode.kind is ModeKind.GLOBAL_JOB:
                return replace(spec, labels={**spec.labels, "seen": str(self._rng.random())})
            total = self._rng.randint(0, 6)
            return replace(spec, mode=replace(spec.mode, total_completions=total))

        await self._change("scale", scaled)

    async def _change_image(self) -> None:
        def changed(spec: ServiceSpec) -> ServiceSpec:
            container = replace(spec.task.container, image=self._image())
            return replace(spec, task=replace(spec.task, container=container))

        await self._change("update", changed)

    async def _change(self, what: str, change: Callable[[ServiceSpec], ServiceSpec]) -> None:
        chosen = self._choose()
        if chosen is None or not chosen[1].specs:
            return
        service, promise = chosen
        spec = change(promise.specs[-1])
        check_valid(spec, promise.specs[-1])

        def update(state: LeaderState, now: Now) -> None:
            known = commands.find_service(state, service)
            commands.update_service(state, known, spec, 0, b"", now)

        promise.specs.append(spec)
        if await self._users.ask(f"{what} {words(spec)}", update):
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

        promise.specs = []
        await self._users.ask(f"roll back {promise.name}", back)

    async def _remove(self) -> None:
        chosen = self._choose()
        if chosen is None:
            return
        service, promise = chosen
        promise.must_exist = False

        def remove(state: LeaderState, now: Now) -> None:
            commands.remove_service(state, commands.find_service(state, service))

        if await self._users.ask(f"remove {promise.name}", remove):
            promise.may_exist = False

    def _choose(self) -> tuple[ServiceId, Promise] | None:
        known = [(key, promise) for key, promise in self.promises.items() if promise.must_exist]
        return self._rng.choice(known) if known else None

    # -- drawing

    def _new_spec(self, name: str) -> ServiceSpec:
        rng = self._rng
        is_global = rng.random() < 0.3
        mode = ServiceMode(ModeKind.GLOBAL_JOB)
        labels = {}
        if not is_global:
            mode = ServiceMode(
                ModeKind.REPLICATED_JOB,
                max_concurrent=rng.randint(1, 3),
                total_completions=rng.randint(1, 6),
            )
            if rng.random() < 0.2:
                labels[FENCE_LABEL] = f"after:{rng.randint(2, 8)}s"
        if rng.random() < 0.3:
            labels[SCHEDULE_LABEL] = "*/20 * * * * *"
            labels[OVERLAP_LABEL] = rng.choice(("skip", "replace"))
        spec = ServiceSpec(
            name=name,
            labels=labels,
            mode=mode,
            task=TaskSpec(
                container=ContainerSpec(image=self._image(), stop_grace_s=rng.choice((0.5, 2.0))),
                reservation=Reservation(nano_cpus=rng.choice((0, 0, 5 * 10**8))),
                restart=RestartPolicy(
                    condition=rng.choice((None, None, *_CONDITIONS)),
                    delay_s=rng.choice((None, 0.0, 0.5, 2.0)),
                    max_attempts=rng.choice((None, None, 1, 3)),
                ),
                placement=Placement(
                    constraints=rng.choice(
                        ((), (), ("node.labels.zone!=b",), ("node.hostname!=n1",))
                    )
                ),
            ),
        )
        check_valid(spec, None)
        return spec

    def _image(self) -> str:
        return f"{self._rng.choice(_IMAGES)}:1"


_CONDITIONS = (RestartCondition.NONE, RestartCondition.ON_FAILURE)


def words(spec: ServiceSpec) -> str:
    """Describe a job for the story."""
    mode, restart = spec.mode, spec.task.restart
    parts = [spec.name, mode.kind.value, spec.task.container.image, str(dict(spec.labels))]
    parts.append(f"{mode.total_completions} completions, {mode.max_concurrent} at once")
    parts.append(f"on {spec.task.placement.constraints}")
    parts.append(f"restart {restart.condition} {restart.delay_s}s max {restart.max_attempts}")
    return ", ".join(parts)
