"""Restart delays and attempts, against brute force over the whole history of a slot."""

import itertools
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from berth.model.backoff import ends_in_row, restart_delay_s
from berth.model.defaults import RESTART_BACKOFF_MAX_S, effective_restart
from berth.model.instant import Timestamp
from berth.model.service import RestartCondition, RestartPolicy
from berth.model.task import FinishedTask, TaskState
from scheduler.core.history import entries_to_keep, trim
from scheduler.core.restart import GiveUp, Restart, plan_restart
from tests.unit.scheduler.core.builders import NOW, ended

S = TaskState
DELAYS_S = st.sampled_from((0.0, 0.5, 1.0, 5.0, 45.0, 90.0))
POLICIES = st.builds(
    RestartPolicy,
    st.sampled_from((None, *RestartCondition)),
    st.one_of(st.none(), DELAYS_S),
    st.sampled_from((None, 0, 1, 2, 3, 6)),
    st.sampled_from((None, 0.0, 10.0, 60.0)),
)
ENDS = st.tuples(
    st.sampled_from((S.FAILED, S.COMPLETE, S.REJECTED, S.SHUTDOWN)),
    st.sampled_from((0.0, 3.0, 20.0, 2000.0)),  # How long it ran.
    st.sampled_from((1, 1, 1, 2)),  # Its template.
)


Ends = list[tuple[TaskState, float, int]]


def is_attempt(entry: FinishedTask) -> bool:
    """A replacement that was called off before it ran is none."""
    return entry.state is not S.SHUTDOWN or entry.ran_s > 0


def history_of(ends: Ends, policy: RestartPolicy) -> list[FinishedTask]:
    """Return what a slot's history would be, the newest end now."""
    delay_s = effective_restart(policy).delay_s
    entries: list[FinishedTask] = []
    at = 0.0
    for attempt, (state, ran_s, version) in enumerate(ends, start=1):
        counts = state is not S.SHUTDOWN
        row = 0
        if counts:
            before = next(filter(is_attempt, reversed(entries)), None)
            in_row = before.ends_in_row if before and before.template_version == version else 0
            row = ends_in_row(in_row, ran_s, delay_s)
        entry = ended(state, attempt=attempt, version=version, row=row, counts=counts)
        at += ran_s + 1.0
        entries.append(replace(entry, finished_at=Timestamp(at), ran_s=ran_s))
    return [
        replace(entry, finished_at=Timestamp(NOW.timestamp - (at - entry.finished_at)))
        for entry in entries
    ]


@given(delay_s=DELAYS_S, before=st.integers(1, 60))
@settings(max_examples=100)
def test_a_delay_never_falls_within_a_row_and_is_capped(delay_s: float, before: int) -> None:
    delays = [restart_delay_s(delay_s, ends) for ends in range(1, before + 2)]
    assert all(shorter <= longer for shorter, longer in itertools.pairwise(delays))
    assert max(delays) <= max(RESTART_BACKOFF_MAX_S, delay_s)
    assert delays[0] == delay_s


@given(ends=st.lists(ENDS, min_size=1, max_size=8), policy=POLICIES, ago_s=st.floats(-100, 200))
@settings(max_examples=300)
def test_the_wait_is_what_is_left_of_the_delay_and_never_more(
    ends: Ends, policy: RestartPolicy, ago_s: float
) -> None:
    history = history_of(ends, policy)
    delay_s = effective_restart(policy).delay_s
    now = Timestamp(NOW.timestamp + ago_s)
    verdict = plan_restart(history, policy, history[-1].template_version, now)
    if isinstance(verdict, GiveUp):
        return
    assert 0.0 <= verdict.wait_s <= verdict.delay_s
    last = next(filter(is_attempt, reversed(history)), None)
    version = history[-1].template_version
    if last is not None and last.counts_as_restart and last.template_version == version:
        assert verdict.delay_s == restart_delay_s(delay_s, last.ends_in_row)
        assert verdict.wait_s == min(
            max(last.finished_at + verdict.delay_s - now, 0.0), verdict.delay_s
        )
    else:
        assert verdict.delay_s == 0.0


@given(ends=st.lists(ENDS, min_size=1, max_size=10), policy=POLICIES)
@settings(max_examples=300)
def test_attempts_are_counted_as_by_brute_force_even_from_a_trimmed_history(
    ends: Ends, policy: RestartPolicy
) -> None:
    history = history_of(ends, policy)
    version = history[-1].template_version
    last = next(filter(is_attempt, reversed(history)), None)
    rules = effective_restart(policy)
    is_over = False
    if last is not None and last.counts_as_restart and last.template_version == version:
        is_over = rules.condition is RestartCondition.NONE or (
            rules.condition is RestartCondition.ON_FAILURE and last.state is S.COMPLETE
        )
        within = 0
        for entry in history:
            is_recent = not rules.window_s or entry.finished_at >= last.finished_at - rules.window_s
            within += entry.counts_as_restart and entry.template_version == version and is_recent
        is_over = is_over or (rules.max_attempts > 0 and within > rules.max_attempts)
    verdict = plan_restart(history, policy, version, NOW.timestamp)
    assert isinstance(verdict, GiveUp) is is_over
    # What the cluster forgets must not give a slot more attempts than it has, but for ends that
    # others asked for in between: they take the place of ends that count.
    kept = trim(history, entries_to_keep(0, policy))
    if all(entry.counts_as_restart and entry.template_version == version for entry in history):
        assert isinstance(plan_restart(kept, policy, version, NOW.timestamp), GiveUp) is is_over


@given(ends=st.lists(ENDS, min_size=1, max_size=8), policy=POLICIES)
@settings(max_examples=100)
def test_another_template_begins_anew(ends: Ends, policy: RestartPolicy) -> None:
    assert plan_restart(history_of(ends, policy), policy, 99, NOW.timestamp) == Restart(0.0, 0.0, 0)
