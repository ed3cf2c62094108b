"""Turn a task's references to configs and secrets into files and mounts. Pure.

Duty: what is in each file, whose it is, where in the container it appears; payloads that are
templates are filled in here.
Not here: writing files (task_files), everything else of a container (translate).
Invariant (tests/unit/nodeagent/runtime/test_translate_files.py): no error and no `repr` quotes what
a secret holds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from berth.errors import BerthError, InvalidRequestError
from berth.model.files import FileId, FileKind, FilePayload, container_path, references
from berth.model.service import FileReference
from berth.model.template import TemplateValues, expand_payload, expand_template
from nodeagent.runtime.port import RuntimeTask


@dataclass(frozen=True, slots=True)
class TaskFile:
    """One file of one task; `target` is its path in the container."""

    target: str
    uid: int
    gid: int
    mode: int
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """A file that was written: its path on the node, and in the container."""

    source: str
    target: str


def files_of(task: RuntimeTask, values: TemplateValues) -> tuple[TaskFile, ...]:
    """Return the files of `task`, filled in.

    Raises:
        InvalidRequestError: a template cannot be filled in, or a file is not there.
    """
    spec = task.task.container
    if not (spec.configs or spec.secrets):
        return ()
    payloads = {payload.key: payload for payload in task.files}
    found = []
    for kind, reference in references(spec):
        payload = payloads.get((kind, FileId(reference.id)))
        if payload is None or payload.problem:
            raise InvalidRequestError(
                f'{kind.value} "{reference.name}" was not sent to this node; this is a bug'
            )
        found.append(
            TaskFile(
                target=container_path(kind, reference),
                uid=int(reference.uid or 0),
                gid=int(reference.gid or 0),
                mode=reference.mode,
                content=_content(task, payload, payloads, values),
            )
        )
    return tuple(found)


def _content(
    task: RuntimeTask,
    payload: FilePayload,
    payloads: Mapping[tuple[FileKind, FileId], FilePayload],
    values: TemplateValues,
) -> bytes:
    if not payload.template_driver:
        return payload.data
    functions: dict[str, Callable[[str], str]] = {
        "env": lambda name: _variable(task, values, name),
        "config": lambda target: _other(task, payloads, FileKind.CONFIG, target),
        "secret": lambda target: _other(task, payloads, FileKind.SECRET, target),
    }
    try:
        return expand_payload(payload.data, replace(values, functions=functions))
    except BerthError as error:
        subject = f'{payload.kind.value} "{payload.name}" cannot be filled in'
        if payload.kind is FileKind.SECRET:  # What is wrong would quote it.
            raise InvalidRequestError(f"{subject}: look at its template") from None
        raise InvalidRequestError(f"{subject}: {error.message}") from None


def _variable(task: RuntimeTask, values: TemplateValues, name: str) -> str:
    """Return a variable of the service's own environment; "" when there is none, as in Swarm."""
    for entry in reversed(task.task.container.env):
        key, equals, value = entry.partition("=")
        if key == name and equals:
            return expand_template(value, values)
    return ""


def _other(
    task: RuntimeTask,
    payloads: Mapping[tuple[FileKind, FileId], FilePayload],
    kind: FileKind,
    target: str,
) -> str:
    """Return what another file of the task holds, as it is; files are named by their target."""
    for other, reference in references(task.task.container):
        if other is kind and _goes_to(reference, target):
            payload = payloads.get((kind, FileId(reference.id)))
            if payload is not None and not payload.problem:
                return payload.data.decode("utf-8", "replace")
    raise InvalidRequestError(
        f'the service has no {kind.value} with the target "{target}"; add one, or correct the '
        "template"
    )


def _goes_to(reference: FileReference, target: str) -> bool:
    return (reference.target or reference.name) == target


def file_mounts(placed: Sequence[PlacedFile]) -> list[dict[str, Any]]:
    """Return the Engine's mounts for files that were written."""
    return [
        {"Type": "bind", "Source": file.source, "Target": file.target, "ReadOnly": True}
        for file in placed
    ]
