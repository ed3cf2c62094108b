"""Which slots open and which close."""

from collections import Counter

import pytest

from berth.model.ids import NodeId
from scheduler.core.scale import ScalePlan, plan_scale
from tests.unit.scheduler.core.builders import a_task, held


def plan(replicas: int, text: str, closing: tuple[int, ...] = ()) -> ScalePlan:
    slots = held(text)
    tasks = [task for tasks in slots.values() for task in tasks]
    per_node = Counter(NodeId(task.node_id) for task in tasks if task.node_id is not None)
    return plan_scale(replicas, slots, per_node, closing)


@pytest.mark.parametrize(
    ("replicas", "slots", "closing", "opened"),
    [
        pytest.param(3, "", (), (1, 2, 3), id="a new service opens from one"),
        pytest.param(3, "1r@a 3r@b", (), (2,), id="opens the lowest free slot"),
        pytest.param(2, "1r@a 3r@b", (), (), id="leaves gaps alone when the count is right"),
        pytest.param(2, "1r@a 3-", (), (), id="a slot that waits to restart is held"),
        pytest.param(3, "1r@a", (2,), (3, 4), id="passes over a slot that is still closing"),
        pytest.param(0, "", (), (), id="nothing of nothing"),
    ],
)
def test_opening(
    replicas: int, slots: str, closing: tuple[int, ...], opened: tuple[int, ...]
) -> None:
    assert plan(replicas, slots, closing) == ScalePlan(open_slots=opened)


@pytest.mark.parametrize(
    ("replicas", "slots", "closed"),
    [
        pytest.param(1, "1r@a 2w 3r@b", (2, 3), id="what waits for a place goes first"),
        pytest.param(1, "1r@a 2-", (2,), id="a slot that waits to restart goes first"),
        pytest.param(1, "1r@a 2r@b", (2,), id="of equals the highest slot"),
        pytest.param(1, "1s@a 2r@b", (1,), id="what is not running before what runs"),
        pytest.param(2, "1r@a 2r@a 3r@b", (2,), id="the fullest node gives first"),
        pytest.param(2, "1r@a 2r@a 3s@b", (2,), id="even if what runs less sits on another"),
        pytest.param(1, "1r@a 2r@a 3r@a 4r@b", (3, 2, 4), id="nodes empty one by one"),
        pytest.param(2, "1r@a 2r@a 3r@b 4r@b", (4, 2), id="turn by turn"),
        pytest.param(0, "1r@a 2w", (2, 1), id="zero closes all"),
    ],
)
def test_closing(replicas: int, slots: str, closed: tuple[int, ...]) -> None:
    assert plan(replicas, slots) == ScalePlan(close_slots=closed)


def test_a_slot_with_a_replacement_that_waits_counts_where_its_old_task_is() -> None:
    slots = held("1r@a 2r@a 3r@b")
    slots[2].append(a_task(slot=2, attempt=2, node=None))
    per_node = {NodeId("a"): 2, NodeId("b"): 1}
    assert plan_scale(1, slots, per_node) == ScalePlan(close_slots=(2, 3))


def test_what_it_was_given_is_left_as_it_was() -> None:
    slots, per_node = held("1r@a 2r@a"), {NodeId("a"): 2}
    plan_scale(0, slots, per_node)
    assert (sorted(slots), per_node) == ([1, 2], {NodeId("a"): 2})
