"""What the agent does now and then: tell changed facts, write its journal."""

from dataclasses import replace
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from berth.model.ids import TaskId
from berth.model.task import TaskState
from nodeagent.journal_keeper import RETRY_S
from tests.fakes.fake_journal import FakeJournal
from tests.unit.nodeagent.bench import Bench, a_task, a_template, virtually


class TimedJournal(FakeJournal):
    """Remembers when it was written."""

    def __init__(self, clock) -> None:
        super().__init__()
        self.clock = clock
        self.saved_at: list[float] = []

    async def save(self, record) -> None:
        await super().save(record)
        self.saved_at.append(self.clock.instant())


@virtually
async def test_changed_facts_are_told_within_half_a_minute():
    bench = Bench()
    async with bench.agent():
        await bench.joined()
        began = bench.clock.instant()
        for engine_version in ("29.0", "29.1"):
            bench.runtime.description = replace(
                bench.runtime.description, engine_version=engine_version
            )
            await bench.until(
                lambda wanted=engine_version: any(
                    message.description.engine_version == wanted
                    for message in bench.link.stream.received
                ),
                "the new version",
            )
            told_after_s = bench.clock.instant() - began
            assert told_after_s == pytest.approx(30.0, abs=0.1)
            began = bench.clock.instant()
        await bench.clock.sleep(100)
        assert bench.link.stream.kinds().count("description") == 2  # What did not change is not.


@virtually
async def test_statuses_of_a_moment_are_journalled_together():
    bench = Bench()
    bench.journal = TimedJournal(bench.clock)
    async with bench.agent():
        await bench.joined()
        tasks = [a_task(number) for number in range(1, 5)]
        bench.link.assign(*tasks, templates=(a_template(),), is_complete=True)
        await bench.told("task4", TaskState.RUNNING)
        await bench.clock.sleep(4)
        bench.journal.saved_at.clear()
        began = bench.clock.instant()
        for number in (1, 2, 3):  # Over 0.12 s: one moment.
            bench.host.exit_now(TaskId(f"task{number}"), 1)
            await bench.clock.sleep(0.06)
        await bench.clock.sleep(3)
        (saved_at,) = bench.journal.saved_at
        assert saved_at - began == pytest.approx(0.2, abs=0.02)
        bench.host.exit_now(TaskId("task4"), 1)
        await bench.clock.sleep(3)
        assert len(bench.journal.saved_at) == 2


@virtually
async def test_it_is_journalled_that_a_leader_is_at_hand_while_a_service_asks_for_fencing():
    """So an agent that dies knows later when a leader was there last; others write nothing."""
    bench = Bench()
    bench.journal = TimedJournal(bench.clock)
    fenced = a_template(service_labels={"berth.fence": "after:30s"})

    async def pauses_s(over_s: float = 31.0) -> list[float]:
        await bench.clock.sleep(4)  # What was asked for is written.
        bench.journal.saved_at.clear()
        await bench.clock.sleep(over_s)
        saved_at = bench.journal.saved_at
        return [after - before for before, after in pairwise(saved_at)]

    async with bench.agent():
        await bench.joined()
        bench.link.assign(a_task(1), templates=(a_template(),), is_complete=True)
        await bench.told("task1", TaskState.RUNNING)
        assert await pauses_s() == []
        assert bench.journal.saved_at == []
        bench.link.assign(a_task(2), templates=(fenced,))  # It waits without a timer by now.
        await bench.told("task2", TaskState.RUNNING)
        assert await pauses_s() == pytest.approx([5.2] * 5, abs=0.1)
        bench.link.stream.break_off()
        await bench.until(lambda: len(bench.link.streams) == 2, "another session")
        await bench.joined()
        assert len(await pauses_s()) >= 4, "and again once there is a leader"


@virtually
async def test_a_journal_that_could_not_be_written_is_written_once_it_can_be():
    bench = Bench()
    async with bench.agent() as agent:
        await bench.joined()
        bench.journal.fails = True
        bench.link.assign(a_task(1), templates=(a_template(),), is_complete=True)
        await bench.told("task1", TaskState.RUNNING)
        await bench.clock.sleep(60)
        why = "the journal cannot be written: No space left on device"
        assert agent.problems == {"journal": why}
        bench.journal.fails = False
        await bench.clock.sleep(RETRY_S + 0.5)  # Nothing happens meanwhile that asks for it.
        assert [task.assignment.task_id for task in bench.journal.load().tasks] == ["task1"]
        assert agent.problems == {}
        saves = bench.journal.saves
        await bench.clock.sleep(60)
        assert bench.journal.saves == saves


@virtually
async def test_a_full_disk_is_logged_once():
    bench = Bench()
    with capture_logs() as lines:
        async with bench.agent():
            await bench.joined()
            bench.journal.fails = True
            bench.link.assign(a_task(1), templates=(a_template(),), is_complete=True)
            await bench.clock.sleep(60)
            bench.journal.fails = False
            await bench.clock.sleep(RETRY_S + 0.5)
    told = [(it["event"], it["log_level"]) for it in lines if "journal" in it["event"]]
    assert [it for it in told if it[1] != "debug"] == [
        ("journal_not_written", "error"),
        ("journal_written_again", "info"),
    ]
