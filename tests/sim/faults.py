"""What goes wrong, when, and for how long: drawn from the seed.

Duty: one coroutine that breaks something, mostly mends it after a while, and in the end mends
everything. Each seed has its own choice of kinds, so that rare kinds are not drowned by others.
Not here: what must hold all the same (checkers).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.sim.cluster import Cluster, SimClock, SimMachine, SimScheduler
from tests.sim.workload import program_images

CLOCK_FAULTS = ("jump_clock", "skew_clocks")


@dataclass(frozen=True, slots=True)
class Profile:
    """How bad a run is."""

    kinds: tuple[str, ...]
    pause_s: float
    """Between two faults, on average."""
    slow_network: bool

    @property
    def has_true_clocks(self) -> bool:
        return not any(kind in self.kinds for kind in CLOCK_FAULTS)


class Faults:
    """See the module."""

    def __init__(self, cluster: Cluster, rng: random.Random, profile: Profile) -> None:
        self.is_over = False
        self._cluster = cluster
        self._rng = rng
        self._profile = profile
        # Apart, so that what a seed draws otherwise is as it was before there were shutdowns, and
        # long absences of an Engine.
        self._orderly = random.Random(f"{cluster.seed}/shutdowns")
        self._under_way: list[asyncio.Task[None]] = []

    @staticmethod
    def kinds() -> tuple[str, ...]:
        return tuple(sorted(name.removeprefix("_break_") for name in dir(Faults) if _is_kind(name)))

    async def run(self) -> None:
        """Break things until the safety phase is over."""
        if self._profile.slow_network:
            self._cluster.network.faults.delay_s = self._uneven_delay_s
            self._cluster.network.faults.is_slow = True
        for scheduler in self._cluster.schedulers:
            scheduler.etcd.faults.latency_s = self._etcd_latency_s
        if "skew_clocks" in self._profile.kinds:
            await self._break_skew_clocks()
        while not self.is_over:
            await asyncio.sleep(self._rng.expovariate(1 / self._profile.pause_s))
            kind = self._rng.choice(self._profile.kinds)
            act: Callable[[], Awaitable[None]] = getattr(self, f"_break_{kind}")
            self._cluster.history.note("fault", kind)
            self._under_way.append(asyncio.ensure_future(act()))

    async def heal(self) -> None:
        """Mend everything, for good."""
        self.is_over = True
        for breaking in self._under_way:
            breaking.cancel()
        await asyncio.wait(self._under_way) if self._under_way else None
        cluster = self._cluster
        cluster.history.note("fault", "everything is mended")
        cluster.network.faults.delay_s = lambda: 0.001
        cluster.network.faults.is_slow = False
        for source, target in list(cluster.network.faults.cuts):
            cluster.network.heal(source, target)
        self._mend_etcd()
        for scheduler in cluster.schedulers:
            scheduler.etcd.faults.is_cut = scheduler.etcd.faults.is_refused = False
            scheduler.etcd.faults.latency_s = lambda: 0.001
            scheduler.etcd.faults.loses_request = scheduler.etcd.faults.loses_answer = _never
            self._revive(scheduler)
        for machine in cluster.machines:
            machine.journal.fails = False
            self._repair(machine)

    # -- schedulers

    async def _break_kill_leader(self) -> None:
        scheduler = self._cluster.leading()
        if scheduler is not None:
            await self._kill_scheduler(scheduler)

    async def _break_kill_scheduler(self) -> None:
        await self._kill_scheduler(self._rng.choice(self._cluster.schedulers))

    async def _kill_scheduler(self, scheduler: SimScheduler) -> None:
        if scheduler.is_alive:
            scheduler.kill()
            await asyncio.sleep(self._rng.uniform(0.1, 8.0))
            self._revive(scheduler)

    async def _break_stop_scheduler(self) -> None:
        scheduler = self._cluster.leading() or self._rng.choice(self._cluster.schedulers)
        if scheduler.is_alive and scheduler.process and scheduler.process.is_running:
            await scheduler.stop()
            await asyncio.sleep(self._rng.uniform(0.1, 5.0))
            self._revive(scheduler)

    async def _break_pause_leader(self) -> None:
        scheduler = self._cluster.leading()
        if scheduler is None or scheduler.process is None:
            return
        process = scheduler.process
        process.pause()
        self._cluster.history.note(scheduler.name, "process is frozen")
        self._cluster.network.look()
        await asyncio.sleep(self._rng.choice((0.5, 2.0, 4.9, 5.5, 9.0, 15.0)))
        if process.is_alive and not process.is_running:
            self._revive(scheduler)

    def _revive(self, scheduler: SimScheduler) -> None:
        if not scheduler.is_alive:
            scheduler.start()
        elif scheduler.process is not None and not scheduler.process.is_running:
            scheduler.process.resume()
            self._cluster.history.note(scheduler.name, "process goes on")
            self._cluster.network.resumed(scheduler.process)

    # -- etcd

    async def _break_quorum(self) -> None:
        self._cluster.etcd.lose_quorum()
        await asyncio.sleep(self._rng.uniform(0.5, 12.0))
        self._mend_etcd()

    async def _break_space(self) -> None:
        self._cluster.etcd.has_space = False
        await asyncio.sleep(self._rng.uniform(0.5, 10.0))
        self._mend_etcd()

    async def _break_compact(self) -> None:
        self._cluster.etcd.compact(self._cluster.etcd.revision - 1)

    def _mend_etcd(self) -> None:
        etcd = self._cluster.etcd
        etcd.has_space = True
        if not etcd.has_quorum:
            etcd.regain_quorum()

    async def _break_etcd_link(self) -> None:
        faults = self._rng.choice(self._cluster.schedulers).etcd.faults
        kind = self._rng.choice(("is_cut", "is_refused"))
        setattr(faults, kind, True)
        await asyncio.sleep(self._rng.uniform(0.5, 12.0))
        setattr(faults, kind, False)

    async def _break_lost_answers(self) -> None:
        faults = self._rng.choice(self._cluster.schedulers).etcd.faults
        faults.loses_answer = lambda: self._rng.random() < 0.3
        faults.loses_request = lambda: self._rng.random() < 0.1
        await asyncio.sleep(self._rng.uniform(1.0, 8.0))
        faults.loses_answer = faults.loses_request = _never

    def _etcd_latency_s(self) -> float:
        luck = self._rng.random()
        if luck < 0.005:
            return self._rng.uniform(1.0, 6.0)
        return self._rng.uniform(0.02, 0.3) if luck < 0.05 else self._rng.uniform(0.0005, 0.004)

    # -- the network

    async def _break_partition(self) -> None:
        machine = self._rng.choice(self._cluster.machines)
        whose = self._cluster.schedulers
        if self._rng.random() < 0.3:
            whose = [self._rng.choice(whose)]
        directions = self._rng.choice(("both", "both", "up", "down"))
        ways = [(machine.name, s.name) for s in whose if directions != "down"]
        ways += [(s.name, machine.name) for s in whose if directions != "up"]
        for way in ways:
            self._cluster.network.cut(*way)
        self._cluster.history.note("fault", f"cut: {ways}")
        await asyncio.sleep(self._rng.choice((0.3, 2.0, 4.0, 6.0, 12.0, 25.0, 40.0)))
        self._cluster.history.note("fault", f"healed: {ways}")
        for way in ways:
            self._cluster.network.heal(*way)

    async def _break_connections(self) -> None:
        for connection in list(self._cluster.network.connections):
            if self._rng.random() < 0.5:
                self._cluster.history.note("fault", f"connection of {connection.node} breaks")
                connection.break_both()

    def _uneven_delay_s(self) -> float:
        luck = self._rng.random()
        return self._rng.uniform(0.2, 1.5) if luck < 0.04 else self._rng.uniform(0.0005, 0.03)

    # -- machines

    def _whole_machine(self) -> SimMachine | None:
        whole = [machine for machine in self._cluster.machines if machine.is_whole]
        return self._rng.choice(whole) if whole else None

    async def _break_kill_agent(self) -> None:
        machine = self._whole_machine()
        if machine is not None:
            machine.kill_agent()
            await asyncio.sleep(self._rng.choice((0.2, 1.0, 4.0, 8.0, 20.0)))
            self._repair(machine)

    async def _break_stop_agent(self) -> None:
        machine = self._whole_machine()
        if machine is not None:
            await machine.stop_agent()
            await asyncio.sleep(self._rng.choice((0.5, 3.0, 10.0, 40.0)))
            self._repair(machine)

    async def _break_pause_agent(self) -> None:
        machine = self._whole_machine()
        if machine is None or machine.process is None:
            return
        machine.process.pause()
        machine.note("agent is frozen")
        self._cluster.network.look()
        await asyncio.sleep(self._rng.choice((0.5, 3.0, 6.0, 15.0)))
        self._repair(machine)

    async def _break_engine(self) -> None:
        machine = self._whole_machine()
        if machine is not None:
            machine.note("engine goes down")
            (machine.host.stop_engine if self._rng.random() < 0.5 else machine.host.crash_engine)()
            away_s = self._rng.choice((0.5, 2.0, 6.0, 15.0))
            # Long enough for its node to withdraw, and to be lost though its agent lives.
            await asyncio.sleep(60.0 if self._orderly.random() < 0.15 else away_s)
            self._repair(machine)

    async def _break_power(self) -> None:
        machine = self._whole_machine()
        if machine is not None:
            if self._orderly.random() < 0.5:
                await machine.shut_down(self._orderly.choice((0.0, 5.0, 30.0)))
            else:
                machine.power_off()
            await asyncio.sleep(self._rng.choice((2.0, 8.0, 20.0, 45.0)))
            self._repair(machine)

    async def _break_journal(self) -> None:
        machine = self._rng.choice(self._cluster.machines)
        machine.note("journal cannot be written")
        machine.journal.fails = True
        await asyncio.sleep(self._rng.uniform(1.0, 10.0))
        machine.journal.fails = False

    async def _break_container(self) -> None:
        machine = self._rng.choice(self._cluster.machines)
        running = machine.host.running_tasks()
        if running:
            machine.host.exit_now(self._rng.choice(running).task.task_id, self._rng.choice((0, 1)))

    def _repair(self, machine: SimMachine) -> None:
        if not machine.host.is_powered:
            program_images(machine)
            machine.power_on()
            return
        if not machine.host.is_engine_up:
            machine.note("engine is back")
            machine.host.start_engine()
        if not machine.is_agent_alive:
            machine.start_agent()
        elif machine.process is not None and not machine.process.is_running:
            machine.note("agent goes on")
            machine.process.resume()
            self._cluster.network.resumed(machine.process)

    # -- clocks

    async def _break_jump_clock(self) -> None:
        clocks = self._clocks()
        jump_s = self._rng.choice((-3600.0, -30.0, -2.0, 2.0, 30.0, 3600.0))
        self._rng.choice(clocks).wall_offset_s += jump_s

    async def _break_skew_clocks(self) -> None:
        for clock in self._clocks():
            clock.wall_offset_s += self._rng.uniform(-20.0, 20.0)

    def _clocks(self) -> list[SimClock]:
        clocks = [scheduler.clock for scheduler in self._cluster.schedulers]
        return clocks + [machine.clock for machine in self._cluster.machines]


def _is_kind(name: str) -> bool:
    return name.startswith("_break_")


def _never() -> bool:
    return False


def draw_profile(rng: random.Random) -> Profile:
    """Return how bad a seed's run is."""
    kinds = Faults.kinds()
    count = rng.choice((0, 1, 2, 4, 7, len(kinds)))
    chosen = tuple(sorted(rng.sample(kinds, count))) or ("container",)
    if rng.random() < 0.3:
        chosen = tuple(sorted({*chosen, "partition"}))  # What fencing is for.
    return Profile(chosen, rng.choice((3.0, 6.0, 12.0)), slow_network=rng.random() < 0.4)
