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

from berth.errors import BerthError
from berth.model.files import FileId, FileKind
from berth.model.ids import ServiceId, id_from_text, new_service_id
from berth.model.node import Availability
from berth.model.service import (
    ModeKind,
    ServiceSpec,
)
from scheduler.core import commands, file_commands
from scheduler.core.files import FileRecord
from scheduler.core.now import Now
from scheduler.core.state import LeaderState
from tests.sim.cluster import Cluster, SimMachine
from tests.sim.specs import BEHAVIOURS, SECRET, VERSIONS, SpecDrawer, check_valid, words

ANSWER_TIMEOUT_S = 12.0
SERVICES_MAX = 7
_SECRET = FileRecord(FileKind.SECRET, FileId(SECRET.id), SECRET.name, size_bytes=1)


def program_images(machine: SimMachine) -> None:
    """Tell a machine how every image behaves."""
    for kind, behaviour in BEHAVIOURS.items():
        for version in VERSIONS:
            machine.host.program(f"{kind}:{version}", behaviour)


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
        self.zones: dict[str, str] = {}
        """The label that each node has by the last word on it; without those of unsure answers."""
        self.is_over = False
        self._cluster = cluster
        self._rng = rng
        self._pause_s = pause_s
        self._apart = random.Random(f"{cluster.seed}/later changes")
        self._drawer = SpecDrawer(rng, self._apart)
        self._names = 0
        self._drained: dict[str, None] = {}

    async def run(self) -> None:
        """Make changes until the safety phase is over."""
        for _ in range(self._rng.randint(1, 3)):
            await self._create()
        weights = {
            self._create: 1,
            self._update: 2,
            self._scale: 2,
            self._roll_back: 1,
            self._remove: 1,
            self._set_availability: 2,
            self._set_label: 1,
            self._remove_node: 1,
            self._set_patience: 1,
        }
        while not self.is_over:
            await asyncio.sleep(self._rng.expovariate(1 / self._pause_s))
            act = self._rng.choices(list(weights), list(weights.values()))[0]
            await act()

    async def restore(self) -> None:
        """Make every node active again, so that the liveness phase has where to go."""
        self.is_over = True

        def activate(state: LeaderState, now: Now) -> None:
            for node in list(state.nodes.values()):
                spec = replace(node.spec, availability=Availability.ACTIVE)
                commands.update_node(state, node, spec, 0, now)

        while not await self.ask("all nodes active", activate):
            await asyncio.sleep(1.0)

    # -- services

    async def _create(self) -> None:
        if len([p for p in self.promises.values() if p.may_exist]) >= SERVICES_MAX:
            return
        self._names += 1
        spec = self._drawer.new(f"svc{self._names}")
        service = new_service_id(
            id_from_text(f"service {spec.name} of seed {self._cluster.seed:09}")
        )
        promise = self.promises[service] = Promise(spec.name, specs=[spec])

        def create(state: LeaderState, now: Now) -> None:
            if state.files.get(_SECRET.key) is None:
                file_commands.create_file(state, _SECRET, now)
            commands.create_service(state, service, spec, b"", now)

        if await self.ask(f"create {words(spec)}", create):
            promise.must_exist = True

    async def _update(self) -> None:
        await self._change("update", lambda spec: self._drawer.changed(spec))

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
        check_valid(spec, base)

        def update(state: LeaderState, now: Now) -> None:
            known = commands.find_service(state, service)
            commands.update_service(state, known, spec, 0, b"", now)

        promise.specs.append(spec)
        if await self.ask(f"{what} {words(spec)}", update):
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
        await self.ask(f"roll back {promise.name}", back)

    async def _remove(self) -> None:
        chosen = self._choose()
        if chosen is None or self._rng.random() < 0.4:
            return
        service, promise = chosen
        promise.must_exist = False

        def remove(state: LeaderState, now: Now) -> None:
            commands.remove_service(state, commands.find_service(state, service))

        if await self.ask(f"remove {promise.name}", remove):
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

        await self.ask(f"node {name} {wanted.value}", update)

    async def _set_label(self) -> None:
        name = self._rng.choice(self._cluster.machines).name
        zone = self._rng.choice("abc")

        def update(state: LeaderState, now: Now) -> None:
            node = commands.find_node(state, name)
            labels = commands.changed_labels(node.spec.labels, {"zone": zone}, ())
            commands.update_node(state, node, replace(node.spec, labels=labels), 0, now)

        self.zones.pop(name, None)
        if await self.ask(f"node {name} zone={zone}", update):
            self.zones[name] = zone

    async def _remove_node(self) -> None:
        machine = self._rng.choice(self._cluster.machines)
        name = machine.name
        force = self._rng.random() < 0.2

        def remove(state: LeaderState, now: Now) -> None:
            leader = self._leader_of(state)
            node = commands.find_node(state, name)
            commands.remove_node(state, node, now, force=force)
            machine.removed_at = self._cluster.loop.time()
            self.zones.pop(name, None)
            if leader is not None:
                leader.desk.expel(node.id)

        await self.ask(f"node rm {'--force ' if force else ''}{name}", remove)

    async def _set_patience(self) -> None:
        lost_after_s = self._rng.choice((3.0, 5.0, 5.0, 10.0))
        limit = self._rng.choice((0, 2, 5))
        orphan_after_s = self._apart.choice((86400.0, 86400.0, 20.0))
        restart_grace_s = self._apart.choice((30.0, 30.0, 5.0))

        def update(state: LeaderState, now: Now) -> None:
            settings = replace(
                state.cluster.settings,
                lost_after_s=lost_after_s,
                task_history_limit=limit,
                orphan_after_s=orphan_after_s,
                agent_restart_grace_s=restart_grace_s,
            )
            commands.update_settings(state, settings, 0)
            if (leader := self._leader_of(state)) is not None:
                leader.desk.tell_settings()

        words = f"lost_after {lost_after_s} s, history {limit}, orphans {orphan_after_s:g} s"
        await self.ask(words, update)

    def _leader_of(self, state: LeaderState):  # type: ignore[no-untyped-def]
        for scheduler in self._cluster.schedulers:
            if scheduler.leader is not None and scheduler.leader.state is state:
                return scheduler.leader
        return None

    # -- asking

    async def ask(self, what: str, change: Callable[[LeaderState, Now], None]) -> bool:
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
