"""The agent's metrics: closed label sets, full sentences, and the numbers that they are told."""

from prometheus_client import CollectorRegistry

from berth.model.task import TaskState
from nodeagent.metrics import REFUSAL_REASONS, AgentMetrics
from nodeagent.runtime.observer import CallOutcome, PullOutcome


def test_numbers_are_kept():
    registry = CollectorRegistry()
    metrics = AgentMetrics(registry)
    metrics.session_opened(7)
    metrics.message_refused("stale_epoch")
    metrics.restarted()
    metrics.task_failed()
    metrics.journal_written(0.01, True)
    metrics.journal_written(0.0, False)
    metrics.swept(3, 1000)
    metrics.call("start", 0.2, CallOutcome.OK)
    metrics.pull(2.0, 500, PullOutcome.PULLED)
    metrics.watch_tasks(lambda: {**dict.fromkeys(TaskState, 0), TaskState.RUNNING: 4})
    value = registry.get_sample_value
    assert value("berth_agent_connected") == 1
    metrics.engine_seen(True)
    assert value("berth_agent_engine_up") == 1
    metrics.engine_seen(False)
    assert value("berth_agent_engine_up") == 0
    assert value("berth_agent_epoch") == 7
    assert value("berth_agent_refused_messages_total", {"reason": "stale_epoch"}) == 1
    assert value("berth_agent_restarts_total") == 1
    assert value("berth_agent_task_failures_total") == 1
    assert value("berth_agent_journal_write_seconds_count") == 1
    assert value("berth_agent_journal_failures_total") == 1
    assert value("berth_agent_swept_containers_total") == 3
    assert value("berth_agent_pulls_total", {"outcome": "pulled"}) == 1
    assert value("berth_agent_pulled_bytes_total") == 500
    labels = {"call": "start", "outcome": "ok"}
    assert value("berth_agent_engine_call_seconds_count", labels) == 1
    assert value("berth_agent_tasks", {"state": "running"}) == 4
    metrics.session_closed()
    assert value("berth_agent_connected") == 0


def test_every_help_text_is_a_sentence_and_every_reason_is_there_from_the_start():
    registry = CollectorRegistry()
    AgentMetrics(registry)
    for family in registry.collect():
        assert family.name.startswith("berth_")
        assert family.documentation[0].isupper() or family.documentation[0].isdigit()
        assert family.documentation.endswith(".")
    for reason in REFUSAL_REASONS:
        sample = registry.get_sample_value("berth_agent_refused_messages_total", {"reason": reason})
        assert sample == 0
