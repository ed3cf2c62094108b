"""Equal parts of specs are one object: what was read lately, by its bytes.

Duty: which kinds of parts are shared, and how much of them is kept. Not here: reading (convert),
encoding (encoded), which knows a part again by its identity.

Why this stands apart: thousands of services differ by a name and a constraint and share all else:
container, limits, restart policy, mode. To read such a part field by field costs 10 us and more, to
look it up by its bytes half of one; memory holds it once; whoever compares it with its like, or
needs its bytes again, is done with a look at its identity. Nobody alters a value of the model, its
mappings included, so that nobody can tell.

Bounded: of each field about `PARTS_MAX` are kept, and none of more than `BYTES_MAX`.
"""

from typing import Final, Generic, TypeVar

from berth.model.resources import Limits, Reservation
from berth.model.service import (
    ContainerSpec,
    EndpointSpec,
    LogDriver,
    Placement,
    RestartPolicy,
    ServiceMode,
    TaskSpec,
    UpdatePolicy,
)

K = TypeVar("K")
V = TypeVar("V")

SHARED_KINDS: Final[frozenset[type]] = frozenset(
    {
        ContainerSpec,
        EndpointSpec,
        Limits,
        LogDriver,
        Placement,
        Reservation,
        RestartPolicy,
        ServiceMode,
        TaskSpec,
        UpdatePolicy,
    }
)
"""The parts of a service's spec that many services say alike."""

PARTS_MAX: Final = 512
BYTES_MAX: Final = 4096


class Recent(Generic[K, V]):
    """What was put or asked for lately: at least `size` entries, twice as many at most.

    Two dictionaries, of which the older one is dropped when the newer one is full: to take single
    oldest entries out of one means to walk over all that were taken out before.
    """

    __slots__ = ("_new", "_old", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._new: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """Return what was put at `key`, None when it is not kept."""
        found = self._new.get(key)
        if found is None:
            found = self._old.get(key)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: K, value: V) -> None:
        """Keep `value`."""
        if len(self._new) >= self._size:
            self._old, self._new = self._new, {}
        self._new[key] = value
