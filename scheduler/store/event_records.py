"""Stored events of objects <-> the chronicle.

Not here: which are kept (scheduler.core.chronicle), the other records (records).
"""

from collections.abc import Sequence

from berth.model.events import ObjectEvent
from berth.wire.convert import from_proto
from berth.wire.encoded import encoded
from berth.wire.varints import delimited
from scheduler.store.recordpb import records_pb2 as pb
from scheduler.store.schema import SCHEMA, checked

_HEAD = pb.EventsRecord(schema=SCHEMA).SerializeToString()
_EVENTS = pb.EventsRecord.EVENTS_FIELD_NUMBER


def encode_events(events: Sequence[ObjectEvent]) -> bytes:
    """Return the stored form of one document of events."""
    return _HEAD + b"".join([delimited(_EVENTS, encoded(event)) for event in events])


def decode_events(value: bytes) -> list[ObjectEvent]:
    """Read what `encode_events` wrote."""
    message = checked(pb.EventsRecord.FromString(value), "events")
    return [from_proto(ObjectEvent, event) for event in message.events]
