"""Whether the store has room for a service's document after a change. Pure.

Duty: refuse a change that could not be stored; the leader would fall over it, and the next one
after it. Not here: how large a spec may be (flows), encoding (scheduler.store.records).
"""

from typing import Final

from berth.errors import ConflictError
from scheduler.core.service_record import ServiceRecord, prune_templates
from scheduler.core.service_state import ServiceState
from scheduler.store.commit_queue import REQUEST_BYTES_MAX
from scheduler.store.records import encode_service

SPEC_BYTES_MAX: Final = 256 * 1024
_SLACK_BYTES: Final = 64 * 1024  # Status, images of the past, runs of a job, framing.
RECORD_BYTES_MAX: Final = REQUEST_BYTES_MAX - SPEC_BYTES_MAX - _SLACK_BYTES
"""One more spec must always fit: a rollout that fails goes back without asking anybody."""


def check_room(service: ServiceState, after: ServiceRecord) -> None:
    """Refuse a change whose document would be too large: tasks of many older specs still run.

    Args:
        service: as it is.
        after: its record after the change.

    Raises:
        ConflictError: nothing was changed; wait for the update to end, or send a smaller spec.
    """
    pruned = prune_templates(after, service.template_versions())
    size_bytes = len(encode_service(pruned))
    if size_bytes > RECORD_BYTES_MAX:
        older = len(pruned.templates) - 1
        raise ConflictError(
            f'service "{after.spec.name}" cannot be changed now: with the specs of {older} older '
            f"versions that still have tasks it would take {size_bytes} bytes, of "
            f"{RECORD_BYTES_MAX} that the store has for it; wait until the update has ended, or "
            "move large values into configs"
        )
