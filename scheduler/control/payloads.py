"""Payloads of configs and secrets on their way into and out of the store.

Duty: seal what a user sent, bound to its place in the store; open it for agents, and a config for
its users. Not here: the cipher (scheduler.store.sealing). Payloads are in the clear in memory only
while they are used.
"""

import hmac

import structlog

from berth.errors import BerthError, ConflictError
from berth.model.files import FileKey, FileKind, FilePayload
from scheduler.core.files import FileRecord
from scheduler.store.keys import file_key
from scheduler.store.sealing import Sealer

log = structlog.get_logger()

_NO_KEY = (
    "this cluster has no key to seal configs and secrets with: set key_file for every scheduler "
    "(the same key for all)"
)


def seal_payload(sealer: Sealer | None, key: FileKey, data: bytes) -> bytes:
    """Return what may rest in the store.

    Raises:
        ConflictError: there is no key to seal with.
    """
    if sealer is None:
        raise ConflictError(_NO_KEY)
    return sealer.seal(data, file_key(key).encode())


def open_payload(sealer: Sealer | None, record: FileRecord) -> bytes:
    """Return what `seal_payload` sealed.

    Raises:
        ConflictError: there is no key to open it with.
        UnsealError: it was sealed with another key, or is damaged.
    """
    if sealer is None:
        raise ConflictError(_NO_KEY)
    return sealer.open(record.sealed, file_key(record.key).encode())


def is_same_payload(sealer: Sealer | None, record: FileRecord, data: bytes) -> bool:
    """Return whether `data` is what the record holds; takes as long whichever it is."""
    return hmac.compare_digest(open_payload(sealer, record), data)


def payload_for_agents(sealer: Sealer | None, record: FileRecord) -> FilePayload:
    """Return what agents are told of a file; a `leader.FileOpener`.

    What cannot be opened must not end the leadership: the agents' tasks wait and say why.
    """
    data, problem = b"", ""
    try:
        data = open_payload(sealer, record)
    except BerthError as error:
        kind = "secret" if record.kind is FileKind.SECRET else "config"
        log.error("payload_unreadable", kind=kind, file_name=record.name, why=error.message)
        problem = error.message
    return FilePayload(record.kind, record.id, record.name, record.template_driver, data, problem)
