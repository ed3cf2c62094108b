"""One reading of both clocks, taken once a turn and passed through it."""

from berth.model.hot_value import hot_value
from berth.model.instant import Instant, Timestamp


@hot_value
class Now:
    """One reading of both clocks, passed through a whole turn."""

    instant: Instant
    timestamp: Timestamp
