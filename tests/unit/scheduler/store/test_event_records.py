"""Events of objects survive their stored form, and a take-over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berth.errors import InternalError
from berth.model.events import ObjectEvent
from berth.wire.convert import to_proto
from scheduler.store import keys
from scheduler.store.event_records import decode_events, encode_events
from scheduler.store.recordpb import records_pb2 as pb
from scheduler.store.schema import NEWEST, SCHEMA
from tests.builders import a_spec
from tests.unit.berth.wire.test_convert import strategy_for
from tests.unit.scheduler.core.world import World

EVENTS = [
    ObjectEvent(1_700_000_000_000_000_001, "service", "create", "s1", {"name": "web"}),
    ObjectEvent(1_700_000_000_000_000_002, "node", "update", "n1", {"state.new": "down"}),
]


def test_what_is_written_is_read() -> None:
    assert decode_events(encode_events(EVENTS)) == EVENTS


@given(st.lists(strategy_for(ObjectEvent), max_size=4))
def test_any_event_is_what_protobuf_would_write(events: list[ObjectEvent]) -> None:
    written = encode_events(events)
    assert decode_events(written) == events
    as_protobuf = pb.EventsRecord(schema=SCHEMA, events=[to_proto(event) for event in events])
    assert pb.EventsRecord.FromString(written) == as_protobuf


def test_a_newer_schema_is_refused() -> None:
    newer = pb.EventsRecord(schema=NEWEST + 1).SerializeToString()
    with pytest.raises(InternalError):
        decode_events(newer)


def test_keys_sort_as_times() -> None:
    assert sorted(map(keys.events_key, (10**18, 9, 10**19))) == list(
        map(keys.events_key, (9, 10**18, 10**19))
    )


def test_a_new_leader_knows_what_the_last_one_told() -> None:
    world = World(nodes=1)
    world.create(a_spec())
    world.settle()
    chronicle = world.state.chronicle
    before = list(chronicle.read(0, chronicle.last_ns, with_tasks=False))
    assert [what.kind for _, what in before if isinstance(what, ObjectEvent)] == ["node", "service"]
    world.reload()
    chronicle = world.state.chronicle
    assert list(chronicle.read(0, chronicle.last_ns, with_tasks=False)) == before
