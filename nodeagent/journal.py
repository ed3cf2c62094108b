"""The journal: last assignments on disk, so that a restart of the agent changes nothing.

Duty: a `JournalRecord` as one file that is either the old or the new one, never a mixture.
Not here: what is recorded (nodeagent.core.record), when (nodeagent.agent).
Invariants (tests/contract/test_journal.py): what `save` wrote, `load` returns; a file that is cut
short, changed or of a newer format is moved aside and never half believed.

The journal holds no registry credentials: after a restart without a leader, a pull that needs some
waits for the leader.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import structlog
from google.protobuf import json_format
from google.protobuf.message import Message

from berth.model.cluster import ClusterSettings
from berth.model.ids import ServiceId, TaskId
from berth.model.instant import Timestamp
from berth.model.task import TaskState
from berth.wire.convert import from_proto, message_class, to_proto
from nodeagent.core.messages import TaskAssignment, TaskTemplate
from nodeagent.core.record import JournalRecord, TaskRecord
from nodeagent.core.state import Phase, StopReason
from nodeagent.runtime.port import PulledImage

log = structlog.get_logger(__name__)

FORMAT = 1

_NO_FIX = "none needed: containers are found by label, the leader tells the rest"


class Journal(Protocol):
    """Where an agent's record is kept."""

    def load(self) -> JournalRecord | None:
        """Return the last record saved, or None when there is none that can be believed."""
        ...

    async def save(self, record: JournalRecord) -> None:
        """Replace the record.

        Raises:
            OSError: it could not be written; the old one still holds.
        """
        ...


class FileJournal:
    """The journal as a file; writing happens in a thread, so that a slow disk delays nobody."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._encoder = JournalEncoder()
        self._begun = self._written = 0
        self._writing = threading.Lock()

    def load(self) -> JournalRecord | None:
        """Read the file; move it aside when it cannot be believed."""
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            log.error("journal_unreadable", why=str(error), fix=f"{_NO_FIX}; mend the disk")
            return None
        try:
            return decode(text)
        except (ValueError, KeyError, TypeError, json_format.ParseError) as error:
            aside = self._path.with_suffix(f".unreadable-{self._path.stat().st_mtime_ns}")
            self._path.replace(aside)
            log.error(
                "journal_unreadable",
                why=str(error),
                moved_to=str(aside),
                fix=_NO_FIX,
            )
            return None

    async def save(self, record: JournalRecord) -> None:
        """Write a new file and put it in the old one's place."""
        self._begun += 1
        await asyncio.to_thread(self._write, self._begun, self._encoder.encode(record))

    def _write(self, number: int, content: bytes) -> None:
        # The thread of a save that was cancelled writes on: two in one file would spoil it, and an
        # old record must not follow a newer one.
        with self._writing:
            if number > self._written:
                write_atomically(self._path, content)
                self._written = number


def write_atomically(path: Path, content: bytes) -> None:
    """Replace the file at `path`: after a crash it is the old one or the new one, whole.

    Raises:
        OSError: the disk is full, or the directory is not ours to write.
    """
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


class JournalEncoder:
    """Encodes one record after the other; what two share is encoded once.

    Nearly all tasks and templates are the very objects of the last record: a node with hundreds of
    tasks writes its journal for each change of one of them.
    """

    def __init__(self) -> None:
        self._tasks: dict[TaskId, tuple[TaskRecord, str]] = {}
        self._templates: dict[tuple[ServiceId, int], tuple[TaskTemplate, str]] = {}

    def encode(self, record: JournalRecord) -> bytes:
        """Return the bytes of a record: JSON with a checksum over the canonical body."""
        tasks = [self._task(task) for task in record.tasks]
        self._tasks = {kept[0].assignment.task_id: kept for kept in tasks}
        templates = [self._template(template) for template in record.templates]
        self._templates = {kept[0].key: kept for kept in templates}
        body = {
            "saved_at": _canonical(record.saved_at),
            "heard_at": _canonical(record.heard_at),
            "cluster_id": _canonical(record.cluster_id),
            "node_name": _canonical(record.node_name),
            "epoch": _canonical(record.epoch),
            "settings": _canonical(_to_json(record.settings)),
            "schedulers": _canonical(record.schedulers),
            "templates": f"[{','.join(text for _, text in templates)}]",
            "without_credentials": _canonical(record.without_credentials),
            "tasks": f"[{','.join(text for _, text in tasks)}]",
        }
        text = "{" + ",".join(f'"{name}":{body[name]}' for name in sorted(body)) + "}"
        checksum = hashlib.sha256(text.encode()).hexdigest()
        return f'{{"format":{FORMAT},"checksum":"{checksum}","body":{text}}}'.encode()

    def _task(self, task: TaskRecord) -> tuple[TaskRecord, str]:
        kept = self._tasks.get(task.assignment.task_id)
        if kept is not None and kept[0] is task:
            return kept
        return task, _canonical(_task_to_json(task))

    def _template(self, template: TaskTemplate) -> tuple[TaskTemplate, str]:
        kept = self._templates.get(template.key)
        if kept is not None and kept[0] is template:
            return kept
        return template, _canonical(_to_json(template))


