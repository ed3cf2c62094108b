"""The leader's memory -> messages for agents. Pure."""

from collections.abc import Mapping

from berth.model.ids import ServiceId
from berth.model.network import Network
from berth.model.registry_auth import RegistryAuth
from berth.model.task import Task
from berth.v1 import types_pb2
from berth.wire.convert import write_proto
from scheduler.core.networks import networks_for
from scheduler.core.service_record import ServiceRecord
from scheduler.core.service_state import shown_slot

TemplateKey = tuple[ServiceId, int, int]
"""Service, template version, spec version."""


def assignment_of(task: Task, record: ServiceRecord) -> types_pb2.TaskAssignment:
    """Return what a node must know of one of its tasks, as it is now."""
    message = types_pb2.TaskAssignment(
        task_id=task.id,
        service_id=task.service_id,
        slot=shown_slot(task, is_job=record.job is not None),
        template_version=task.template_version,
        desired=task.desired,
        attempt=task.attempt,
    )
    for kind, units in task.granted:
        message.granted.add(kind=kind, units=units)
    return message


def template_of(
    record: ServiceRecord,
    version: int,
    auth: RegistryAuth | None,
    networks: Mapping[str, Network],
) -> types_pb2.TaskTemplate:
    """Return a template as nodes are told of it, once per session.

    Args:
        record: the service.
        version: of the template.
        auth: unsealed registry credentials; they leave only over the agents' streams.
        networks: all that the cluster has, by name.
    """
    template = record.templates[version]
    message = types_pb2.TaskTemplate(
        service_id=record.id,
        service_name=record.spec.name,
        version=version,
        service_labels=dict(record.spec.labels),
        is_global=record.is_global,
    )
    write_proto(template.task, message.task)
    write_proto(template.endpoint, message.endpoint)
    for network in networks_for(networks, template.task.networks):
        write_proto(network, message.networks.add())
    if auth is not None:
        write_proto(auth, message.registry_auth)
    return message


def template_key(record: ServiceRecord, task: Task) -> TemplateKey:
    """Return by what a session remembers that it was sent a task's template.

    The spec's version is in it, because labels and credentials go with the template and may change
    without it.
    """
    return task.service_id, task.template_version, record.version
