"""One turn of the leader: timers, supervision, placement. The only caller of these modules.

Level-triggered: events have marked what is dirty; a turn plans the dirty parts from their whole
view. Work is bounded per turn, so that the event loop is never held for long; what is left stays
dirty for the next turn. Deterministic: the same state and the same `Now` give the same result.
"""

import heapq
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from math import inf

from berth.model.ids import NodeId, ServiceId
from berth.model.instant import NEVER, START, Instant, Timestamp, after
from scheduler.core import membership
from scheduler.core.clock_steps import forget_future
from scheduler.core.costs import GROUP_US, SERVICE_US, turn_share_us
from scheduler.core.now import Now
from scheduler.core.refresh import refresh_documents
from scheduler.core.scheduling import schedule
from scheduler.core.service_state import SlotKey
from scheduler.core.state import LeaderState
from scheduler.core.supervise import supervise

_ORPHAN_CHECK_S = 60.0
_NOTHING_SHOWN = Timestamp(inf)


@dataclass(slots=True)
class Timers:
    """When which service or slot must be looked at again; entries that came early do no harm."""

    heap: list[tuple[Instant, int, ServiceId, SlotKey | None]] = field(default_factory=list)
    known: dict[tuple[ServiceId, SlotKey | None], Instant] = field(default_factory=dict)
    next_orphan_check: Instant = START
    next_refresh: Instant = START
    shown: Timestamp = _NOTHING_SHOWN
    """What the wall clock showed at the last turn; before the first, stamps of others count."""
    _count: int = 0

    def wake(self, service: ServiceId, slot: SlotKey | None, at: Instant) -> None:
        """Ask for a look at `at`; of two wishes for the same thing the earlier stands."""
        if at == NEVER or self.known.get((service, slot), NEVER) <= at:
            return
        self.known[service, slot] = at
        self._count += 1
        heapq.heappush(self.heap, (at, self._count, service, slot))

    def due(self, now: Instant) -> list[tuple[ServiceId, SlotKey | None]]:
        """Take out what is due."""
        found = []
        while self.heap and self.heap[0][0] <= now:
            at, _, service, slot = heapq.heappop(self.heap)
            if self.known.get((service, slot)) == at:
                del self.known[service, slot]
                found.append((service, slot))
        return found

    def next_at(self) -> Instant:
        """Return when something is due next."""
        return self.heap[0][0] if self.heap else NEVER


@dataclass(frozen=True, slots=True)
class TurnReport:
    """What a turn did, for logs and metrics."""

    lost: tuple[NodeId, ...]
    placed: int
    is_unfinished: bool
    """True when work was left for the next turn, which should come at once."""


def take_turn(state: LeaderState, timers: Timers, now: Now) -> TurnReport:
    """Fire due timers, supervise dirty services, place what waits."""
    if now.timestamp < timers.shown:
        forget_future(state, now.timestamp)
    timers.shown = now.timestamp
    lost = tuple(membership.expire(state, now))
    membership.release_flapping(state, now)
    if timers.next_orphan_check <= now.instant:
        timers.next_orphan_check = after(now.instant, _ORPHAN_CHECK_S)
        membership.orphan(state, now)
    if timers.next_refresh <= now.instant:
        timers.next_refresh = refresh_documents(state, now.instant)
    for service_id, slot in timers.due(now.instant):
        if service_id in state.services:
            if slot is not None:
                state.services[service_id].dirty_slots[slot] = None
            state.dirty[service_id] = None
    share_us, placed = turn_share_us(len(state.nodes)), state.placed
    left_us = share_us
    for service_id in list(islice(state.dirty, share_us // SERVICE_US + 1)):
        if left_us < GROUP_US:
            break  # The next turn begins with a group that this one would only break up.
        state.dirty.pop(service_id, None)
        service = state.services.get(service_id)
        if service is not None:
            left_us -= supervise(state, service, now, partial(_wake, timers, service_id), left_us)
    schedule(state, now, share_us)
    state.chronicle.seal(now.timestamp)
    return TurnReport(lost, state.placed - placed, bool(state.dirty or state.newly_waiting))


def _wake(timers: Timers, service: ServiceId, at: Instant, slot: SlotKey | None) -> None:
    timers.wake(service, slot, at)


def next_wake(state: LeaderState, timers: Timers) -> Instant:
    """Return when the next turn is due if nothing happens before."""
    flapping = min(state.flapping.values(), default=NEVER)
    return min(timers.next_at(), state.expiry_at, flapping, timers.next_orphan_check)
