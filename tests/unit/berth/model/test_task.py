"""Who may take a task from which state to which."""

import itertools

import pytest

from berth.model.task import TRANSITIONS_BY_OWNER, Owner, TaskState, is_legal

S = TaskState


@pytest.mark.parametrize(
    ("owner", "old", "new", "legal"),
    [
        pytest.param(Owner.LEADER, S.PENDING, S.ASSIGNED, True, id="the leader places"),
        pytest.param(Owner.AGENT, S.PENDING, S.ASSIGNED, False, id="an agent does not"),
        pytest.param(Owner.AGENT, S.ASSIGNED, S.RUNNING, True, id="an agent may skip states"),
        pytest.param(Owner.AGENT, S.RUNNING, S.FAILED, True, id="an agent sees it fail"),
        pytest.param(Owner.LEADER, S.RUNNING, S.FAILED, False, id="the leader sees nothing"),
        pytest.param(Owner.LEADER, S.RUNNING, S.ORPHANED, True, id="the leader gives it up"),
        pytest.param(Owner.AGENT, S.RUNNING, S.REJECTED, False, id="what ran was not rejected"),
        pytest.param(Owner.AGENT, S.FAILED, S.RUNNING, False, id="what has ended stays so"),
    ],
)
def test_transitions(owner: Owner, old: TaskState, new: TaskState, legal: bool) -> None:
    assert is_legal(owner, old, new) is legal


@pytest.mark.parametrize("owner", list(Owner))
def test_states_only_rise_and_what_has_ended_stays_so(owner: Owner) -> None:
    for old, new in itertools.product(S, S):
        if is_legal(owner, old, new):
            assert new > old
            assert not old.is_terminal


def test_from_every_state_in_which_a_task_lives_it_can_end() -> None:
    for state in (s for s in S if not s.is_terminal and s >= S.ASSIGNED):
        for owner in Owner:
            assert any(new.is_terminal for new in TRANSITIONS_BY_OWNER[owner][state])
