"""What a sweep removes, and what it never touches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berth.model.cluster import ClusterSettings
from berth.model.ids import TaskId
from berth.model.instant import Timestamp
from nodeagent.core.sweep import YOUNGEST_IMAGE_S, plan_sweep
from nodeagent.runtime.port import ContainerState, DiskUse, SeenContainer

WALL = Timestamp(1_000_000.0)
SETTINGS = ClusterSettings(
    dead_container_age_s=3600.0, image_gc_age_s=7200.0, disk_low_percent=15, task_history_limit=2
)
ROOMY, FULL = DiskUse(100, 50), DiskUse(100, 14)


def a_container(name, state=ContainerState.EXITED, age_s=0.0, slot="1"):
    labels = {"berth.service": "s", "berth.slot": slot}
    return SeenContainer(f"c-{name}", TaskId(name), state, finished_at=WALL - age_s, labels=labels)


def swept(*containers, in_progress=(), unwanted=(), disk=ROOMY):
    plan = plan_sweep(
        containers,
        in_progress={TaskId(name) for name in in_progress},
        unwanted={TaskId(name) for name in unwanted},
        disk=disk,
        settings=SETTINGS,
        wall=WALL,
    )
    return sorted(container.task_id for container in plan.containers), plan


@pytest.mark.parametrize(
    ("containers", "disk", "gone"),
    [
        pytest.param([a_container("new", age_s=10)], ROOMY, [], id="a fresh one is kept"),
        pytest.param([a_container("old", age_s=3601)], ROOMY, ["old"], id="an old one goes"),
        pytest.param([a_container("new", age_s=10)], FULL, ["new"], id="a full disk takes all"),
        pytest.param(
            [a_container(str(n), age_s=n) for n in range(5)],
            ROOMY,
            ["2", "3", "4"],
            id="of one slot the newest few are kept",
        ),
        pytest.param(
            [a_container(str(n), age_s=n, slot=str(n)) for n in range(5)],
            ROOMY,
            [],
            id="of each slot",
        ),
        pytest.param(
            [a_container("up", ContainerState.RUNNING), a_container("c", ContainerState.CREATED)],
            FULL,
            [],
            id="what runs or will run stays",
        ),
    ],
)
def test_which_containers_go(containers, disk, gone):
    assert swept(*containers, disk=disk)[0] == gone


def test_what_nobody_can_ask_for_goes_at_once_unless_it_is_in_use():
    containers = [a_container("a", age_s=1), a_container("b"), a_container("c")]
    assert swept(*containers, unwanted=["a", "b", "x"], in_progress=["b"])[0] == ["a"]


def test_a_task_in_progress_keeps_its_dead_container_to_restart_it():
    assert swept(a_container("t", age_s=9999), in_progress=["t"], disk=FULL)[0] == []


@pytest.mark.parametrize(
    ("disk", "age_s", "is_low"),
    [
        pytest.param(ROOMY, 7200.0, False, id="by age"),
        pytest.param(FULL, YOUNGEST_IMAGE_S, True, id="a full disk hurries"),
        pytest.param(None, 7200.0, False, id="a disk that nobody measured is no reason"),
        pytest.param(DiskUse(0, 0), 7200.0, False, id="nor is one of no size"),
    ],
)
def test_images(disk, age_s, is_low):
    plan = swept(disk=disk)[1]
    assert (plan.images_older_than_s, plan.is_disk_low) == (age_s, is_low)


@given(
    st.lists(
        st.tuples(st.sampled_from(ContainerState), st.floats(0, 1e5), st.booleans()), max_size=12
    ),
    st.sampled_from([ROOMY, FULL]),
)
def test_nothing_that_lives_or_is_in_progress_is_ever_removed(shapes, disk):
    containers = [
        a_container(f"t{number}", state, age_s) for number, (state, age_s, _) in enumerate(shapes)
    ]
    in_progress = [f"t{number}" for number, (_, _, busy) in enumerate(shapes) if busy]
    gone, _ = swept(*containers, in_progress=in_progress, disk=disk)
    states = {container.task_id: container.state for container in containers}
    for name in gone:
        assert name not in in_progress
        assert states[name] in (ContainerState.EXITED, ContainerState.DEAD)
