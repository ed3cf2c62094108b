"""What a rollout begins, when it is done, and when it has failed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import pytest

from berth.model.ids import NodeId
from berth.model.instant import NEVER, Instant, after
from berth.model.service import FailureAction, ServiceSpec, UpdateOrder, UpdatePolicy
from berth.model.task import TaskState
from scheduler.core.rollout import (
    Begin,
    RolloutPlan,
    RolloutView,
    active_policy,
    count_failure,
    plan_rollout,
    settle_s,
)
from scheduler.core.service_record import ServiceRecord, UpdateState
from scheduler.core.service_state import SlotKey
from tests.builders import a_spec
from tests.unit.scheduler.core.builders import NOW, a_record, an_updated_record

S = TaskState
U = UpdateState
START_FIRST = UpdatePolicy(order=UpdateOrder.START_FIRST)


def updating(policy: UpdatePolicy | None = None, state: UpdateState = U.UPDATING) -> ServiceRecord:
    old = a_spec(update=policy, rollback=policy)
    return an_updated_record(old, replace(old, task=a_spec(image="app:2").task), state, 3)


@dataclass
class Case:
    """A rollout as a test writes it; slots by how they stand."""

    record: ServiceRecord = field(default_factory=updating)
    outdated: Collection[SlotKey] = ()
    leaving: Collection[SlotKey] = ()
    replacing: Collection[SlotKey] = ()
    young: Collection[SlotKey] = ()
    begun: Collection[SlotKey] = ()
    failed: Collection[SlotKey] = ()
    held_s: Mapping[SlotKey, float] = field(default_factory=dict)
    """For how long restart delays forbid to begin a slot."""
    ran_s: float = 100.0

    def plan(self) -> RolloutPlan:
        view = RolloutView(
            record=self.record,
            outdated=set(self.outdated),
            leaving=set(self.leaving),
            replacing=set(self.replacing),
            young=set(self.young),
            begun=set(self.begun),
            failed=set(self.failed),
            may_begin_at=lambda slot: after(NOW.instant, self.held_s.get(slot, 0.0)),
            running_since=lambda _: Instant(NOW.instant - self.ran_s),
        )
        return plan_rollout(view, NOW)

    def begins(self) -> list[SlotKey]:
        return [begin.slot for begin in self.plan().begin]


def state_of(plan: RolloutPlan) -> UpdateState | None:
    if plan.record is None or plan.record.update_status is None:
        return None
    return plan.record.update_status.state


@pytest.mark.parametrize(
    ("case", "begun"),
    [
        pytest.param(Case(outdated=(3, 1, 2)), [1], id="one at a time, the lowest first"),
        pytest.param(
            Case(updating(UpdatePolicy(parallelism=2)), outdated=(1, 2, 3)), [1, 2], id="two"
        ),
        pytest.param(
            Case(updating(UpdatePolicy(parallelism=0)), outdated=(1, 2, 3)), [1, 2, 3], id="0 = all"
        ),
        pytest.param(
            Case(outdated=(2, 3), replacing=(1,), begun=(1,)), [], id="one is being replaced"
        ),
        pytest.param(Case(outdated=(2, 3), young=(1,), begun=(1,)), [], id="one is too young"),
        pytest.param(
            Case(outdated=(2, 3), young=(1,), begun=(1,), failed=(1,)),
            [2],
            id="one failed: nobody waits for it",
        ),
        pytest.param(Case(outdated=(2, 3), young=(1,)), [2], id="one is young for another reason"),
        pytest.param(
            Case(outdated=(2, 3), replacing=(1,)), [2], id="a drain's replacement does not count"
        ),
        pytest.param(
            Case(outdated=(NodeId("n2"), NodeId("n1"))),
            ["n1"],
            id="slots that are nodes",
        ),
        pytest.param(Case(outdated=(1, 2), held_s={1: 4.0}), [2], id="a restart delay holds"),
        pytest.param(Case(outdated=(1, 2), held_s={1: NEVER, 2: NEVER}), [], id="no more attempts"),
        pytest.param(Case(updating(state=U.PAUSED), outdated=(1, 2)), [], id="paused"),
        pytest.param(
            Case(updating(state=U.ROLLBACK_PAUSED), outdated=(1, 2)), [], id="a paused rollback"
        ),
    ],
)
def test_what_is_begun(case: Case, begun: list[SlotKey]) -> None:
    assert case.begins() == begun


def test_a_slot_that_is_held_up_is_looked_at_again() -> None:
    plan = Case(updating(UpdatePolicy(parallelism=0)), outdated=(1, 2), held_s={1: 4, 2: 9}).plan()
    assert plan.wake_at == after(NOW.instant, 4.0)


@pytest.mark.parametrize(
    ("policy", "labels", "first_wish"),
    [
        pytest.param(None, {}, S.READY, id="stop-first where nothing is said"),
        pytest.param(START_FIRST, {}, S.RUNNING, id="start-first"),
        pytest.param(START_FIRST, {"berth.fence": "after:9s"}, S.READY, id="fenced: never two"),
    ],
)
def test_in_which_order_a_rollout_replaces(
    policy: UpdatePolicy | None, labels: dict[str, str], first_wish: TaskState
) -> None:
    record = an_updated_record(
        a_spec(), a_spec(image="app:2", update=policy, labels=labels), U.UPDATING
    )
    assert Case(record, outdated=(1,)).plan().begin == (Begin(1, first_wish),)


@pytest.mark.parametrize(
    ("case", "begun"),
    [
        pytest.param(Case(a_record(), leaving=(2, 1)), [1], id="one at a time"),
        pytest.param(
            Case(a_record(a_spec(update=UpdatePolicy(parallelism=2))), leaving=(1, 2, 3)),
            [1, 2],
            id="as many as the update policy says",
        ),
        pytest.param(
            Case(a_record(a_spec(update=UpdatePolicy(parallelism=0))), leaving=(1, 2, 3)),
            [1, 2, 3],
            id="0 = all",
        ),
        pytest.param(
            Case(a_record(), leaving=(2,), replacing=(1,)), [], id="whatever is replaced counts"
        ),
        pytest.param(Case(a_record(), leaving=(1, 2), held_s={1: 4.0}), [2], id="delays hold"),
        pytest.param(
            Case(updating(state=U.PAUSED), leaving=(1,)),
            [1],
            id="even if a rollout is paused",
        ),
    ],
)
def test_what_a_drain_begins(case: Case, begun: list[SlotKey]) -> None:
    assert case.begins() == begun


def test_a_drain_that_is_held_up_is_looked_at_again() -> None:
    assert Case(a_record(), leaving=(1,), held_s={1: 4}).plan().wake_at == after(NOW.instant, 4.0)


@pytest.mark.parametrize(
    ("spec", "first_wish"),
    [
        pytest.param(a_spec(), S.RUNNING, id="start-first: it must not cost strength"),
        pytest.param(a_spec(update=UpdatePolicy()), S.RUNNING, id="nor with a policy silent on it"),
        pytest.param(
            a_spec(update=UpdatePolicy(order=UpdateOrder.STOP_FIRST)),
            S.READY,
            id="unless the service says stop-first",
        ),
        pytest.param(
            a_spec(update=START_FIRST, labels={"berth.fence": "after:9s"}),
            S.READY,
            id="or is fenced",
        ),
    ],
)
def test_in_which_order_a_drain_replaces(spec: ServiceSpec, first_wish: TaskState) -> None:
    assert Case(a_record(spec), leaving=(1,)).plan().begin == (Begin(1, first_wish),)


@pytest.mark.parametrize(
    ("case", "state"),
    [
        pytest.param(Case(an_updated_record()), None, id="nothing to replace: nothing begins"),
        pytest.param(Case(an_updated_record(), outdated=(1,)), U.UPDATING, id="it begins"),
        pytest.param(
            Case(an_updated_record(status=U.COMPLETED), outdated=(1,)),
            U.UPDATING,
            id="a node came back with an old task",
        ),
        pytest.param(
            Case(an_updated_record(), replacing=(1,), begun=(1,)),
            U.UPDATING,
            id="a change of labels met the last slots of a rollout",
        ),
        pytest.param(
            Case(an_updated_record(), replacing=(1,)), None, id="a drain makes no rollout"
        ),
        pytest.param(Case(outdated=(2,), young=(1,), begun=(1,)), None, id="it goes on"),
        pytest.param(Case(begun=(1, 2), ran_s=4.9), None, id="the last one is being watched"),
        pytest.param(Case(begun=(1, 2), ran_s=5.0), U.COMPLETED, id="it is done"),
        pytest.param(Case(), U.COMPLETED, id="there is nothing left, not even to watch"),
        pytest.param(
            Case(begun=(1, 2), young=(1,), failed=(1,)), U.COMPLETED, id="but for what failed"
        ),
        pytest.param(
            Case(updating(state=U.ROLLBACK_STARTED)), U.ROLLBACK_COMPLETED, id="a rollback is done"
        ),
        pytest.param(
            Case(updating(UpdatePolicy(delay_s=9)), begun=(1,), ran_s=8.9),
            None,
            id="the delay holds after the last slot as well",
        ),
    ],
)
def test_how_far_it_is(case: Case, state: UpdateState | None) -> None:
    assert state_of(case.plan()) is state


def test_the_end_of_the_watch_is_a_time_to_look_again() -> None:
    assert Case(begun=(1,), ran_s=3.0).plan().wake_at == after(NOW.instant, 2.0)


def test_the_size_of_a_rollout_is_what_was_to_do_when_it_began() -> None:
    begun = Case(an_updated_record(), outdated=(1, 2), replacing=(3,), begun=(3,)).plan().record
    assert begun is not None
    assert begun.update_status is not None
    assert begun.update_status.slots_total == 3
    rollback = an_updated_record(status=U.ROLLBACK_STARTED)
    counted = Case(rollback, outdated=(1, 2), replacing=(4,)).plan().record
    assert counted is not None
    assert counted.update_status is not None
    assert counted.update_status.slots_total == 3


def failed(
    failures: int,
    action: FailureAction | None,
    ratio: float = 0.0,
    state: UpdateState = U.UPDATING,
    slots: int = 4,
) -> Case:
    policy = UpdatePolicy(failure_action=action, max_failure_ratio=ratio)
    spec = a_spec(update=policy, rollback=policy)
    new = replace(spec, task=a_spec(image="app:2").task)
    record = an_updated_record(spec, new, state, slots, failures)
    return Case(record, outdated=(2, 3), begun=(1,), failed=(1,))


PAUSE, GO_ON, BACK = FailureAction.PAUSE, FailureAction.CONTINUE, FailureAction.ROLLBACK


@pytest.mark.parametrize(
    ("case", "state"),
    [
        pytest.param(failed(1, None), U.PAUSED, id="one failure pauses where nothing is said"),
        pytest.param(failed(2, PAUSE, 0.5), None, id="as many as the ratio allows"),
        pytest.param(failed(3, PAUSE, 0.5), U.PAUSED, id="one more"),
        pytest.param(failed(9, GO_ON), None, id="continue, whatever fails"),
        pytest.param(failed(1, BACK), U.ROLLBACK_STARTED, id="rolled back"),
        pytest.param(
            failed(1, BACK, state=U.ROLLBACK_STARTED),
            U.ROLLBACK_PAUSED,
            id="a rollback pauses",
        ),
        pytest.param(failed(1, PAUSE, 0.9, slots=0), None, id="it counts its slots if it had not"),
        pytest.param(
            replace(failed(1, PAUSE, 0.9, slots=0), outdated=()),
            U.PAUSED,
            id="of none, one is too many",
        ),
    ],
)
def test_failures(case: Case, state: UpdateState | None) -> None:
    plan = case.plan()
    if state is None:
        assert plan.begin
        assert state_of(plan) in (None, U.UPDATING)
    else:
        assert plan.begin == ()
        assert state_of(plan) is state


def test_a_service_without_a_past_can_only_pause() -> None:
    case = failed(1, BACK)
    case.record = replace(case.record, previous_spec=None)
    assert state_of(case.plan()) is U.PAUSED


@pytest.mark.parametrize(
    ("failures", "words"),
    [
        (1, "update paused: 1 new task of 4 failed before or within 5 s of running"),
        (2, "update paused: 2 new tasks of 4 failed before or within 5 s of running"),
    ],
)
def test_why_it_paused_is_said(failures: int, words: str) -> None:
    record = failed(failures, PAUSE).plan().record
    assert record is not None
    assert record.update_status is not None
    assert record.update_status.message == f"{words} (allowed ratio 0)"


@pytest.mark.parametrize(
    ("record", "version", "ran_s", "counted"),
    [
        pytest.param(updating(), 2, 0.0, 1, id="it never ran"),
        pytest.param(updating(), 2, 4.9, 1, id="it ended within the monitor period"),
        pytest.param(updating(), 2, 5.0, 0, id="it ran longer"),
        pytest.param(updating(), 1, 0.0, 0, id="it had the old template"),
        pytest.param(updating(UpdatePolicy(monitor_s=0)), 2, 0.0, 1, id="no monitor: never ran"),
        pytest.param(updating(UpdatePolicy(monitor_s=0)), 2, 0.1, 0, id="no monitor: it ran"),
    ],
)
def test_which_ends_count_against_a_rollout(
    record: ServiceRecord, version: int, ran_s: float, counted: int
) -> None:
    status = count_failure(record, version, ran_s).update_status
    assert status is not None
    assert status.failed_tasks == counted


def test_without_a_rollout_no_end_counts() -> None:
    for record in (a_record(), updating(state=U.COMPLETED)):
        assert count_failure(record, record.template_version, 0.0) is record


def test_a_rollback_goes_by_its_own_policy() -> None:
    spec = a_spec(update=UpdatePolicy(delay_s=1), rollback=UpdatePolicy(delay_s=7))
    record = an_updated_record(spec, spec, U.ROLLBACK_STARTED)
    assert (active_policy(record).delay_s, settle_s(record)) == (7, 7)
    record = an_updated_record(spec, spec, U.UPDATING)
    assert (active_policy(record).delay_s, settle_s(record)) == (1, 1)
    assert settle_s(an_updated_record(spec, spec)) == 0.0
