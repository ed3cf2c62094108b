"""Tasks as Docker's clients read them. Pure.

A task's spec is its service's template where it has the newest one; of older templates only the
image is known here, which is what clients show of them.
"""

from collections.abc import Mapping
from typing import Any

from berth.model.task import TaskState
from berth.views import ServiceView, TaskView
from gateway.translate.networks import task_with_network_ids, write_attachments
from gateway.translate.spec_out import write_task_spec
from gateway.translate.writing import time_text

_NO_CONTAINER_STATES = (TaskState.NEW, TaskState.PENDING, TaskState.ASSIGNED, TaskState.ACCEPTED)


def task_name(task: TaskView) -> str:
    """Return the name that the task's container has: ``web.3.ID``."""
    return f"{task.name}.{task.id}"


def desired_state(task: TaskView) -> str:
    """Return what is wanted of a task, in Swarm's words: what has ended is not to run again."""
    is_done = task.desired is TaskState.COMPLETE and task.status.state is TaskState.COMPLETE
    if task.is_history and task.desired <= TaskState.COMPLETE and not is_done:
        return TaskState.SHUTDOWN.name.lower()
    return task.desired.name.lower()


def write_task(
    task: TaskView, spec: Mapping[str, Any] | None, labels: Mapping[str, str]
) -> dict[str, Any]:
    """Return a task.

    Args:
        task: as the cluster tells it.
        spec: the template that it has, written; None where it is not known any more.
        labels: of its service.
    """
    written: dict[str, Any] = {
        "ID": task.id,
        "Version": {"Index": _version(task)},
        "CreatedAt": time_text(task.created_at),
        "UpdatedAt": time_text(max(task.state_at, task.created_at)),
        "Name": task_name(task),
        "Labels": {},
        "Spec": spec if spec is not None else _bare_spec(task),
        "ServiceID": task.service_id,
    }
    if task.slot:
        written["Slot"] = task.slot
    if task.node_id:
        written["NodeID"] = task.node_id
    written["Status"] = _status(task)
    written["DesiredState"] = desired_state(task)
    if task.job_iteration is not None:
        written["JobIteration"] = {"Index": task.job_iteration}
    written["NetworksAttachments"] = write_attachments(task.status.addresses)
    if task.granted:
        written["GenericResources"] = _granted(task)
    if labels:
        written["ServiceLabels"] = dict(labels)
    return written


def written_templates(services: Mapping[str, ServiceView]) -> dict[str, dict[str, Any]]:
    """Return the newest template of each service, written once for all of its tasks."""
    return {
        key: write_task_spec(task_with_network_ids(service.spec.task))
        for key, service in services.items()
    }


def _version(task: TaskView) -> int:
    """Return a number that rises with the task; Berth keeps none of its own."""
    return task.template_version * 1000 + int(task.status.state)


def _bare_spec(task: TaskView) -> dict[str, Any]:
    # The docker CLI follows ContainerSpec without looking.
    return {"ContainerSpec": {"Image": task.image}, "Resources": {}, "Placement": {}}


def _status(task: TaskView) -> dict[str, Any]:
    status = task.status
    written: dict[str, Any] = {
        "Timestamp": time_text(task.state_at or task.created_at),
        "State": status.state.name.lower(),
        "Message": status.message,
    }
    if status.error and status.state is TaskState.SHUTDOWN:
        written["Message"] = status.error  # Why it was told to stop: no fault of its own.
    elif status.error:
        written["Err"] = status.error
    if status.container_id or status.state not in _NO_CONTAINER_STATES:
        written["ContainerStatus"] = {
            "ContainerID": status.container_id,
            "PID": status.pid,
            "ExitCode": status.exit_code or 0,
        }
    ports = [
        {
            "Protocol": protocol,
            "TargetPort": target,
            "PublishedPort": published,
            "PublishMode": "host",
        }
        for protocol, target, published in status.ports
    ]
    written["PortStatus"] = {"Ports": ports} if ports else {}
    return written


def _granted(task: TaskView) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = []
    for granted in task.granted:
        if len(granted.units) == 1 and granted.units[0].isdecimal():
            counted = {"Kind": granted.kind, "Value": int(granted.units[0])}
            written.append({"DiscreteResourceSpec": counted})
        else:
            written += [
                {"NamedResourceSpec": {"Kind": granted.kind, "Value": unit}}
                for unit in granted.units
            ]
    return written
