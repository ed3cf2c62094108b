"""Rollouts on the real core: never too many slots at once, never while paused, and always an end.

A rollout is cut short by new leaders at any turn; after every turn the slots at work are counted
anew, from the tasks alone.
"""

from dataclasses import replace
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from berth.model.service import FailureAction, UpdateOrder, UpdatePolicy
from berth.model.task import Task, TaskState
from scheduler.core import membership
from scheduler.core.rollout import RolloutView, plan_rollout
from scheduler.core.service_record import UpdateState
from tests.builders import a_spec, restart
from tests.unit.scheduler.core.builders import NOW, an_updated_record
from tests.unit.scheduler.core.world import World

S = TaskState
POLICIES = st.builds(
    UpdatePolicy,
    parallelism=st.integers(0, 3),
    delay_s=st.sampled_from((0.0, 1.0, 3.0)),
    monitor_s=st.sampled_from((0.0, 2.0)),
    failure_action=st.sampled_from((FailureAction.PAUSE, FailureAction.ROLLBACK)),
    max_failure_ratio=st.just(0.0),
    order=st.sampled_from(UpdateOrder),
)
STEPS = st.lists(st.sampled_from(("turn", "turn", "wait", "new leader")), max_size=14)


class CountingWorld(World):
    """Counts after each turn how many slots a rollout is at work on."""

    most_at_work = 0

    def turn(self) -> bool:
        moved = super().turn()
        if "web" in self.state.names:
            self.most_at_work = max(self.most_at_work, len(self.at_work()))
        return moved

    def at_work(self) -> set[int]:
        """Slots where the new version is placed and does not run yet, while the old one is up."""
        newest = self.service().record.template_version

        def is_new(task: Task) -> bool:
            return task.template_version == newest and task.is_wanted and task.node_id is not None

        found = set()
        for slot, tasks in self.service().slots.items():
            is_coming = any(is_new(task) and task.observed < S.RUNNING for task in tasks)
            if is_coming and any(task.template_version != newest for task in tasks):
                found.add(int(slot))
        return found


def rolling(policy: UpdatePolicy, replicas: int, image: str) -> CountingWorld:
    world = CountingWorld()
    spec = a_spec(
        replicas=replicas,
        restart=restart(delay_s=1.0),
        update=policy,
        rollback=policy,
    )
    world.create(spec)
    world.settle()
    new = replace(spec.task, container=replace(spec.task.container, image=image))
    world.update("web", replace(spec, task=new))
    return world


def cut_short(world: World, steps: list[str]) -> None:
    for step in steps:
        if step == "wait":
            world.instant += 0.7
            for node in world.nodes.values():
                assert node.session is not None
                membership.hear(world.state, node.id, node.session, world.now.instant)
        elif step == "new leader":
            world.turn()
            world.reload()
        world.turn()


@given(policy=POLICIES, replicas=st.integers(1, 6), steps=STEPS)
@settings(max_examples=60)
def test_a_good_update_ends_however_often_the_leader_changes(
    policy: UpdatePolicy, replicas: int, steps: list[str]
) -> None:
    world = rolling(policy, replicas, "app:2")
    cut_short(world, steps)
    world.pass_time(60, step=1.0)
    assert world.status() == "completed"
    assert len(world.running(image="app:2")) == len(world.tasks()) == replicas
    assert world.most_at_work <= (policy.parallelism or replicas)


@given(policy=POLICIES, replicas=st.integers(1, 6), steps=STEPS, image=st.sampled_from(("bad:2",)))
@settings(max_examples=60)
def test_a_bad_update_never_takes_more_than_its_share_down(
    policy: UpdatePolicy, replicas: int, steps: list[str], image: str
) -> None:
    world = rolling(policy, replicas, image)
    cut_short(world, steps)
    assert len(world.running(image="app:1")) == replicas, "nothing stops without a successor"
    world.pass_time(60, step=1.0)
    is_back = policy.failure_action is FailureAction.ROLLBACK
    assert world.status() == ("rollback_completed" if is_back else "paused")
    assert len(world.running(image="app:1")) == len(world.tasks()) == replicas
    assert world.most_at_work <= (policy.parallelism or replicas)


@given(policy=POLICIES, replicas=st.integers(1, 5), steps=STEPS)
@settings(max_examples=40)
def test_while_it_is_paused_nothing_is_begun(
    policy: UpdatePolicy, replicas: int, steps: list[str]
) -> None:
    policy = replace(policy, failure_action=FailureAction.PAUSE)
    world = rolling(policy, replicas, "bad:2")
    world.pass_time(5)
    assert world.status() == "paused"
    attempts = {task.id for task in world.tasks()}
    cut_short(world, steps)
    world.pass_time(30, step=1.0)
    assert {task.id for task in world.tasks()} == attempts


@given(slots=st.integers(1, 40), allowed=st.integers(0, 40), failures=st.integers(0, 40))
@settings(max_examples=200)
def test_the_ratio_of_failures_is_exact(slots: int, allowed: int, failures: int) -> None:
    ratio = min(allowed, slots) / slots
    policy = UpdatePolicy(failure_action=FailureAction.PAUSE, max_failure_ratio=ratio)
    spec = a_spec(update=policy)
    new = replace(spec, task=a_spec(image="app:2").task)
    record = an_updated_record(spec, new, UpdateState.UPDATING, slots, failures)
    view = RolloutView(
        record=record,
        outdated={1},
        leaving=set(),
        replacing=set(),
        young=set(),
        begun=set(),
        failed=set(),
        may_begin_at=lambda slot: NOW.instant,
        running_since=lambda slots: NOW.instant,
    )
    plan = plan_rollout(view, NOW)
    is_too_many = Fraction(failures, slots) > Fraction(min(allowed, slots), slots)
    assert (plan.begin == ()) is is_too_many
    if is_too_many:
        assert plan.record is not None
        assert plan.record.update_status is not None
        assert plan.record.update_status.state is UpdateState.PAUSED
