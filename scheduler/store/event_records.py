"""Stored events of objects <-> the chronicle.

Not here: which are kept (scheduler.core.chronicle), the other records (records).
"""

from collections.abc import Sequence

from berth.model.events import ObjectEvent
from berth.wire.convert import from_proto, write_proto
from scheduler.store.recordpb import records_pb2 as pb
from scheduler.store.schema import SCHEMA, checked


def encode_events(events: Sequence[ObjectEvent]) -> bytes:
    """Return the stored form of one document of events."""
    message = pb.EventsRecord(schema=SCHEMA)
    for event in events:
        write_proto(event, message.events.add())
    return message.SerializeToString(deterministic=True)


def decode_events(value: bytes) -> list[ObjectEvent]:
    """Read what `encode_events` wrote."""
    message = checked(pb.EventsRecord.FromString(value), "events")
    return [from_proto(ObjectEvent, event) for event in message.events]
