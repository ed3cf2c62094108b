"""Registry credentials on their way into and out of a service's record.

Duty: seal what a user sent, bound to its service; open it for resolving and for agents. Not here:
the cipher (scheduler.store.sealing). Credentials are in the clear in memory only while they are
used.
"""

import structlog

from berth.errors import BerthError, ConflictError
from berth.model.ids import ServiceId
from berth.model.registry_auth import RegistryAuth
from berth.v1 import types_pb2
from berth.wire.convert import from_proto, to_proto
from scheduler.store.sealing import Sealer

log = structlog.get_logger()

_NO_KEY = (
    "this cluster has no key to seal registry credentials with: set key_file for every scheduler "
    "(the same key for all), or leave the credentials out"
)


def seal_credentials(sealer: Sealer | None, auth: RegistryAuth | None, service: ServiceId) -> bytes:
    """Return what may rest in the store; empty where there is nothing to prove.

    Raises:
        ConflictError: there are credentials and no key to seal them with.
    """
    if auth is None or auth.is_anonymous:
        return b""
    if sealer is None:
        raise ConflictError(_NO_KEY)
    plain: bytes = to_proto(auth).SerializeToString()
    return sealer.seal(plain, service.encode())


def open_credentials(sealer: Sealer | None, sealed: bytes, context: bytes) -> RegistryAuth | None:
    """Return what `seal_credentials` sealed for the service whose ID is `context`; None for none.

    Raises:
        ConflictError: there are credentials and no key to open them with.
        UnsealError: they were sealed with another key, or are damaged.
    """
    if not sealed:
        return None
    if sealer is None:
        raise ConflictError(_NO_KEY)
    return from_proto(RegistryAuth, types_pb2.RegistryAuth.FromString(sealer.open(sealed, context)))


def credentials_for_agents(
    sealer: Sealer | None, sealed: bytes, context: bytes
) -> RegistryAuth | None:
    """Return what agents are told for the service whose ID is `context`; an `Unsealer`.

    What cannot be opened must not end the leadership: agents then pull without credentials, their
    errors show at the tasks, and the log says why.
    """
    try:
        return open_credentials(sealer, sealed, context)
    except BerthError as error:
        log.error("credentials_unreadable", service_id=context.decode(), why=error.message)
        return None
