"""What the runtime tells of its own work, for metrics.

Labels stay within closed sets: call names are the words in this package, never IDs.
"""

from enum import StrEnum
from typing import Protocol


class CallOutcome(StrEnum):
    """How a call to the Engine ended."""

    OK = "ok"
    REFUSED = "refused"  # The Engine said no; often expected, such as "not found".
    UNAVAILABLE = "unavailable"  # It did not answer.


class PullOutcome(StrEnum):
    """How a pull ended."""

    PULLED = "pulled"
    PRESENT = "present"  # Pinned and there already.
    FELL_BACK = "fell_back"  # A tag could not be pulled; the image that is there serves.
    FAILED = "failed"


class RuntimeObserver(Protocol):
    """Told of every call; must be quick, must not raise."""

    def call(self, name: str, seconds: float, outcome: CallOutcome) -> None:
        """One short call ended; `seconds` has its wait for a free thread."""
        ...

    def pull(self, seconds: float, size_bytes: int, outcome: PullOutcome) -> None:
        """One pull ended; `size_bytes` is what was downloaded."""
        ...


class NoObserver:
    """For those who do not measure."""

    def call(self, name: str, seconds: float, outcome: CallOutcome) -> None:
        """Ignore it."""

    def pull(self, seconds: float, size_bytes: int, outcome: PullOutcome) -> None:
        """Ignore it."""
