"""Make text of what the cluster tells: tables, ages, sizes, JSON. Pure.

Duty: one function per view, from values of berth.views to a `Table` or to lines.
Not here: where text goes and whether it has colours (cli.output), waiting (cli.follow).
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from berth.errors import InvalidRequestError
from berth.model.amount_text import cpus_text, memory_text
from berth.model.defaults import effective_completions
from berth.model.image import ImageReference
from berth.model.instant import Timestamp, to_text
from berth.model.node import Availability, NodeState
from berth.model.service import ModeKind, PortSpec, PublishMode
from berth.model.task import TaskState
from berth.views import NodeView, ServiceView, TaskView

SHORT_ID: Final = 12
_ERROR_LENGTH: Final = 60
_GIB: Final = 1024**3

_TASK_STYLES: Final[Mapping[TaskState, str]] = {
    TaskState.RUNNING: "green",
    TaskState.COMPLETE: "green",
    TaskState.FAILED: "red",
    TaskState.REJECTED: "red",
    TaskState.ORPHANED: "red",
    TaskState.SHUTDOWN: "dim",
}
_NODE_STYLES: Final[Mapping[NodeState, str]] = {
    NodeState.READY: "green",
    NodeState.DOWN: "red",
    NodeState.DISCONNECTED: "yellow",
    NodeState.UNKNOWN: "yellow",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A text in a table, with a style of rich's for terminals."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Headers and rows; every row is as long as the headers."""

    headers: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.headers) for row in self.rows)


def make_table(headers: str, rows: Iterable[Sequence[str | Cell]]) -> Table:
    """Return a table; `headers` are separated by bars."""
    cells = tuple(
        tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in row) for row in rows
    )
    return Table(tuple(headers.split("|")), cells)


def table_rows(table: Table) -> list[dict[str, str]]:
    """Return the rows as JSON objects, keyed by header: ``DESIRED STATE`` -> ``DesiredState``."""
    keys = [
        "".join(word if word == "ID" else word.capitalize() for word in header.split())
        for header in table.headers
    ]
    return [{key: cell.text for key, cell in zip(keys, row, strict=True)} for row in table.rows]


