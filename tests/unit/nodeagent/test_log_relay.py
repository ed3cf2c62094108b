"""Answers to requests for logs: batches, errors, cancelling, a slow reader."""

import asyncio

from berth.errors import RetryRule, UnavailableError
from berth.model.ids import NodeId, TaskId
from nodeagent.core.messages import LogsRequested
from nodeagent.log_relay import BATCH_BYTES_MAX, LogRelay
from nodeagent.runtime.port import ContainerLogLine, RuntimeCallError
from tests.fakes.virtual_time import VirtualClock, run_virtually
from tests.unit.nodeagent.core.builders import seen


class Runtime:
    """Has the logs that a test gives it: (delay before the line, data)."""

    def __init__(self, **logs):
        self.logs_of = logs
        self.read = 0
        self.asked = []
        self.attributes = ""

    async def inspect_task(self, task_id):
        return seen(name=task_id) if task_id in self.logs_of else None

    async def logs(self, container_id, options):
        self.asked.append(options)
        for delay_s, data in self.logs_of[container_id.removeprefix("c-")]:
            if delay_s:
                await asyncio.sleep(delay_s)
            if isinstance(data, Exception):
                raise data
            self.read += 1
            yield ContainerLogLine(False, 7, data, self.attributes)


class Publisher:
    def __init__(self, pause_s=0.0, breaks_after=None):
        self.chunks = []
        self.arrived_at = []
        self.pause_s = pause_s
        self.breaks_after = breaks_after

    async def publish(self, address, chunks):
        async for chunk in chunks:
            self.chunks.append(chunk)
            self.arrived_at.append(VirtualClock().instant())
            if self.breaks_after is not None and len(self.chunks) > self.breaks_after:
                raise UnavailableError("the leader is gone")
            await asyncio.sleep(self.pause_s)

    def lines(self, task_id):
        lines = [line for chunk in self.chunks for line in chunk.lines]
        return [line.data for line in lines if line.task_id == task_id]


def serve(runtime, publisher, request, *, cancel_after_s=None):
    async def run():
        relay = LogRelay(node_id=NodeId("n1"), runtime=runtime, publisher=publisher)
        async with asyncio.TaskGroup() as group:
            relay.begin(group, request, "s:1")
            relay.begin(group, request, "s:1")  # Asked again: served once.
            if cancel_after_s is not None:
                await asyncio.sleep(cancel_after_s)
                relay.cancel(request.request_id)
                relay.cancel("unknown")

    run_virtually(run())


def a_request(*task_ids, **fields):
    return LogsRequested("r1", tuple(TaskId(name) for name in task_ids), **fields)


def test_lines_of_several_tasks_arrive_in_order_and_the_end_is_told():
    runtime = Runtime(a=[(0, b"1\n"), (0, b"2\n")], b=[(0, b"x\n")])
    publisher = Publisher()
    serve(runtime, publisher, a_request("a", "b", tail=5, stderr=False))
    assert (publisher.chunks[0].request_id, publisher.chunks[0].node_id) == ("r1", "n1")
    assert publisher.lines("a") == [b"1\n", b"2\n"]
    assert publisher.lines("b") == [b"x\n"]
    assert [chunk.done for chunk in publisher.chunks].count(True) == 1
    assert publisher.chunks[-1].done
    assert (runtime.asked[0].tail, runtime.asked[0].stderr) == (5, False)


def test_a_task_that_cannot_be_read_is_named_and_the_others_go_on():
    broken = RuntimeCallError("logging driver does not support reading", retry=RetryRule.NEVER)
    runtime = Runtime(a=[(0, b"1\n"), (0, broken)], b=[(1, b"x\n")])
    publisher = Publisher()
    serve(runtime, publisher, a_request("gone", "a", "b"))
    errors = " ".join(chunk.error for chunk in publisher.chunks)
    assert "task gone: its container is gone from node n1" in errors
    assert "task a: logging driver does not support reading" in errors
    assert publisher.lines("b") == [b"x\n"]
    assert publisher.chunks[-1].done


def test_lines_are_batched_for_a_tenth_of_a_second():
    runtime = Runtime(a=[(0.02, b"line\n")] * 20)  # 0.4 s of lines
    publisher = Publisher()
    serve(runtime, publisher, a_request("a"))
    batches = [len(chunk.lines) for chunk in publisher.chunks if chunk.lines]
    assert sum(batches) == 20
    assert 3 <= len(batches) <= 6


def test_a_full_batch_leaves_at_once():
    runtime = Runtime(a=[(0, b"x" * 10_000)] * 40)
    publisher = Publisher()
    serve(runtime, publisher, a_request("a"))
    sizes = [sum(len(line.data) for line in chunk.lines) for chunk in publisher.chunks]
    assert sum(sizes) == 400_000
    assert max(sizes) <= BATCH_BYTES_MAX + 10_000


def test_what_a_log_driver_adds_counts_as_well():
    runtime = Runtime(a=[(0, b"x\n")] * 100)
    runtime.attributes = "k=" + "v" * 10_000
    publisher = Publisher()
    serve(runtime, publisher, a_request("a", details=True))
    sizes = [sum(len(line.attributes) for line in chunk.lines) for chunk in publisher.chunks]
    assert max(sizes) <= BATCH_BYTES_MAX + 10_002


def test_a_slow_reader_slows_the_reading_down():
    runtime = Runtime(a=[(0, b"x" * 20_000)] * 5000)
    publisher = Publisher(pause_s=10.0)
    serve(runtime, publisher, a_request("a"), cancel_after_s=15.0)
    assert runtime.read < 300


def test_a_cancelled_answer_ends_without_done():
    runtime = Runtime(a=[(1.0, b"tick\n")] * 1000)
    publisher = Publisher()
    serve(runtime, publisher, a_request("a", follow=True), cancel_after_s=5.5)
    assert len(publisher.lines("a")) == 5
    assert not any(chunk.done for chunk in publisher.chunks)


def test_a_leader_that_goes_away_ends_the_answer():
    runtime = Runtime(a=[(1.0, b"tick\n")] * 1000)
    publisher = Publisher(breaks_after=2)
    serve(runtime, publisher, a_request("a", follow=True))
    assert runtime.read < 5
