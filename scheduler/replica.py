"""One scheduler's life: stand for election, load, lead, lose, and begin again.

Duty: the order of these phases, and what of the process is alive in which. Not here: the election
(scheduler.election), leading (scheduler.leader), servers (scheduler.main).
"""

import asyncio
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, aclosing
from typing import Protocol

import structlog

from berth.clock import Clock
from berth.collector import Tending, collect_all, growing_memory
from berth.entropy import Entropy
from berth.errors import BerthError, StaleEpochError
from berth.model.ids import ClusterId
from berth.process import Supervisor
from scheduler.core.cluster_record import ClusterRecord
from scheduler.core.membership import postpone
from scheduler.core.now import Now
from scheduler.core.state import LeaderState
from scheduler.directory import Directory
from scheduler.dispatch.files import FileOpener, cannot_open
from scheduler.dispatch.told_templates import Unsealer
from scheduler.election.port import Election, Leadership
from scheduler.leader import Leader, LeaderObserver
from scheduler.store.loading import build_state
from scheduler.store.port import ClusterStore

log = structlog.get_logger()

_REJOIN_PAUSE_S = 0.2


class ReplicaObserver(LeaderObserver, Protocol):
    """What a replica tells the scheduler's metrics."""

    def election_won(self, epoch: int) -> None:
        """Note that we lead."""
        ...

    def leadership_ended(self, outcome: str) -> None:
        """Note that we ceased to lead: "resigned", "superseded" or "failed"."""
        ...


class Replica:
    """Runs elections and leaderships until it is told to stop."""

    def __init__(
        self,
        election: Election,
        open_store: Callable[[Leadership], ClusterStore],
        directory: Directory,
        *,
        clock: Clock,
        entropy: Entropy,
        observer: ReplicaObserver,
        unseal: Unsealer,
        open_file: FileOpener = cannot_open,
        growing_memory: Callable[[], AbstractContextManager[None]] = growing_memory,
        collect_all: Callable[[], None] = collect_all,
    ) -> None:
        self._growing_memory = growing_memory
        self._collect_all = collect_all
        self._election = election
        self._open_store = open_store
        self._directory = directory
        self._clock = clock
        self._entropy = entropy
        self._observer = observer
        self._unseal = unseal
        self._open_file = open_file
        self.tending = Tending()
        self.store: ClusterStore | None = None
        """The open store while we lead, for its health."""

    async def run(self) -> None:
        """Observe and campaign until cancelled; then resign, so that the next one leads at once."""
        async with Supervisor("replica") as supervisor:
            supervisor.start("observe-leader", self._observe())
            try:
                while True:
                    self._collect_all()  # Whoever has won must begin to load at once.
                    leadership = await self._election.campaign()
                    await self._lead(leadership)
                    await self._clock.sleep(_REJOIN_PAUSE_S)
            finally:
                await self._election.aclose()

    async def _observe(self) -> None:
        async with aclosing(self._election.observe()) as leaders:
            async for leader in leaders:
                self._directory.set_current(leader, lambda: self._election.candidates)
                name = leader.name if leader is not None else None
                epoch = leader.epoch if leader is not None else None
                log.info("leader_observed", leader=name, epoch=epoch)

    async def _lead(self, leadership: Leadership) -> None:
        store = self._open_store(leadership)
        self.store = store
        outcome = "failed"
        try:
            leader = await self._load(leadership, store)
            outcome = await self._run_leader(leader, leadership)
        except StaleEpochError as error:
            outcome = "superseded"
            log.warning("leadership_superseded", epoch=leadership.epoch, why=error.message)
        except asyncio.CancelledError:
            outcome = "resigned"
            raise
        except BerthError as error:
            log.error("leadership_failed", epoch=leadership.epoch, why=error.message)
        finally:
            self._directory.set_local(None)
            self.store = None
            await store.aclose()
            await leadership.resign()
            self._observer.leadership_ended(outcome)
            log.info("leadership_ended", epoch=leadership.epoch, outcome=outcome)

    async def _load(self, leadership: Leadership, store: ClusterStore) -> Leader:
        began = self._clock.instant()
        snapshot = await store.load()
        now = Now(self._clock.instant(), self._clock.timestamp())
        cluster_id = ClusterId(self._entropy.new_id())
        fresh = ClusterRecord(cluster_id, created_at=now.timestamp)
        with self._growing_memory():
            state = await self._build(build_state(snapshot.entries, fresh, now))
        # Nobody could be heard while we loaded: agents' time to come back begins now.
        postpone(state, self._clock.instant() - now.instant)
        log.info(
            "leadership_began",
            epoch=leadership.epoch,
            services=len(state.services),
            tasks=len(state.tasks),
            nodes=len(state.nodes),
            load_s=round(self._clock.instant() - began, 3),
        )
        return Leader(
            state,
            store,
            leadership.epoch,
            clock=self._clock,
            entropy=self._entropy,
            observer=self._observer,
            unseal=self._unseal,
            schedulers=self._directory.addresses,
            open_file=self._open_file,
            tending=self.tending,
        )

    async def _build(self, building: Generator[None, None, LeaderState]) -> LeaderState:
        """Build the memory in steps, between which the lease's watch sees that the loop turns."""
        while True:
            try:
                next(building)
            except StopIteration as done:
                state: LeaderState = done.value
                return state
            await self._clock.sleep(0)

    async def _run_leader(self, leader: Leader, leadership: Leadership) -> str:
        """Lead until the lease or a commit says that it is over; return how it ended."""
        self._observer.election_won(leadership.epoch)
        running = asyncio.ensure_future(leader.run())
        losing = asyncio.ensure_future(leadership.wait_lost())
        self._directory.set_local(leader)
        try:
            await asyncio.wait({running, losing}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
            return "superseded"
        finally:
            self._directory.set_local(None)
            for task in (running, losing):
                task.cancel()
            await asyncio.gather(running, losing, return_exceptions=True)
