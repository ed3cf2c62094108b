"""When a batch of statuses leaves."""

from berth.model.instant import NEVER
from nodeagent.link.reporter import CAP_S, PASSING_S, QUIET_S, Reporter


def test_a_batch_leaves_after_a_short_quiet():
    reporter = Reporter()
    assert reporter.due_at() == NEVER
    reporter.note(["t1"], 10.0)
    assert reporter.due_at() == 10.0 + QUIET_S


def test_a_stream_of_changes_cannot_put_it_off_for_ever():
    reporter = Reporter()
    for step in range(20):
        reporter.note(["t1"], 10.0 + step * 0.02)
    assert reporter.due_at() == 10.0 + CAP_S


def test_tasks_on_their_way_wait_for_what_follows_up_to_half_a_second():
    reporter = Reporter()
    reporter.note(["t1"], 10.0, are_passing=True)
    reporter.note(["t1", "t2"], 10.3, are_passing=True)
    assert (reporter.due_at(), reporter.has_settled) == (10.0 + PASSING_S, False)
    reporter.note(["t1"], 10.4)
    assert (reporter.due_at(), reporter.has_settled) == (10.4 + QUIET_S, True)
    reporter.note(["t3"], 10.42, are_passing=True)
    assert reporter.due_at() == 10.4 + QUIET_S, "who is on its way holds nobody up"
    assert reporter.take() == ["t1", "t2", "t3"]
    assert not reporter.has_settled


def test_each_task_is_in_it_once_and_a_new_batch_begins_after():
    reporter = Reporter()
    for name in ("t1", "t2", "t1"):
        reporter.note([name], 10.0)
    assert reporter.take() == ["t1", "t2"]
    assert (len(reporter), reporter.due_at()) == (0, NEVER)
    reporter.note(["t3"], 20.0)
    assert reporter.due_at() == 20.0 + QUIET_S
