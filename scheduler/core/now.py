"""One reading of both clocks, taken once a turn and passed through it."""

from dataclasses import dataclass

from berth.model.instant import Instant, Timestamp


@dataclass(frozen=True, slots=True)
class Now:
    """One reading of both clocks, passed through a whole turn."""

    instant: Instant
    timestamp: Timestamp
