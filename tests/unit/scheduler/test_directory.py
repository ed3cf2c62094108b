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


class ALeader:
    """Stands for a `Leader`; the directory never looks into it."""


def directory() -> Directory:
    return Directory("s1", "s1:7701")


def test_a_leadership_that_ended_is_remembered_until_somebody_else_leads():
    known, leader = directory(), ALeader()
    known.set_local(leader)
    assert known.former is None
    known.set_local(None)
    known.set_local(None)
    assert known.former is leader
    known.set_current(LeaderInfo("s1", "s1:7701", Epoch(3)), lambda: ())
    assert known.former is leader, "our own key, seen late, is nobody else's"
    known.set_current(LeaderInfo("s2", "s2:7701", Epoch(4)), lambda: ())
    assert known.former is None


def test_leading_again_forgets_the_former_leadership():
    known, leader = directory(), ALeader()
    known.set_local(ALeader())
    known.set_local(None)
    known.set_local(leader)
    assert (known.local, known.former) == (leader, None)


def test_who_never_led_remembers_nothing():
    known = directory()
    known.set_local(None)
    assert known.former is None
