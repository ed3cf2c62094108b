"""Stored configs and secrets <-> the leader's memory; their payloads stay sealed.

Not here: the other records (records), sealing (sealing).
"""

from berth.model.files import FileId, FileKind
from berth.model.instant import Timestamp
from scheduler.core.files import FileRecord
from scheduler.store.recordpb import records_pb2 as pb
from scheduler.store.schema import SCHEMA, checked


def encode_file(record: FileRecord) -> bytes:
    """Return the stored form of a config or secret."""
    return pb.FileRecord(
        schema=SCHEMA,
        id=record.id,
        kind=record.kind.value,
        name=record.name,
        labels=dict(record.labels),
        template_driver=record.template_driver,
        version=record.version,
        created_at=record.created_at,
        updated_at=record.updated_at,
        size_bytes=record.size_bytes,
        sealed=record.sealed,
    ).SerializeToString(deterministic=True)


def decode_file(value: bytes) -> FileRecord:
    """Read what `encode_file` wrote."""
    message = checked(pb.FileRecord.FromString(value), "config or secret")
    return FileRecord(
        kind=FileKind(message.kind),
        id=FileId(message.id),
        name=message.name,
        labels=dict(message.labels),
        template_driver=message.template_driver,
        version=message.version,
        created_at=Timestamp(message.created_at),
        updated_at=Timestamp(message.updated_at),
        size_bytes=message.size_bytes,
        sealed=message.sealed,
    )
