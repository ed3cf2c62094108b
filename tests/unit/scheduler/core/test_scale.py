"""Which slots open and which close."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from berth.model.ids import NodeId
from berth.model.task import Task, TaskState
from scheduler.core.scale import ScalePlan, plan_scale
from tests.unit.scheduler.core.builders import a_task, held


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
    assert plan_scale(replicas, held(slots), closing) == ScalePlan(open_slots=opened)


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
    assert plan_scale(replicas, held(slots)) == ScalePlan(close_slots=closed)


def test_a_slot_with_a_replacement_that_waits_counts_where_its_old_task_is() -> None:
    slots = held("1r@a 2r@a 3r@b")
    slots[2].append(a_task(slot=2, attempt=2, node=None))
    assert plan_scale(1, slots) == ScalePlan(close_slots=(2, 3))


def test_what_it_was_given_is_left_as_it_was() -> None:
    slots = held("1r@a 2r@a")
    plan_scale(0, slots)
    assert [(slot, len(tasks)) for slot, tasks in slots.items()] == [(1, 1), (2, 1)]


def one_by_one(replicas: int, slots: Mapping[int, Sequence[Task]]) -> list[int]:
    """The order of closing, spelt out: each time everything is looked at again."""
    left = {slot: [t.node_id for t in tasks if t.node_id] for slot, tasks in slots.items()}
    is_up = {slot: any(t.observed is TaskState.RUNNING for t in ts) for slot, ts in slots.items()}
    closed = []
    while len(left) > replicas:
        on_node = Counter(node for nodes in left.values() for node in nodes)
        closed.append(
            min(
                left,
                key=lambda slot: (
                    bool(left[slot]),
                    -max((on_node[node] for node in left[slot]), default=0),
                    is_up[slot],
                    -slot,
                ),
            )
        )
        del left[closed[-1]]
    return closed


@pytest.mark.parametrize("seed", range(20))
def test_many_close_in_the_order_in_which_one_after_the_other_would(seed: int) -> None:
    chance = random.Random(seed)
    nodes = [NodeId(f"n{number}") for number in range(chance.randint(1, 6))]
    states = [TaskState.STARTING, TaskState.RUNNING, TaskState.RUNNING]
    slots = {
        slot: [
            a_task(chance.choice(states), slot=slot, attempt=attempt, node=node)
            if (node := chance.choice([None, *nodes]))
            else a_task(TaskState.PENDING, slot=slot, attempt=attempt, node=None)
            for attempt in range(1, chance.choice([1, 1, 1, 2, 3]))
        ]
        for slot in range(1, 40)
    }
    replicas = chance.choice([0, 0, 10, 35])
    assert list(plan_scale(replicas, slots).close_slots) == one_by_one(replicas, slots)
