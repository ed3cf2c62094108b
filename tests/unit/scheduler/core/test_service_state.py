"""A service holds nothing that it has no use for, and nobody can tell."""

import pytest

from berth.model.ids import ServiceId
from scheduler.core.reconcile import Phase
from scheduler.core.service_record import create_record
from scheduler.core.service_state import ServiceState, noted, strike
from tests.builders import a_spec
from tests.unit.scheduler.core.builders import NOW


def a_service() -> ServiceState:
    return ServiceState(create_record(ServiceId("web"), a_spec(), NOW.timestamp))


def test_what_is_noted_of_one_service_is_noted_of_no_other() -> None:
    one, other = a_service(), a_service()
    one.closing = noted(one.closing, (1, 2))
    one.closing = noted(one.closing, (3,))
    strike(one.closing, 2)
    strike(other.closing, 2)
    assert (one.closing, one.begun, other.closing) == ({1, 3}, set(), set())
    assert noted(other.closing, ()) is other.closing


@pytest.mark.parametrize("slots", [1, 7, 8, 300])
def test_slots_are_found_by_phase_however_many_there_are(slots: int) -> None:
    service = a_service()
    service.open_slots(range(1, slots + 1), Phase.YOUNG)
    for slot in range(1, slots + 1, 3):
        service.set_phase(slot, Phase.SETTLED)
        settled = set(range(1, slot + 1, 3))
        assert service.in_phase(Phase.SETTLED) == settled
        assert service.in_phase(Phase.YOUNG) == set(range(1, slots + 1)) - settled
    service.set_phase(1, None)
    service.open_slots([slots + 1], Phase.LEAVING)
    assert service.in_phase(Phase.SETTLED) == set(range(4, slots + 1, 3))
    assert service.in_phase(Phase.LEAVING) == {slots + 1}
    assert service.in_phase(Phase.OUTDATED) == set()


def test_of_templates_that_are_gone_no_demand_is_kept() -> None:
    service = a_service()
    first = service.demand(1)
    assert service.demand(1) is first
    service.record = create_record(ServiceId("web"), a_spec(cpus=2.0), NOW.timestamp)
    assert service.demand(1).nano_cpus == 2 * 10**9
    assert len(service._demands) == 1


def test_what_was_removed_holds_no_more_than_its_record() -> None:
    service = a_service()
    bare = ServiceState(service.record)
    service.open_slots(range(1, 4), Phase.YOUNG)
    service.demand(service.record.template_version)
    service.tell((NOW.timestamp, 1, 1, "once"))
    service.shed()
    for name in ServiceState.__slots__:
        assert getattr(service, name) == getattr(bare, name), name
