"""Identifiers, one type each, so that mypy refuses to mix them.

Cluster, service, node and task IDs are 25 characters of [0-9a-z], as Docker's are, so that stock
clients shorten and match them as they are used to.
"""

import hashlib
import struct
from functools import lru_cache
from typing import Final, NewType

ClusterId = NewType("ClusterId", str)
ServiceId = NewType("ServiceId", str)
TaskId = NewType("TaskId", str)
NodeId = NewType("NodeId", str)
NetworkId = NewType("NetworkId", str)
SessionId = NewType("SessionId", str)

Epoch = NewType("Epoch", int)
"""The create revision of the leader key: rises with every change of leader, and fences it."""

Revision = NewType("Revision", int)
"""etcd's revision of the store."""

ID_LENGTH = 25

FRONT_STEP: Final = 0x9E37_79B9_7F4A_7C15
BACK_STEP: Final = 0xD134_2543_DE82_EF95
"""What the numbers in task IDs rise by from slot to slot (`first_step`), for ever."""

_STEPS: Final = "s"
_TWO_NUMBERS: Final = struct.Struct(">QQ").unpack
_48_BITS: Final = 2**48 - 1
_52_BITS: Final = 2**52 - 1


def id_from_bytes(raw: bytes) -> str:
    """Return 25 characters of [0-9a-f] for at least 13 bytes of entropy or of a hash."""
    assert len(raw) >= 13
    # 100 bits in C: an ID is made for every task, and base 36 in Python costs 30 times more.
    return raw[:13].hex()[:ID_LENGTH]


def id_from_text(text: str) -> str:
    """Return the ID that follows from `text`: the same for the same, another for another."""
    return id_from_bytes(hashlib.blake2b(text.encode(), digest_size=13).digest())


def new_service_id(random_id: str) -> ServiceId:
    """Return the ID of a service that is created now: its last character says how tasks are named.

    IDs given before end in [0-9a-f], and their services' tasks keep their names.
    """
    return ServiceId(random_id[: ID_LENGTH - 1] + _STEPS)


def names_by_steps(service: ServiceId) -> bool:
    """Return whether the IDs of a service's tasks follow from its slots by steps.

    Else each is a hash of its own, which takes three times as long.
    """
    return service.endswith(_STEPS)


def task_id(service: ServiceId, slot: int, node: NodeId | None, attempt: int) -> TaskId:
    """Derive a task's ID from what makes it unique.

    A plan that is committed twice therefore names the same tasks twice. Stored tasks have their IDs
    by derivation too: no rule may change for a service that exists.

    Args:
        service: the service.
        slot: the slot of a replicated service, from 1; 0 for a global one.
        node: the node of a global service's task, which stands for its slot; else None.
        attempt: rises with each task of that slot, from 1.
    """
    assert (slot == 0) == (node is not None)
    if slot:
        return task_id_of_slot(service, slot, attempt)
    return TaskId(id_from_text(f"{service}/{node}/{attempt}"))


def task_id_of_slot(service: ServiceId, slot: int, attempt: int) -> TaskId:
    """Return `task_id` for a slot of a replicated service."""
    if names_by_steps(service):
        front, back = first_step(service, attempt)
        front, back = front + slot * FRONT_STEP, back + slot * BACK_STEP
        return TaskId("%025x" % ((front >> 16 & _48_BITS) << 52 | back & _52_BITS))
    text = _hash_of(service).copy()
    text.update(b"%d/%d" % (slot, attempt))
    return TaskId(text.hexdigest()[:ID_LENGTH])


@lru_cache(maxsize=4096)
def first_step(service: ServiceId, attempt: int) -> tuple[int, int]:
    """Return where the steps of a service's tasks begin, in their front and in their back.

    The front is what users type: the 48 highest of 64 bits, spread evenly by a multiple of the
    golden ratio. The back is the 52 lowest: its odd step gives each slot another one.
    """
    digest = hashlib.blake2b(b"%b/%d" % (service.encode(), attempt), digest_size=16).digest()
    front, back = _TWO_NUMBERS(digest)
    return front, back


@lru_cache(maxsize=4096)
def _hash_of(service: ServiceId) -> "hashlib.blake2b":
    return hashlib.blake2b(f"{service}/".encode(), digest_size=13)
