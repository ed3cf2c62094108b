"""Keep the store's health from the outcome of calls.

Duty: turn errors into a `StoreHealth`, log each change of state once.
Not here: deciding what to do about it.
"""

from typing import Final

import structlog

from berth.clock import Clock
from berth.errors import BerthError
from berth.model.instant import Instant
from scheduler.store.errors import AmbiguousError, ForbiddenError, NoQuorumError, NoSpaceError
from scheduler.store.port import StoreHealth, StoreState

_log = structlog.get_logger(__name__)


GRACE_S: Final = 1.0
"""A failure that another member makes good within this time is no outage, and not told as one."""


class HealthRecord:
    """The newest health. `since` moves only when the state does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failing_since: Instant | None = None
        self.current = StoreHealth(StoreState.OK, clock.timestamp())

    def note_success(self) -> None:
        """A call that needs quorum and space went through."""
        self._failing_since = None
        if self.current.state is not StoreState.OK:
            self._change(StoreState.OK, "")

    def note_failure(self, error: BerthError) -> None:
        """A call failed: remember as what."""
        now = self._clock.instant()
        if self._failing_since is None:
            self._failing_since = now
        is_certain = isinstance(error, NoSpaceError | NoQuorumError | ForbiddenError)
        is_outage = is_certain or now - self._failing_since >= GRACE_S
        if is_outage or self.current.state is not StoreState.OK:
            self._change(state_of(error), error.message)

    def _change(self, state: StoreState, last_error: str) -> None:
        before = self.current
        if state is before.state:
            self.current = StoreHealth(state, before.since, last_error)
            return
        self.current = StoreHealth(state, self._clock.timestamp(), last_error)
        log = _log.info if state is StoreState.OK else _log.warning
        log("store_health_changed", before=before.state.value, now=state.value, error=last_error)


def state_of(error: BerthError) -> StoreState:
    """Return the state that `error` speaks of."""
    match error:
        case NoSpaceError():
            return StoreState.NO_SPACE
        case NoQuorumError() | AmbiguousError():
            # A write that is not answered in time is what a lost quorum looks like from outside.
            return StoreState.NO_QUORUM
        case _:
            return StoreState.UNREACHABLE
