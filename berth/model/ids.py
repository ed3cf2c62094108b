"""Identifiers, one type each, so that mypy refuses to mix them.

Cluster, service, node and task IDs are 25 characters of [0-9a-z], as Docker's are, so that stock
clients shorten and match them as they are used to.
"""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import NewType

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


def id_from_bytes(raw: bytes) -> str:
    """Return 25 characters of [0-9a-f] for at least 13 bytes of entropy or of a hash."""
    assert len(raw) >= 13
    # 100 bits in C: an ID is made for every task, and base 36 in Python costs 30 times more.
    return raw[:13].hex()[:ID_LENGTH]


def id_from_text(text: str) -> str:
    """Return the ID that follows from `text`: the same for the same, another for another."""
    return id_from_bytes(hashlib.blake2b(text.encode(), digest_size=13).digest())


def task_id(service: ServiceId, slot: int, node: NodeId | None, attempt: int) -> TaskId:
    """Derive a task's ID from what makes it unique.

    A plan that is committed twice therefore names the same tasks twice.

    Args:
        service: the service.
        slot: the slot of a replicated service, from 1; 0 for a global one.
        node: the node of a global service's task, which stands for its slot; else None.
        attempt: rises with each task of that slot, from 1.
    """
    assert (slot == 0) == (node is not None)
    return TaskId(id_from_text(f"{service}/{slot or node}/{attempt}"))


def task_id_of_slot(service: ServiceId, slot: int, attempt: int) -> TaskId:
    """Return `task_id` for a slot of a replicated service, in half of the time."""
    text = _hash_of(service).copy()
    text.update(b"%d/%d" % (slot, attempt))
    return TaskId(text.hexdigest()[:ID_LENGTH])


@lru_cache(maxsize=4096)
def _hash_of(service: ServiceId) -> "hashlib.blake2b":
    return hashlib.blake2b(f"{service}/".encode(), digest_size=13)


def task_ids(service: ServiceId, slots: Iterable[int], attempt: int) -> list[TaskId]:
    """Return `task_id` of each of these slots of a replicated service, in half of the time."""
    begun = hashlib.blake2b(f"{service}/".encode(), digest_size=13)
    rest = b"%d/" + str(attempt).encode()
    ids = []
    for slot in slots:
        text = begun.copy()
        text.update(rest % slot)
        ids.append(TaskId(text.hexdigest()[:ID_LENGTH]))
    return ids
