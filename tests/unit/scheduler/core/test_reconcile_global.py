"""Which nodes a global service has a task on."""

import pytest

from berth.model.ids import NodeId
from berth.model.node import Availability, NodeState
from scheduler.core.reconcile_global import GlobalPlan, may_take, plan_global
from tests.builders import a_node

ACTIVE, PAUSE, DRAIN = Availability.ACTIVE, Availability.PAUSE, Availability.DRAIN


def ids(text: str) -> tuple[NodeId, ...]:
    return tuple(NodeId(node) for node in text.split())


@pytest.mark.parametrize(
    ("availability", "state", "held", "opened", "closed"),
    [
        pytest.param(ACTIVE, NodeState.READY, "", "n1", "", id="a ready node gets one"),
        pytest.param(ACTIVE, NodeState.READY, "n1", "", "", id="and only one"),
        pytest.param(PAUSE, NodeState.READY, "", "", "", id="a paused node gets none"),
        pytest.param(PAUSE, NodeState.READY, "n1", "", "", id="but keeps its own"),
        pytest.param(DRAIN, NodeState.READY, "n1", "", "n1", id="a drained node gives it up"),
        pytest.param(DRAIN, NodeState.DOWN, "n1", "", "n1", id="even while it is down"),
        pytest.param(ACTIVE, NodeState.DOWN, "", "", "", id="a lost node gets none"),
        pytest.param(ACTIVE, NodeState.DOWN, "n1", "", "", id="and keeps its own"),
        pytest.param(ACTIVE, NodeState.UNKNOWN, "", "", "", id="one not heard yet must wait"),
        pytest.param(ACTIVE, NodeState.DISCONNECTED, "n1", "", "", id="a broken stream: no change"),
    ],
)
def test_one_node(
    availability: Availability, state: NodeState, held: str, opened: str, closed: str
) -> None:
    nodes = {NodeId("n1"): a_node("n1", availability=availability, state=state)}
    plan = plan_global(nodes, nodes, set(ids(held)))
    assert plan == GlobalPlan(ids(opened), ids(closed))


def test_several_nodes_are_named_in_order_whatever_order_they_came_in() -> None:
    nodes = {NodeId(name): a_node(name) for name in ("n3", "n1", "n2", "n5", "n4")}
    candidates = ids("n3 n1 n2")
    assert plan_global(candidates, nodes, {NodeId("n5"), NodeId("n4")}) == GlobalPlan(
        ids("n1 n2 n3"), ids("n4 n5")
    )


def test_a_node_that_no_longer_satisfies_the_constraints_gives_its_task_up() -> None:
    nodes = {NodeId("n1"): a_node("n1")}
    assert plan_global((), nodes, {NodeId("n1")}) == GlobalPlan((), ids("n1"))


@pytest.mark.parametrize("state", list(NodeState))
@pytest.mark.parametrize("availability", list(Availability))
def test_only_a_ready_and_active_node_may_take(
    state: NodeState, availability: Availability
) -> None:
    node = a_node(state=state, availability=availability)
    assert may_take(node) is (state is NodeState.READY and availability is ACTIVE)