def age_text(seconds: float) -> str:
    """Return an age as Docker says it: ``5 minutes``."""
    if seconds < 1:
        return "less than a second"
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds >= size * (2 if unit in ("day", "hour") else 1):
            count = int(seconds // size)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    raise AssertionError("unreachable")


def short(identifier: str, *, is_full: bool = False) -> str:
    """Return the first 12 characters of an ID, or all of it."""
    return identifier if is_full else identifier[:SHORT_ID]


def image_text(image: str, *, is_full: bool = False) -> str:
    """Return an image as a person names it, without its digest; or just as it is."""
    if is_full:
        return image
    try:
        reference = ImageReference.from_text(image)
    except InvalidRequestError:
        return image
    return dataclasses.replace(reference, digest="").familiar if reference.tag else image


def port_text(port: PortSpec) -> str:
    """Return a port as Docker lists it: ``*:8080->80/tcp``."""
    published = str(port.published_port) if port.published_port else "?"
    host = "" if port.publish_mode is PublishMode.HOST else " (ingress)"
    return f"*:{published}->{port.target_port}/{port.protocol}{host}"


def completions_wanted(service: ServiceView) -> int:
    """Return how many slots of a job must complete."""
    if service.spec.mode.kind is ModeKind.GLOBAL_JOB:
        return service.desired_tasks + service.completed_tasks
    return effective_completions(service.spec.mode)


def replicas_text(service: ServiceView) -> str:
    """Return ``running/wanted`` and the cap per node, or how many slots of a job completed."""
    cap = service.spec.task.placement.max_replicas_per_node
    text = f"{service.running_tasks}/{service.desired_tasks}"
    if service.job is not None:
        return f"{text} ({service.completed_tasks}/{completions_wanted(service)} completed)"
    return f"{text} (max {cap} per node)" if cap else text


def services_table(services: Sequence[ServiceView], *, is_full: bool = False) -> Table:
    """List services as `docker service ls` does."""

    def row(service: ServiceView) -> list[str | Cell]:
        is_whole = service.job is not None or service.running_tasks >= service.desired_tasks
        return [
            short(service.id, is_full=is_full),
            service.spec.name,
            service.spec.mode.kind.value,
            Cell(replicas_text(service), "" if is_whole else "yellow"),
            image_text(service.spec.task.container.image, is_full=is_full),
            ", ".join(port_text(port) for port in service.spec.endpoint.ports),
        ]

    ordered = sorted(services, key=lambda service: service.spec.name)
    return make_table("ID|NAME|MODE|REPLICAS|IMAGE|PORTS", map(row, ordered))


def sorted_tasks(tasks: Sequence[TaskView]) -> list[TaskView]:
    """Order tasks by service and slot, the newest of each slot first."""
    return sorted(
        tasks,
        key=lambda task: (
            task.service_name,
            task.slot,
            "" if task.slot or task.is_numbered else task.node_id,
            task.is_history,
            -task.attempt,
            -task.created_at,
        ),
    )


def tasks_table(
    tasks: Sequence[TaskView], *, is_full: bool = False, with_digests: bool = False
) -> Table:
    """List tasks as `docker service ps` does; older tasks of a slot hang below its newest."""
    rows = []
    before = ""
    for task in sorted_tasks(tasks):
        name = rf"\_ {task.name}" if task.name == before else task.name
        before = task.name
        rows.append(_task_row(task, name, is_full, with_digests))
    headers = "ID|NAME|IMAGE|NODE|DESIRED STATE|CURRENT STATE|ERROR|PORTS"
    return make_table(headers + ("|DIGEST|PLATFORM|DRIFT" if with_digests else ""), rows)


def _task_row(task: TaskView, name: str, is_full: bool, with_digests: bool) -> list[str | Cell]:
    status = task.status
    state = f"{status.state.name.capitalize()} {age_text(status.state_age_s)} ago"
    row: list[str | Cell] = [
        short(task.id, is_full=is_full),
        name,
        image_text(task.image, is_full=is_full),
        task.node_name or short(task.node_id, is_full=is_full),
        task.desired.name.capitalize(),
        Cell(state, _TASK_STYLES.get(status.state, "yellow")),
        task_error(task, is_full=is_full),
        ", ".join(f"*:{host}->{inside}/{protocol}" for protocol, inside, host in status.ports),
    ]
    if with_digests:
        row += [
            status.image_digest if is_full else status.image_digest[:19],
            status.platform,
            Cell("drifted", "red") if task.is_drifted else "",
        ]
    return row


def task_error(task: TaskView, *, is_full: bool = False) -> str:
    """Return why a task failed or waits, in one line."""
    status = task.status
    is_waiting = status.state < TaskState.ASSIGNED
    text = " ".join((status.error or (status.message if is_waiting else "")).split())
    if is_full or len(text) <= _ERROR_LENGTH:
        return text
    return text[: _ERROR_LENGTH - 1] + "…"


def nodes_table(nodes: Sequence[NodeView], *, is_full: bool = False) -> Table:
    """List nodes, with what is taken of each."""

    def row(view: NodeView) -> list[str | Cell]:
        node = view.node
        resources = node.description.resources
        is_leaving = node.is_departing and node.state is NodeState.READY
        state = "departing" if is_leaving else node.state.value
        availability = node.spec.availability
        style = "" if availability is Availability.ACTIVE else "yellow"
        memory = f"{memory_text(view.reserved_memory_bytes)}/{memory_text(resources.memory_bytes)}"
        return [
            short(node.id, is_full=is_full),
            view.name,
            Cell(state.capitalize(), _NODE_STYLES[node.state]),
            Cell(availability.value.capitalize(), style),
            str(view.tasks_running),
            f"{cpus_text(view.reserved_nano_cpus)}/{cpus_text(resources.nano_cpus)}",
            memory,
            node.description.engine_version,
        ]

    headers = "ID|HOSTNAME|STATUS|AVAILABILITY|TASKS|CPUS|MEMORY|ENGINE"
    return make_table(headers, map(row, sorted(nodes, key=lambda view: (view.name, view.node.id))))


def to_json(value: Any, *, is_sparse: bool = False) -> Any:
    """Return plain JSON values for a view.

    Args:
        value: a dataclass, or what may stand in one.
        is_sparse: leave out what is empty.
    """
    if isinstance(value, TaskState):
        return value.name.lower()
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return to_json(fields, is_sparse=is_sparse)
    if isinstance(value, Mapping):
        pairs = {str(key): _json_field(str(key), item, is_sparse) for key, item in value.items()}
        return {key: item for key, item in pairs.items() if not is_sparse or not _is_empty(item)}
    if isinstance(value, (list, tuple)):
        return [to_json(item, is_sparse=is_sparse) for item in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _json_field(key: str, value: Any, is_sparse: bool) -> Any:
    """Times of day are told as text; they are the fields that end in ``_at``."""
    if key.endswith("_at") and isinstance(value, (int, float)):
        return to_text(Timestamp(value)) if value else None
    return to_json(value, is_sparse=is_sparse)


def _is_empty(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, (list, dict)) and not value)


def pretty_lines(document: Any, indent: int = 0) -> list[str]:
    """Return JSON values as indented ``Key: value`` lines for people."""
    lines: list[str] = []
    pad = " " * indent
    for key, value in document.items():
        label = key.replace("_", " ").capitalize()
        if isinstance(value, dict):
            lines += [f"{pad}{label}:", *pretty_lines(value, indent + 1)]
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            lines.append(f"{pad}{label}:")
            for item in value:
                inner = pretty_lines(item, indent + 3)
                lines += [f"{pad} - {inner[0].strip()}", *inner[1:]] if inner else []
        elif isinstance(value, list):
            lines.append(f"{pad}{label}: {' '.join(str(item) for item in value)}")
        else:
            lines.append(f"{pad}{label}: {value}")
    return lines


def parse_filters(
    texts: Sequence[str], allowed: Mapping[str, Callable[[Any, str], bool]]
) -> Callable[[Any], bool]:
    """Return a test for ``KEY=VALUE`` filters: any value of a key, every key.

    Raises:
        InvalidRequestError: a key is unknown.
    """
    wanted: dict[str, list[str]] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or key not in allowed:
            raise InvalidRequestError(
                f'"{text}" is not a filter; write KEY=VALUE with one of {", ".join(allowed)}'
            )
        wanted.setdefault(key, []).append(value)
    return lambda item: all(
        any(allowed[key](item, value) for value in values) for key, values in wanted.items()
    )


def has_label(labels: Mapping[str, str], text: str) -> bool:
    """Return whether ``KEY`` or ``KEY=VALUE`` is among `labels`."""
    key, equals, value = text.partition("=")
    return key in labels and (not equals or labels[key] == value)


SERVICE_FILTERS: Final[Mapping[str, Callable[[ServiceView, str], bool]]] = {
    "id": lambda service, value: service.id.startswith(value),
    "name": lambda service, value: value in service.spec.name,
    "label": lambda service, value: has_label(service.spec.labels, value),
    "mode": lambda service, value: service.spec.mode.kind is ModeKind(value),
}
TASK_FILTERS: Final[Mapping[str, Callable[[TaskView, str], bool]]] = {
    "id": lambda task, value: task.id.startswith(value),
    "name": lambda task, value: task.name.startswith(value),
    "node": lambda task, value: value == task.node_name or task.node_id.startswith(value),
    "desired-state": lambda task, value: task.desired.name.lower() == value,
    "current-state": lambda task, value: task.status.state.name.lower() == value,
}
NODE_FILTERS: Final[Mapping[str, Callable[[NodeView, str], bool]]] = {
    "id": lambda view, value: view.node.id.startswith(value),
    "name": lambda view, value: view.name.startswith(value),
    "label": lambda view, value: has_label(view.node.labels, value),
    "status": lambda view, value: view.node.state.value == value,
    "availability": lambda view, value: view.node.spec.availability.value == value,
}
