"""Who leads, and who could, as one scheduler process knows it."""

from berth.model.ids import Epoch
from scheduler.directory import Directory
from scheduler.election.port import LeaderInfo

LEADER = LeaderInfo("scheduler-1", "10.0.0.1:7701", Epoch(2))
LATECOMER = LeaderInfo("scheduler-2", "10.0.0.2:7701", Epoch(3))


def test_a_scheduler_that_joins_later_is_known_though_the_leader_stays_the_same() -> None:
    standing = [LEADER]
    directory = Directory("scheduler-1", LEADER.address)
    directory.set_current(LEADER, lambda: tuple(standing))
    assert directory.candidates == (LEADER,)
    standing.append(LATECOMER)
    assert directory.candidates == (LEADER, LATECOMER)
    assert directory.addresses() == [LEADER.address, LATECOMER.address]


def test_nobody_is_known_before_the_election_says_so() -> None:
    directory = Directory("scheduler-1", LEADER.address)
    assert directory.candidates == ()
    assert directory.addresses() == [LEADER.address]
    assert not directory.is_known
