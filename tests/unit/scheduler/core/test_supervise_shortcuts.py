"""The shortcuts of `supervise` say what `plan_slot` would have said."""

from dataclasses import replace

import pytest

from berth.model.ids import ServiceId
from berth.model.instant import NEVER, Instant, Timestamp
from berth.model.service import UpdatePolicy
from berth.model.task import TaskState
from scheduler.core.now import Now
from scheduler.core.reconcile import Create, Fate, Phase, SlotPlan, SlotView, plan_slot
from scheduler.core.scale import ScalePlan, plan_scale
from scheduler.core.service_record import UpdateState, UpdateStatus, create_record
from scheduler.core.service_state import ServiceState, noted
from tests.builders import a_spec, restart
from tests.unit.scheduler.core.world import World

NOW = Now(Instant(1000.0), Timestamp(1_700_000_000.0))


@pytest.mark.parametrize("condition", ["any", "on-failure", "none"])
@pytest.mark.parametrize("state", [None, *UpdateState])
def test_a_slot_just_opened_gets_its_first_task(condition: str, state: UpdateState | None) -> None:
    spec = a_spec(restart=restart(condition, attempts=1), update=UpdatePolicy())
    record = create_record(ServiceId("web"), spec, NOW.timestamp, b"")
    if state is not None:
        record = replace(record, update_status=UpdateStatus(state, "", NOW.timestamp))
    service = ServiceState(record)
    service.open_slots([1], Phase.YOUNG)
    assert service.unbegun([1, 2]) == [1]
    view = SlotView(record, (), (), lambda _: Fate.KEEP, settle_s=0.0)
    made = Create(record.template_version, TaskState.RUNNING)
    assert plan_slot(view, NOW) == SlotPlan((made,), Phase.YOUNG, NEVER)


def test_a_slot_that_knows_more_is_planned() -> None:
    record = create_record(ServiceId("web"), a_spec(), NOW.timestamp, b"")
    for name in ("closing", "begun", "handing_over"):
        service = ServiceState(record)
        setattr(service, name, noted(getattr(service, name), (1,)))
        service.open_slots([1, 2], Phase.YOUNG)
        assert service.unbegun([1, 2]) == [2], name
    service = ServiceState(record)
    service.open_slots([1, 2], Phase.YOUNG)
    service.history[1] = []
    assert service.unbegun([1, 2]) == [2]


def test_a_global_service_is_planned() -> None:
    record = create_record(ServiceId("web"), a_spec(is_global=True), NOW.timestamp, b"")
    service = ServiceState(record)
    service.open_slots([1], Phase.YOUNG)
    assert service.unbegun([1]) == []


@pytest.mark.parametrize("slots", [(1, 2), (2, 7)])
@pytest.mark.parametrize("closing", [(), (1,), (3,)])
def test_as_many_slots_as_replicas_need_no_plan(
    slots: tuple[int, ...], closing: tuple[int, ...]
) -> None:
    held = {slot: () for slot in slots if slot not in closing}
    assert plan_scale(len(held), held, closing) == ScalePlan()


def test_a_new_leader_leaves_alone_what_it_loaded_and_scales_it_later() -> None:
    world = World(nodes=2)
    world.create(a_spec("web", replicas=3))
    world.settle()
    before = {task.id for task in world.running()}
    world.reload()
    world.settle()
    assert {task.id for task in world.running()} == before
    world.update("web", a_spec("web", replicas=5))
    world.settle()
    assert len(world.running()) == 5
    assert {task.id for task in world.running()} > before
    world.update("web", a_spec("web", replicas=2))
    world.settle()
    assert len(world.running()) == 2
