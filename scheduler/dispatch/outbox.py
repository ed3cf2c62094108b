"""What waits to be sent to one node: merged, so that a slow agent costs memory only once a task.

Duty: gather assignments and turn them into the next message. Not here: when a message may leave
(the leader puts things in only once they are durable), the stream (service).
"""

import asyncio
from collections.abc import Collection, Mapping

from berth.model.ids import Epoch, NodeId, Revision, ServiceId, TaskId
from berth.v1 import dispatcher_pb2 as pb
from scheduler.dispatch.files import FileBatch, HeldFiles
from scheduler.dispatch.seen_templates import SeenTemplates


class Outbox:
    """The messages of one session, in order; `take` is for its single writer."""

    def __init__(self, node: NodeId, epoch: Epoch) -> None:
        self._node = node
        self._epoch = epoch
        self._revision = Revision(0)
        self._ready = asyncio.Event()
        self._direct: list[pb.SchedulerMessage | FileBatch] = []
        self._tasks: dict[TaskId, bytes] = {}
        """As `told_tasks` makes them: parsed all at once when they leave."""
        self._templates: dict[tuple[ServiceId, int], bytes] = {}
        """As `told_templates` makes them."""
        self._forgotten: dict[TaskId, None] = {}
        self._purged: list[str] = []
        self._is_complete = False
        self._has_assignments = False
        self._sequence = 0
        self.seen_templates = SeenTemplates()
        """Templates that are sent or waiting; the leader consults it when it prepares a message."""
        self.files = HeldFiles()
        self.is_closed = False

    def put(
        self,
        revision: Revision,
        tasks: Mapping[TaskId, bytes],
        templates: Mapping[tuple[ServiceId, int], bytes],
        forgotten: Collection[TaskId],
        *,
        complete: bool = False,
    ) -> None:
        """Add assignments; `complete` makes them the whole truth and drops what waited before."""
        if complete:
            self._tasks.clear()
            self._forgotten.clear()
            self._is_complete = True
        self._tasks.update(tasks)
        self._templates.update(templates)
        for task_id in forgotten:
            self._tasks.pop(task_id, None)
            self._forgotten[task_id] = None
        self._revision = max(self._revision, revision)
        self._has_assignments = True
        self._ready.set()

    def purge(self, revision: Revision, task_ids: list[str]) -> None:
        """Have the containers of ended tasks removed."""
        self._purged += task_ids
        self._revision = max(self._revision, revision)
        self._has_assignments = True
        self._ready.set()

    def put_message(self, message: pb.SchedulerMessage | FileBatch) -> None:
        """Add a message that is not merged with others: settings, log requests, files."""
        self._direct.append(message)
        self._ready.set()

    def close(self) -> None:
        """End the session: the writer sends what waits and stops."""
        self.is_closed = True
        self._ready.set()

    async def wait_ready(self) -> None:
        """Wait until there is something to send or the session has ended."""
        await self._ready.wait()

    def take(self) -> list[pb.SchedulerMessage]:
        """Return what is to be sent now, in order; empty when the session has ended."""
        self._ready.clear()
        direct, self._direct = self._direct, []
        messages = [each.message() if isinstance(each, FileBatch) else each for each in direct]
        for message in messages:
            message.node_id, message.epoch = self._node, self._epoch
        if self._has_assignments:
            self._sequence += 1
            message = pb.SchedulerMessage(
                node_id=self._node,
                epoch=self._epoch,
                revision=self._revision,
                assignments=pb.Assignments(
                    complete=self._is_complete,
                    sequence=self._sequence,
                    forgotten=self._forgotten,
                    purged=self._purged,
                ),
            )
            entries = (*self._templates.values(), *self._tasks.values())
            message.assignments.MergeFromString(b"".join(entries))
            messages.append(message)
            self._tasks.clear()
            self._templates.clear()
            self._forgotten.clear()
            self._purged.clear()
            self._is_complete = self._has_assignments = False
        return messages
