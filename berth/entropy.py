"""The only source of randomness. Everything else is given an `Entropy`."""

import os
import random  # noqa: TID251 - this is the one place
from typing import Protocol

from berth.model.ids import id_from_bytes


class Entropy(Protocol):
    """Random IDs, bytes and jitter. The simulator's form is seeded."""

    def new_id(self) -> str:
        """Return a new 25-character ID."""
        ...

    def token_bytes(self, size: int) -> bytes:
        """Return `size` random bytes, fit for nonces."""
        ...

    def uniform(self, low: float, high: float) -> float:
        """Return a number between `low` and `high`, for jitter."""
        ...


class SystemEntropy:
    """The machine's randomness."""

    def new_id(self) -> str:
        """Return a new 25-character ID."""
        return id_from_bytes(os.urandom(16))

    def token_bytes(self, size: int) -> bytes:
        """Return `size` bytes from the kernel."""
        return os.urandom(size)

    def uniform(self, low: float, high: float) -> float:
        """Return a number between `low` and `high`."""
        return random.uniform(low, high)  # noqa: S311 - jitter, not a secret


class SeededEntropy:
    """Randomness that a seed repeats, for the simulator and for tests."""

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(seed)  # noqa: S311 - must be repeatable

    def new_id(self) -> str:
        """Return the seed's next ID."""
        return id_from_bytes(self._random.randbytes(16))

    def token_bytes(self, size: int) -> bytes:
        """Return the seed's next bytes. Never for real secrets."""
        return self._random.randbytes(size)

    def uniform(self, low: float, high: float) -> float:
        """Return the seed's next number between `low` and `high`."""
        return self._random.uniform(low, high)