def encode(record: JournalRecord) -> bytes:
    """Return the bytes of a single record."""
    return JournalEncoder().encode(record)


def decode(content: bytes) -> JournalRecord:
    """Return the record that `encode` wrote.

    Raises:
        ValueError: it is damaged, or of a newer format.
        KeyError: it is not a journal.
        TypeError: it is not a journal.
    """
    document = json.loads(content)
    if document["format"] != FORMAT:
        raise ValueError(f"its format is {document['format']}, this agent reads {FORMAT}")
    body = document["body"]
    if document["checksum"] != _checksum(body):
        raise ValueError("its checksum does not fit: the file is damaged")
    return JournalRecord(
        saved_at=Timestamp(body["saved_at"]),
        heard_at=Timestamp(body["heard_at"]),
        cluster_id=body["cluster_id"],
        node_name=body["node_name"],
        epoch=body["epoch"],
        settings=_from_json(ClusterSettings, body["settings"]),
        schedulers=tuple(body["schedulers"]),
        templates=tuple(_from_json(TaskTemplate, item) for item in body["templates"]),
        without_credentials=tuple(
            (ServiceId(service), version) for service, version in body["without_credentials"]
        ),
        tasks=tuple(_task_from_json(item) for item in body["tasks"]),
    )


def _checksum(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(body).encode()).hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _to_json(value: ClusterSettings | TaskTemplate | TaskAssignment) -> dict[str, Any]:
    return json_format.MessageToDict(to_proto(value), preserving_proto_field_name=True)


def _from_json(kind: type[Any], fields: dict[str, Any]) -> Any:
    message: Message = message_class(kind)()
    # A field of a newer agent, after a roll-back, is no reason to forget everything else.
    json_format.ParseDict(fields, message, ignore_unknown_fields=True)
    return from_proto(kind, message)


def _task_to_json(task: TaskRecord) -> dict[str, Any]:
    return {
        "assignment": _to_json(task.assignment),
        "desired": int(task.desired),
        "observed": int(task.observed),
        "observed_at": task.observed_at,
        "message": task.message,
        "error": task.error,
        "exit_code": task.exit_code,
        "container_id": task.container_id,
        "phase": task.phase.value,
        "image": None if task.image is None else asdict(task.image),
        "image_digest": task.image_digest,
        "platform": task.platform,
        "local_restarts": task.local_restarts,
        "ends": task.ends,
        "stop_reason": task.stop_reason.value,
        "is_stop_sent": task.is_stop_sent,
    }


def _task_from_json(fields: Mapping[str, Any]) -> TaskRecord:
    image = fields["image"]
    return TaskRecord(
        assignment=_from_json(TaskAssignment, fields["assignment"]),
        desired=TaskState(fields["desired"]),
        observed=TaskState(fields["observed"]),
        observed_at=Timestamp(fields["observed_at"]),
        message=fields["message"],
        error=fields["error"],
        exit_code=fields["exit_code"],
        container_id=fields["container_id"],
        phase=Phase(fields["phase"]),
        image=None if image is None else PulledImage(**image),
        image_digest=fields["image_digest"],
        platform=fields["platform"],
        local_restarts=fields["local_restarts"],
        ends=fields["ends"],
        stop_reason=StopReason(fields["stop_reason"]),
        is_stop_sent=fields["is_stop_sent"],
    )
