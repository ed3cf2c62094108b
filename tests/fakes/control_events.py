"""The part of the fake Control servicer that tells of events.

Duty: a chronicle that tests write, told as a scheduler tells it, with ends where tests want them.
Not here: which changes are events (the real scheduler.core.events).
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from berth.errors import UnavailableError
from berth.v1 import control_pb2 as pb


class FakeEvents:
    """Mixed into `FakeControl`, whose `_note` it uses."""

    def __init__(self) -> None:
        super().__init__()
        self.epoch = 7
        self.happened: list[pb.Event] = []
        self.objects_from_ns = 0
        self.tasks_from_ns = 0
        self.watching = 0
        """How many streams are followed."""
        self.events_asked: list[pb.WatchEventsRequest] = []
        self._at_ns = 1_000
        self._wakers: set[asyncio.Event] = set()
        self._streams_ended = 0

    def happen(self, kind: str, action: str, subject: str, **attributes: str) -> int:
        """Note an event of an object; return its time."""
        event = pb.Event()
        event.object.kind, event.object.action, event.object.id = kind, action, subject
        event.object.attributes.update({"name": subject, **attributes})
        return self._has_happened(event, event.object)

    def task_happens(
        self, task: str, before: int | None, after: int | None, *, service: str = "web"
    ) -> int:
        """Note that a task that is wanted to run went from one observed state to another."""
        event = pb.Event()
        told = event.task
        told.id, told.service_id, told.service_name = task, f"{service}id", service
        told.slot, told.is_numbered, told.node_id, told.image = 1, True, "n1", "app:1"
        if before is not None:
            told.observed_before, told.desired_before = before, 512
        if after is not None:
            told.observed, told.desired = after, 512
        return self._has_happened(event, told)

    def _has_happened(self, event: pb.Event, told: Any) -> int:
        self._at_ns += 1
        told.time_ns = self._at_ns
        self.happened.append(event)
        self._wake()
        return self._at_ns

    def another_leads(self, *, at_ns: int) -> None:
        """End all streams; a new leader knows objects of old and tasks from `at_ns` on."""
        self.epoch += 1
        self.tasks_from_ns = at_ns
        self._at_ns = at_ns
        self.happened = [event for event in self.happened if event.HasField("object")]
        self.end_streams()

    def end_streams(self) -> None:
        """End all streams, though nothing else has changed."""
        self._streams_ended += 1
        self._wake()

    def _wake(self) -> None:
        for waker in self._wakers:
            waker.set()

    async def WatchEvents(  # noqa: N802 - gRPC's name
        self, request: Any, context: Any
    ) -> AsyncIterator[Any]:
        self._note("WatchEvents", request)
        self.events_asked.append(request)
        ended = self._streams_ended
        objects_ns = tasks_ns = request.since_ns - 1 if request.since_ns else self._at_ns
        if request.epoch not in (0, self.epoch):
            objects_ns, tasks_ns = request.told_object_ns, 0
        first = self._batch(min(objects_ns, tasks_ns))
        known = [event.object.time_ns for event in self.happened if event.HasField("object")]
        first.newest_object_ns = max(known, default=0)
        yield first
        waker = asyncio.Event()
        self._wakers.add(waker)
        self.watching += request.follow
        try:
            while True:
                waker.clear()
                batch = self._news(objects_ns, tasks_ns, with_tasks=request.with_tasks)
                if batch.events:
                    yield batch
                objects_ns = tasks_ns = batch.position_ns
                if not request.follow:
                    return
                if objects_ns == self._at_ns and ended == self._streams_ended:
                    await waker.wait()
                if ended != self._streams_ended:
                    raise UnavailableError("the leader is gone")
        finally:
            self._wakers.discard(waker)
            self.watching -= request.follow

    def _news(self, objects_ns: int, tasks_ns: int, *, with_tasks: bool) -> pb.EventBatch:
        batch = self._batch(self._at_ns)
        for event in self.happened:
            if event.HasField("object"):
                is_new = event.object.time_ns > objects_ns
            else:
                is_new = with_tasks and event.task.time_ns > tasks_ns
            if is_new:
                batch.events.append(event)
        return batch

    def _batch(self, position_ns: int) -> pb.EventBatch:
        return pb.EventBatch(
            epoch=self.epoch,
            position_ns=position_ns,
            objects_from_ns=self.objects_from_ns,
            tasks_from_ns=self.tasks_from_ns,
        )

    def _note(self, call: str, request: Any) -> None:
        raise NotImplementedError
