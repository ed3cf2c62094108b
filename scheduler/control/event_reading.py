"""One listener's reading of the chronicle: what it missed, then what happens, once it is durable.

Duty: where to begin, waiting for news and for the store, slices that leave others the event loop.
Not here: keeping events (scheduler.core.chronicle), their form (event_views), fanning them out to
many listeners (gateway.events).

A reader takes its time: the chronicle does not wait for it, and what was driven out meanwhile shows
in `objects_from_ns` and `tasks_from_ns` of the next batch.

Invariants (tests/unit/scheduler/control/test_event_reading.py): nothing is told ahead of the store;
within a leadership each event is told once and in order; a reader who comes from another leadership
is told of objects all that it may have missed, of tasks all that this leader noted.
"""

from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from typing import Final

from berth.clock import Clock
from berth.model.events import ObjectEvent
from berth.v1 import control_pb2 as pb
from scheduler.control.event_views import write_event
from scheduler.core.chronicle import Happening
from scheduler.leader import Leader

GATHER_S: Final = 0.02
"""Between two batches: many small ones would cost more than what is in them."""
_SLICE_S: Final = 0.001
_SLICE_PAUSE_S: Final = 0.001
_LOOK_EVERY: Final = 16
_BATCH_MAX: Final = 256


@dataclass(slots=True)
class _Place:
    """How far a reader was told: events after these times are new to it."""

    objects_ns: int
    tasks_ns: int

    @property
    def both_ns(self) -> int:
        return min(self.objects_ns, self.tasks_ns)

    def lacks(self, happening: Happening) -> bool:
        at_ns, what = happening
        return at_ns > (self.objects_ns if isinstance(what, ObjectEvent) else self.tasks_ns)


async def watch_events(
    leader: Leader, request: pb.WatchEventsRequest, clock: Clock
) -> AsyncGenerator[pb.EventBatch, None]:
    """Yield the events that `request` asks for; the first batch comes at once and has none.

    Raises:
        NotLeaderError: leadership ended.
    """
    chronicle = leader.state.chronicle
    chronicle.seal(clock.timestamp())
    place = _beginning(leader, request)
    first = _batch(leader, place.both_ns)
    first.newest_object_ns = chronicle.newest_object_ns(leader.events.durable_ns)
    yield first
    if place.both_ns < chronicle.last_ns:
        await leader.settled()
    while True:
        to_ns = leader.events.durable_ns
        if to_ns > place.both_ns:
            found = chronicle.read(place.both_ns, to_ns, with_tasks=request.with_tasks)
            events = (happening for happening in found if place.lacks(happening))
            async for batch in _batches(leader, events, to_ns, clock):
                yield batch
            place = _Place(to_ns, to_ns)
        if not request.follow:
            return
        await leader.events.wait_news(place.both_ns)
        await clock.sleep(GATHER_S)


def _beginning(leader: Leader, request: pb.WatchEventsRequest) -> _Place:
    chronicle = leader.state.chronicle
    if not request.since_ns:
        return _Place(chronicle.last_ns, chronicle.last_ns)
    told_ns = request.since_ns - 1
    if request.epoch in (0, leader.epoch):
        return _Place(told_ns, told_ns)
    # Times of another leader's clock say nothing of ours, but for those of objects, which rise over
    # all leaderships. Of tasks nothing from before our leadership is known.
    return _Place(request.told_object_ns, 0)


async def _batches(
    leader: Leader, events: Iterable[Happening], to_ns: int, clock: Clock
) -> AsyncGenerator[pb.EventBatch, None]:
    """Yield `events`, which come in order; the last batch is at `to_ns`."""
    batch = _batch(leader, 0)
    began = clock.instant()
    for number, happening in enumerate(events, start=1):
        write_event(happening, batch.events.add())
        is_late = number % _LOOK_EVERY == 0 and clock.instant() - began >= _SLICE_S
        if is_late or len(batch.events) >= _BATCH_MAX:
            batch.position_ns = happening[0]
            yield batch
            await clock.sleep(_SLICE_PAUSE_S)
            batch, began = _batch(leader, 0), clock.instant()
    batch.position_ns = to_ns
    yield batch


def _batch(leader: Leader, position_ns: int) -> pb.EventBatch:
    chronicle = leader.state.chronicle
    return pb.EventBatch(
        epoch=leader.epoch,
        position_ns=position_ns,
        objects_from_ns=chronicle.objects_from_ns,
        tasks_from_ns=chronicle.tasks_from_ns,
    )
