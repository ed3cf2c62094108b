"""When a node counts as lost: tabled arithmetic."""

import pytest

from berth.model.cluster import ClusterSettings
from berth.model.ids import SessionId
from berth.model.instant import NEVER, Instant
from berth.model.node import NodeState
from scheduler.core import liveness

MINE, OTHER = SessionId("mine"), SessionId("other")
SETTINGS = ClusterSettings()


def at(seconds: float) -> Instant:
    return Instant(seconds)


def a_node(heard_at: float = 100.0, patience: float = 5.0) -> liveness.NodeLiveness:
    return liveness.joined(MINE, "boot", at(heard_at), patience)


def test_a_silent_node_is_lost_when_the_patience_is_over_and_not_before() -> None:
    node = a_node()
    assert liveness.expired(node, at(104.9)) is node
    lost = liveness.expired(node, at(105.0))
    assert (lost.state, lost.session, lost.down_at) == (NodeState.DOWN, None, at(105.0))


def test_a_lost_node_stays_lost_until_a_new_session() -> None:
    lost = liveness.expired(a_node(), at(105.0))
    assert liveness.heard(lost, MINE, at(106.0), 5.0) is lost
    assert liveness.expired(lost, at(999.0)) is lost
    assert liveness.joined(OTHER, "boot", at(106.0), 5.0).state is NodeState.READY


def test_any_message_counts() -> None:
    assert liveness.heard(a_node(), MINE, at(103.0), 5.0).deadline == at(108.0)


def test_messages_of_an_earlier_session_change_nothing() -> None:
    node = a_node()
    assert liveness.heard(node, OTHER, at(103.0), 5.0) is node
    assert liveness.disconnected(node, OTHER, at(103.0), 5.0) is node


@pytest.mark.parametrize(
    ("patience", "ended_at", "said_goodbye", "allowance", "deadline"),
    [
        pytest.param(5.0, 100.5, False, 5.0, 105.0, id="the process was killed: from last heard"),
        pytest.param(5.0, 104.0, False, 5.0, 105.0, id="its PINGs were not answered: no respite"),
        pytest.param(90.0, 120.0, False, 5.0, 125.0, id="rare heartbeats: the break shortens it"),
        pytest.param(5.0, 104.0, True, 30.0, 134.0, id="goodbye: the time of a restart"),
    ],
)
def test_the_end_of_a_stream(
    patience: float, ended_at: float, said_goodbye: bool, allowance: float, deadline: float
) -> None:
    node = liveness.disconnected(
        a_node(patience=patience), MINE, at(ended_at), allowance, said_goodbye=said_goodbye
    )
    assert node.state is NodeState.DISCONNECTED
    assert node.deadline == at(deadline)


def test_a_new_leader_waits_longer_for_nodes_that_it_has_not_heard() -> None:
    assert liveness.unheard(at(10.0), SETTINGS).deadline == at(25.0)


def test_the_leaders_own_pause_moves_every_deadline_but_none_that_is_never() -> None:
    assert liveness.postponed(a_node(), 7.0).deadline == at(112.0)
    lost = liveness.expired(a_node(), at(105.0))
    assert liveness.postponed(lost, 7.0).deadline == NEVER


@pytest.mark.parametrize(
    ("nodes", "period"),
    [(3, 1.0), (100, 1.0), (1000, 10.0), (10_000, 60.0)],
)
def test_heartbeats_of_all_nodes_together_are_bounded(nodes: int, period: float) -> None:
    assert liveness.heartbeat_period_s(SETTINGS, nodes) == period
    assert liveness.patience_s(SETTINGS, nodes) == max(5.0, 3 * period)


def test_a_period_that_the_operator_set_holds() -> None:
    assert liveness.heartbeat_period_s(ClusterSettings(heartbeat_period_s=1.5), 10_000) == 1.5


@pytest.mark.parametrize(
    ("losses", "hold"), [(0, 0), (2, 0), (3, 30), (4, 60), (7, 480), (99, 480)]
)
def test_a_node_that_flaps_is_held_longer_each_time(losses: int, hold: float) -> None:
    assert liveness.flap_hold_s(losses) == hold
