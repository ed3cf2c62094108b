"""Configs and secrets on their way to nodes: only what a node's tasks need, once a session.

Duty: remember what a session's node holds and for which tasks, send what is new, withdraw what no
task needs any more. Not here: opening what is sealed (given), when a message may leave (the leader
puts it into the outbox only once what it rests on is durable).
Invariants (tests/unit/scheduler/dispatch/test_files.py): a node is sent a file only while it has a
task that needs it, and each file once until it is withdrawn; a withdrawn file is needed by none.

In the leader's memory files rest sealed. They are opened once a turn for all nodes that need them,
shared by their outboxes, and copied into a message only when that is about to be sent.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from berth.model.files import FileKey, FilePayload, file_keys
from berth.model.ids import ServiceId, TaskId
from berth.model.task import Task
from berth.v1 import dispatcher_pb2, types_pb2
from berth.wire.convert import to_proto
from scheduler.core.files import FileRecord, FileShelf
from scheduler.core.service_state import ServiceState

FileOpener = Callable[[FileRecord], FilePayload]

MESSAGE_BYTES: Final = 2 * 1024 * 1024
"""About how much one message carries; a single file is never cut."""


def cannot_open(record: FileRecord) -> FilePayload:
    """Open nothing: the `FileOpener` of a leader without a key."""
    problem = "this scheduler has no key to open it with"
    return FilePayload(record.kind, record.id, record.name, problem=problem)


@dataclass(frozen=True, slots=True)
class FileBatch:
    """What one message will carry."""

    payloads: tuple[types_pb2.FilePayload, ...] = field(default=(), repr=False)
    withdrawn: tuple[FileKey, ...] = ()

    def message(self) -> dispatcher_pb2.SchedulerMessage:
        """Return the message."""
        files = dispatcher_pb2.Files(payloads=self.payloads)
        for kind, file_id in self.withdrawn:
            files.withdrawn.add(kind=kind.value, id=file_id)
        return dispatcher_pb2.SchedulerMessage(files=files)


class HeldFiles:
    """What one session's node holds."""

    def __init__(self) -> None:
        self._tasks: dict[TaskId, tuple[FileKey, ...]] = {}
        self._users: dict[FileKey, int] = {}

    def need(self, task: TaskId, keys: tuple[FileKey, ...]) -> list[FileKey]:
        """Note that a task needs files; return those that the node does not hold yet."""
        if not keys or task in self._tasks:  # A task's template never changes.
            return []
        self._tasks[task] = keys
        fresh = [key for key in keys if key not in self._users]
        for key in keys:
            self._users[key] = self._users.get(key, 0) + 1
        return fresh

    def release(self, task: TaskId) -> list[FileKey]:
        """Note that a task is over; return what no other needs."""
        withdrawn = []
        for key in self._tasks.pop(task, ()):
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key]
                withdrawn.append(key)
        return withdrawn


class FilePost:
    """Makes the messages of one leadership."""

    def __init__(self, shelf: FileShelf, open_file: FileOpener) -> None:
        self._shelf = shelf
        self._open = open_file
        self._opened: dict[FileKey, types_pb2.FilePayload] = {}

    def batches(
        self,
        held: HeldFiles,
        services: Mapping[ServiceId, ServiceState],
        tasks: Iterable[Task],
        forgotten: Iterable[TaskId],
    ) -> list[FileBatch]:
        """Return what a node must be sent so that it can make `tasks`.

        Args:
            held: what its session holds; changed.
            services: by ID.
            tasks: that it is told of now.
            forgotten: that it is told to forget.
        """
        fresh: list[FileKey] = []
        for task in tasks:
            if task.is_wanted and task.is_alive:
                template = services[task.service_id].record.templates[task.template_version]
                fresh += held.need(task.id, file_keys(template.task.container))
        withdrawn = [key for task_id in forgotten for key in held.release(task_id)]
        batches = [FileBatch(withdrawn=tuple(withdrawn))] if withdrawn else []
        together: list[types_pb2.FilePayload] = []
        size = 0
        for key in fresh:
            payload = self._payload(key)
            if together and size + len(payload.data) > MESSAGE_BYTES:
                batches.append(FileBatch(tuple(together)))
                together, size = [], 0
            together.append(payload)
            size += len(payload.data)
        return [*batches, FileBatch(tuple(together))] if together else batches

    def forget_opened(self) -> None:
        """Let go of what was opened for many nodes at once."""
        self._opened.clear()

    def _payload(self, key: FileKey) -> types_pb2.FilePayload:
        found = self._opened.get(key)
        if found is None:
            record = self._shelf.get(key)
            if record is None:
                gone = FilePayload(*key, problem="it was removed from the cluster")
                found = to_proto(gone)
            else:
                found = to_proto(self._open(record))
            self._opened[key] = found
        return found
