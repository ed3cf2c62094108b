"""The Control API's call about events, as a part of `berth.client.ControlClient`.

Duty: the typed stream. Events are read by hand and not by `berth.wire.convert`, since they come by
the hundred thousand. Not here: how a call reaches a scheduler (berth.client), going on after a
stream has broken (gateway.events).
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Protocol

from berth.model.events import ObjectEvent
from berth.model.ids import Epoch, NodeId, ServiceId, TaskId
from berth.model.task import TaskState
from berth.scheduler_calls import Calls
from berth.v1 import control_pb2
from berth.views import EventBatch, TaskEvent


class _Caller(Protocol):
    _calls: Calls


class EventCalls:
    """Mixed into `ControlClient`."""

    async def watch_events(
        self: _Caller,
        *,
        since_ns: int = 0,
        follow: bool,
        with_tasks: bool,
        epoch: int = 0,
        told_object_ns: int = 0,
    ) -> AsyncGenerator[EventBatch, None]:
        """Yield what happened; the first batch comes at once and has no events.

        Args:
            since_ns: tell of events at this time and later; 0 = of those from now on.
            follow: go on with what happens, until the leader changes.
            with_tasks: tell of tasks too.
            epoch: of the batch that an earlier stream ended with, for one who goes on.
            told_object_ns: the newest event of an object that it brought, or began after.

        Raises:
            BerthError: a refusal, or the stream broke; a new one can go on from `position_ns`.
        """
        request = control_pb2.WatchEventsRequest(
            since_ns=since_ns,
            follow=follow,
            with_tasks=with_tasks,
            epoch=epoch,
            told_object_ns=told_object_ns,
        )
        messages: Any = self._calls.stream("WatchEvents", request)
        async with aclosing(messages) as opened:
            async for message in opened:
                yield _read_batch(message)


def _read_batch(message: control_pb2.EventBatch) -> EventBatch:
    return EventBatch(
        epoch=Epoch(message.epoch),
        position_ns=message.position_ns,
        objects_from_ns=message.objects_from_ns,
        tasks_from_ns=message.tasks_from_ns,
        newest_object_ns=message.newest_object_ns,
        events=tuple(
            _read_task(event.task) if event.HasField("task") else _read_object(event.object)
            for event in message.events
        ),
    )


def _read_object(event: Any) -> ObjectEvent:
    return ObjectEvent(event.time_ns, event.kind, event.action, event.id, dict(event.attributes))


def _read_task(event: control_pb2.TaskEvent) -> TaskEvent:
    was_there, is_there = event.HasField("observed_before"), event.HasField("observed")
    return TaskEvent(
        time_ns=event.time_ns,
        id=TaskId(event.id),
        service_id=ServiceId(event.service_id),
        service_name=event.service_name,
        slot=event.slot,
        is_numbered=event.is_numbered,
        node_id=NodeId(event.node_id),
        image=event.image,
        observed_before=TaskState(event.observed_before) if was_there else None,
        desired_before=TaskState(event.desired_before) if was_there else None,
        observed=TaskState(event.observed) if is_there else None,
        desired=TaskState(event.desired) if is_there else None,
        error=event.error,
        exit_code=event.exit_code if event.HasField("exit_code") else None,
    )
