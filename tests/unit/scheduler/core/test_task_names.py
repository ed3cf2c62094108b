"""Tasks are named by what makes them unique, in groups as one by one, and for ever."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from berth.model.ids import ID_LENGTH, NodeId, ServiceId, new_service_id, task_id
from scheduler.core.task_names import task_ids

OLD = ServiceId("9ef9231d536600a7725196f37")
NEW = ServiceId("9ef9231d536600a7725196f3s")
SLOTS = st.lists(st.integers(1, 2**40), max_size=60)


@pytest.mark.parametrize(
    ("service", "slot", "node", "attempt", "expected"),
    [
        pytest.param(
            OLD,
            1,
            None,
            1,
            "6be24e9e19302f3dea7c6793d",
            id="a service from before has its tasks hashed",
        ),
        pytest.param(
            OLD, 2, None, 7, "e5568de53d50119eb73141298", id="each attempt of each slot for itself"
        ),
        pytest.param(
            NEW, 1, None, 1, "87be1be536a5b0cf0f4ee5e79", id="a new one's are named by steps"
        ),
        pytest.param(NEW, 2, None, 1, "25f5959eb5f0f3234d3714e0e", id="from slot to slot"),
        pytest.param(
            NEW, 2, None, 7, "bbe74ecf2a3bc1d017a8bd4ac", id="from another begin for each attempt"
        ),
        pytest.param(
            NEW,
            0,
            NodeId("n1"),
            1,
            "5c8eee6eac6e39918c86272c2",
            id="those of a global service are hashed",
        ),
    ],
)
def test_names_are_for_ever(
    service: ServiceId, slot: int, node: NodeId | None, attempt: int, expected: str
) -> None:
    """Stored tasks have no other name: if this fails, an upgrade would start all of them anew."""
    assert task_id(service, slot, node, attempt) == expected


def test_a_new_services_id_says_how_its_tasks_are_named() -> None:
    assert new_service_id(OLD) == NEW


@given(SLOTS, st.integers(1, 10**4), st.sampled_from((OLD, NEW)))
@example(slots=list(range(1, 100)), attempt=1, service=NEW)
def test_names_of_many_are_the_names_of_each(
    slots: Sequence[int], attempt: int, service: ServiceId
) -> None:
    names = task_ids(service, slots, attempt)
    assert names == [task_id(service, slot, None, attempt) for slot in slots]
    assert all(len(name) == ID_LENGTH for name in names)


def test_no_two_slots_share_a_name_nor_its_short_form() -> None:
    names = [
        name
        for attempt in (1, 2)
        for service in (OLD, NEW)
        for name in task_ids(service, range(1, 50_001), attempt)
    ]
    assert len(set(names)) == len({name[:12] for name in names}) == 200_000


def test_short_forms_spread_evenly_over_what_they_begin_with() -> None:
    counts = dict.fromkeys("0123456789abcdef", 0)
    for name in task_ids(NEW, range(1, 16_001), 1):
        counts[name[0]] += 1
    assert all(900 < count < 1100 for count in counts.values())
