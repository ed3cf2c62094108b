"""/tasks: list and inspect."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from berth.client import ControlClient
from berth.errors import InvalidRequestError, NotFoundError, TooManyError
from berth.model.task import TaskState
from berth.views import ServiceView, TaskView
from gateway.answers import in_slices, rendered, rendered_list, walked_list
from gateway.context import Gateway, gateway_of
from gateway.filters import Filters
from gateway.renderings import Renderings
from gateway.translate.tasks import desired_state, task_name, write_task, written_templates

_FILTERS = ("_up-to-date", "desired-state", "id", "label", "name", "node", "runtime", "service")
_LISTED_MAX = 2000
"""Tasks that are looked at for one answer; longer lists go in pieces."""
_STATES = tuple(state.name.lower() for state in TaskState)


async def list_tasks(request: Request) -> Response:
    """GET /tasks."""
    gateway = gateway_of(request)
    text = request.query_params.get("filters", "")
    filters = Filters.from_text(text, _FILTERS)
    filters.one_of("desired-state", _STATES)
    filters.one_of("runtime", ("container", "plugin"))
    names = filters.get("service")
    asked: dict[str, Any] = {
        "services": names,
        "nodes": filters.get("node"),
        "ids": filters.get("id"),
        "up_to_date": filters.flag("_up-to-date"),
    }
    try:
        tasks = await gateway.client.list_tasks(**asked, at_most=_LISTED_MAX)
    except TooManyError:
        return await _walk_tasks(gateway, filters, asked)
    # Tasks are the same ones only while their services are, too.
    if (body := gateway.renderings.body("tasks", text, tasks)) is not None:
        return rendered(body)
    services = await gateway.client.list_services(names)
    known = {str(service.id): service for service in services}
    wanted = await in_slices(
        tasks, lambda task: _is_wanted(task, known.get(task.service_id), filters), gateway.clock
    )
    writer = TaskWriter(known, gateway.renderings.for_list(len(wanted)))
    keep = partial(gateway.renderings.keep_body, "tasks", text, tasks)
    return rendered_list(wanted, writer.rendered, gateway.clock, keep if names else None)


async def _walk_tasks(gateway: Gateway, filters: Filters, asked: Mapping[str, Any]) -> Response:
    """Answer with a list that is too long to be in memory as a whole."""
    services = await gateway.client.list_services(filters.get("service"))
    known = {str(service.id): service for service in services}
    writer = TaskWriter(known, Renderings(0))
    return await walked_list(
        gateway.client.walk_tasks(**asked),
        lambda task: _is_wanted(task, known.get(task.service_id), filters),
        writer.rendered,
        gateway.clock,
    )


def _is_wanted(task: TaskView, service: ServiceView | None, filters: Filters) -> bool:
    labels = service.spec.labels if service is not None else {}
    return (
        filters.prefix("name", task_name(task))
        and filters.exact("desired-state", desired_state(task))
        and filters.exact("runtime", "container")
        and filters.labels("label", labels)
    )


class TaskWriter:
    """Writes tasks; what the tasks of a service share is written once."""

    def __init__(self, services: Mapping[str, ServiceView], renderings: Renderings) -> None:
        self._services = services
        self._renderings = renderings
        self._templates: dict[str, dict[str, Any]] = {}

    def rendered(self, task: TaskView) -> bytes:
        """Return a task as JSON."""
        service = self._services.get(task.service_id)
        return self._renderings.of(lambda: self._written(task, service), "task", task, service)

    def _written(self, task: TaskView, service: ServiceView | None) -> dict[str, object]:
        if service is None:
            return write_task(task, None, {})
        is_newest = task.template_version == service.template_version
        spec = self._template(service) if is_newest else None
        return write_task(task, spec, service.spec.labels)

    def _template(self, service: ServiceView) -> dict[str, Any]:
        if service.id not in self._templates:
            self._templates |= written_templates({service.id: service})
        return self._templates[service.id]


async def inspect_task(request: Request) -> Response:
    """GET /tasks/{id}."""
    gateway = gateway_of(request)
    task = await find_task(gateway.client, request.path_params["id"])
    services = await services_of(gateway.client, [task])
    return rendered(TaskWriter(services, gateway.renderings).rendered(task))


async def find_task(client: ControlClient, name: str) -> TaskView:
    """Return a task by full ID, else exact name, else unique prefix of its ID.

    Raises:
        NotFoundError: there is none.
        InvalidRequestError: several IDs begin so.
    """
    found = await client.list_tasks(ids=[name])
    exact = [task for task in found if task.id == name]
    if not exact and "." in name:
        # A name tells its service: nobody else's tasks need be looked at.
        service = name.partition(".")[0]
        try:
            tasks = await client.list_tasks(services=[service])
        except NotFoundError:
            tasks = []
        exact = [task for task in tasks if name in (task_name(task), task.name)][:1]
    if exact:
        return exact[0]
    if len(found) > 1:
        raise InvalidRequestError(f"task {name} is ambiguous ({len(found)} matches found)")
    if not found:
        raise NotFoundError(f"task {name} not found")
    return found[0]


async def services_of(client: ControlClient, tasks: Sequence[TaskView]) -> dict[str, ServiceView]:
    """Return the services of `tasks` that still exist."""
    found = {}
    for service_id in {task.service_id for task in tasks}:
        try:
            found[str(service_id)] = await client.get_service(service_id)
        except NotFoundError:
            continue  # Removed, but its tasks still stop.
    return found


ROUTES = [
    Route("/tasks", list_tasks, methods=["GET"]),
    Route("/tasks/{id}", inspect_task, methods=["GET"]),
]
