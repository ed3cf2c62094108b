"""When a failure is an outage."""

from berth.errors import BerthError
from berth.model.instant import Instant, Timestamp
from scheduler.store.errors import AmbiguousError, NoQuorumError, NoSpaceError, NotAppliedError
from scheduler.store.health import HealthRecord
from scheduler.store.port import StoreState


class HandClock:
    """A clock that a test moves."""

    now = 0.0

    def instant(self) -> Instant:
        return Instant(self.now)

    def timestamp(self) -> Timestamp:
        return Timestamp(1000 + self.now)

    async def sleep(self, delay_s: float) -> None:
        raise NotImplementedError


def states_after(*steps: tuple[float, BerthError | None]) -> list[StoreState]:
    clock = HandClock()
    record = HealthRecord(clock)
    states = []
    for at, error in steps:
        clock.now = at
        if error is None:
            record.note_success()
        else:
            record.note_failure(error)
        states.append(record.current.state)
    return states


def test_a_failure_that_another_member_makes_good_is_not_told():
    lost = AmbiguousError("no answer")
    states = states_after((0, lost), (0.9, lost), (0.95, None), (5, lost))
    assert set(states) == {StoreState.OK}


def test_failures_that_last_are_told_and_then_forgotten():
    refused = NotAppliedError("connection refused")
    states = states_after((0, refused), (1.0, refused), (9, refused), (10, None))
    assert states == [
        StoreState.OK,
        StoreState.UNREACHABLE,
        StoreState.UNREACHABLE,
        StoreState.OK,
    ]


def test_what_etcd_says_itself_is_told_at_once():
    assert states_after((0, NoSpaceError("full")), (0.1, NoQuorumError("no leader"))) == [
        StoreState.NO_SPACE,
        StoreState.NO_QUORUM,
    ]


def test_since_moves_only_with_the_state_and_the_last_words_are_kept():
    clock = HandClock()
    record = HealthRecord(clock)
    record.note_failure(NoSpaceError("full"))
    clock.now = 60
    record.note_failure(NoSpaceError("still full"))
    assert record.current.since == 1000
    assert record.current.last_error == "still full"
