"""Stored events of objects <-> the chronicle.

Not here: which are kept (scheduler.core.chronicle), the other records (records).
"""

from collections.abc import Sequence
from functools import lru_cache

from berth.model.events import ObjectEvent
from berth.v1 import types_pb2
from berth.wire.convert import from_proto
from berth.wire.varints import delimited, number_head, varint
from scheduler.store.recordpb import records_pb2 as pb
from scheduler.store.schema import SCHEMA, checked

_HEAD = pb.EventsRecord(schema=SCHEMA).SerializeToString()
_EVENTS = pb.EventsRecord.EVENTS_FIELD_NUMBER
_TIME_HEAD = number_head(types_pb2.ObjectEvent.TIME_NS_FIELD_NUMBER)
_ID = types_pb2.ObjectEvent.ID_FIELD_NUMBER
_ATTRIBUTES = types_pb2.ObjectEvent.ATTRIBUTES_FIELD_NUMBER
_KEY, _VALUE = 1, 2  # Of every map's entries.


def encode_events(events: Sequence[ObjectEvent]) -> bytes:
    """Return the stored form of one document of events."""
    return _HEAD + b"".join([delimited(_EVENTS, _encoded(event)) for event in events])


def _encoded(event: ObjectEvent) -> bytes:
    """Return the bytes of one event, of which a burst of small services has one each."""
    parts = [
        _TIME_HEAD,
        varint(event.time_ns),
        _kind_and_action(event.kind, event.action),
        delimited(_ID, event.id.encode()),
    ]
    for name, value in event.attributes.items():
        entry = delimited(_KEY, name.encode()) + delimited(_VALUE, value.encode())
        parts.append(delimited(_ATTRIBUTES, entry))
    return b"".join(parts)


@lru_cache(maxsize=64)
def _kind_and_action(kind: str, action: str) -> bytes:
    return types_pb2.ObjectEvent(kind=kind, action=action).SerializeToString()


def decode_events(value: bytes) -> list[ObjectEvent]:
    """Read what `encode_events` wrote."""
    message = checked(pb.EventsRecord.FromString(value), "events")
    return [from_proto(ObjectEvent, event) for event in message.events]
