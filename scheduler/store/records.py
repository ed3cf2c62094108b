"""Stored records <-> the leader's memory, with schema versions.

Duty: encode what `LeaderState.unsaved` names, and decode single records. Not here: building memory
from a whole snapshot (loading), the bytes of placed tasks (placed_tasks). Every record carries
its schema; this code refuses newer ones than it knows (schema), since writing them back would lose
what it does not know.

Order of writing: history before placements. A leader that dies between two transactions then leaves
an ended task in both, and the loader believes the history; the other order would forget an attempt.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from struct import Struct
from typing import Final

from berth.model.cluster import ClusterSettings
from berth.model.ids import (
    ClusterId,
    NodeId,
    ServiceId,
    names_by_steps,
    task_id,
    task_id_of_slot,
)
from berth.model.instant import Timestamp
from berth.model.network import Network, network_id
from berth.model.node import Node
from berth.model.service import EndpointSpec, ServiceSpec, TaskSpec
from berth.model.task import FinishedTask, Task, TaskState
from berth.wire.convert import from_proto, write_proto
from berth.wire.encoded import encoded
from berth.wire.varints import delimited, float_head
from scheduler.core.cluster_record import ClusterRecord
from scheduler.core.history import trim
from scheduler.core.job_record import JobRecord
from scheduler.core.service_record import ServiceRecord, Template, UpdateState, UpdateStatus
from scheduler.core.service_state import ServiceState, history_shard
from scheduler.core.state import LeaderState
from scheduler.core.unsaved import Unsaved
from scheduler.store import keys
from scheduler.store.event_records import encode_events
from scheduler.store.file_records import encode_file
from scheduler.store.placed_tasks import encode_placements
from scheduler.store.port import Change, Delete, Put
from scheduler.store.recordpb import records_pb2 as pb
from scheduler.store.schema import NEWEST, SCHEMA, checked

HISTORY_BYTES_MAX: Final = 1024 * 1024
"""Of one shard: two thirds of what etcd takes in one request."""

_SERVICE_ID = pb.ServiceRecord.ID_FIELD_NUMBER
_SERVICE_SPEC = pb.ServiceRecord.SPEC_FIELD_NUMBER
_SERVICE_PREVIOUS_SPEC = pb.ServiceRecord.PREVIOUS_SPEC_FIELD_NUMBER
_SERVICE_AUTH = pb.ServiceRecord.SEALED_AUTH_FIELD_NUMBER
_SERVICE_PREVIOUS_AUTH = pb.ServiceRecord.PREVIOUS_SEALED_AUTH_FIELD_NUMBER
_CREATED_AT = float_head(pb.ServiceRecord.CREATED_AT_FIELD_NUMBER)
_UPDATED_AT = float_head(pb.ServiceRecord.UPDATED_AT_FIELD_NUMBER)
_TIMES = Struct(f"<{len(_CREATED_AT)}sd{len(_UPDATED_AT)}sd").pack

_STATES = {int(state): state for state in TaskState}
"""By number: several times cheaper to look up than `TaskState(number)`."""


def encode_changes(state: LeaderState, unsaved: Unsaved) -> list[Change]:
    """Return the documents that `unsaved` names, as they now are; deletions for what is gone."""
    changes: list[Change] = []
    if unsaved.cluster:
        changes.append(Put(keys.CLUSTER, encode_cluster(state.cluster)))
    for node_id in unsaved.nodes:
        node = state.nodes.get(node_id)
        key = keys.node_key(node_id)
        changes.append(Delete(key) if node is None else Put(key, encode_node(node)))
    files = {file: state.files.get(file) for file in unsaved.files}
    # They are there before the services that refer to them, and go after those that did.
    changes += [Put(keys.file_key(key), encode_file(file)) for key, file in files.items() if file]
    for name in unsaved.networks:
        network = state.networks.get(name)
        key = keys.network_key(network_id(name))
        changes.append(Delete(key) if network is None else Put(key, encode_network(network)))
    for service_id in unsaved.services:
        service = state.services.get(service_id)
        key = keys.service_key(service_id)
        changes.append(Delete(key) if service is None else Put(key, encode_service(service.record)))
    # Right after what they tell of: a transaction holds both, or the events are in a later one.
    for first_ns, events in unsaved.events.items():
        key = keys.events_key(first_ns)
        changes.append(Put(key, encode_events(events)) if events else Delete(key))
    for service_id, shard in unsaved.history:
        service = state.services.get(service_id)
        key = keys.history_key(service_id, shard)
        value = b"" if service is None else encode_history(service, shard)
        changes.append(Put(key, value) if value else Delete(key))
    node_tasks = state.node_tasks
    for node_id in unsaved.placements:
        tasks = node_tasks.get(node_id)
        key = keys.placements_key(node_id)
        changes.append(Put(key, encode_placements(tasks)) if tasks else Delete(key))
    changes += [Delete(keys.file_key(key)) for key, file in files.items() if file is None]
    return changes


def encode_cluster(cluster: ClusterRecord) -> bytes:
    """Return the stored form of the cluster's record."""
    message = pb.ClusterRecord(
        schema=SCHEMA, id=cluster.id, version=cluster.version, created_at=cluster.created_at
    )
    write_proto(cluster.settings, message.settings)
    return message.SerializeToString()


def decode_cluster(value: bytes) -> ClusterRecord:
    """Read what `encode_cluster` wrote."""
    message = checked(pb.ClusterRecord.FromString(value), "cluster")
    return ClusterRecord(
        id=ClusterId(message.id),
        settings=from_proto(ClusterSettings, message.settings),
        version=message.version,
        created_at=Timestamp(message.created_at),
    )


def encode_node(node: Node) -> bytes:
    """Return the stored form of a node."""
    message = pb.NodeRecord(schema=SCHEMA)
    write_proto(node, message.node)
    return message.SerializeToString()


def decode_node(value: bytes) -> Node:
    """Read what `encode_node` wrote."""
    message = checked(pb.NodeRecord.FromString(value), "node")
    return from_proto(Node, message.node)


def encode_network(network: Network) -> bytes:
    """Return the stored form of a network."""
    message = pb.NetworkRecord(schema=SCHEMA)
    write_proto(network, message.network)
    return message.SerializeToString()


def decode_network(value: bytes) -> Network:
    """Read what `encode_network` wrote."""
    message = checked(pb.NetworkRecord.FromString(value), "network")
    return from_proto(Network, message.network)


def encode_service(record: ServiceRecord) -> bytes:
    """Return the stored form of a service: joined by hand where all services have it.

    A record is written for every service, so that filling a message for it would cost more than
    all that the service's bytes consist of.
    """
    status, templates = record.update_status, record.templates
    parts = [
        _service_head(
            NEWEST if names_by_steps(record.id) else SCHEMA,
            record.version,
            record.template_version,
            record.attempt_floor,
            record.is_removing,
        ),
        delimited(_SERVICE_ID, record.id.encode()),
        # Of the two zeros there is one here, as in `float_bytes`.
        _TIMES(_CREATED_AT, record.created_at + 0.0, _UPDATED_AT, record.updated_at + 0.0),
        delimited(_SERVICE_SPEC, encoded(record.spec)),
    ]
    if record.previous_spec is not None:
        parts.append(delimited(_SERVICE_PREVIOUS_SPEC, encoded(record.previous_spec)))
    if status is not None or record.job is not None or len(templates) > 1 or record.former_images:
        parts.append(_service_progress(record))
    if record.sealed_auth:
        parts.append(delimited(_SERVICE_AUTH, record.sealed_auth))
    if record.previous_sealed_auth:
        parts.append(delimited(_SERVICE_PREVIOUS_AUTH, record.previous_sealed_auth))
    return b"".join(parts)  # A reader takes fields in any order.


@lru_cache(maxsize=4096)
def _service_head(
    schema: int, version: int, template_version: int, attempt_floor: int, is_removing: bool
) -> bytes:
    return pb.ServiceRecord(
        schema=schema,
        version=version,
        template_version=template_version,
        attempt_floor=attempt_floor,
        is_removing=is_removing,
    ).SerializeToString()


def _service_progress(record: ServiceRecord) -> bytes:
    """Return what is there of a service while or after it was updated, and of a job."""
    message = pb.ServiceRecord()
    if record.former_images:
        message.former_images.update(record.former_images)
    for version, template in record.templates.items():
        if version == record.template_version:
            continue  # It is the spec's own.
        stored = message.templates.add(version=version)
        write_proto(template.task, stored.task)
        write_proto(template.endpoint, stored.endpoint)
    status = record.update_status
    if status is not None:
        message.update_status.state = status.state.value
        message.update_status.message = status.message
        message.update_status.started_at = status.started_at
        if status.completed_at is not None:
            message.update_status.completed_at = status.completed_at
        message.update_status.slots_total = status.slots_total
        message.update_status.failed_tasks = status.failed_tasks
    if record.job is not None:
        message.job.SetInParent()
        write_proto(record.job, message.job)
    return message.SerializeToString()


def decode_service(value: bytes) -> ServiceRecord:
    """Read what `encode_service` wrote."""
    message = checked(pb.ServiceRecord.FromString(value), "service")
    spec = from_proto(ServiceSpec, message.spec)
    templates = {
        stored.version: Template(
            from_proto(TaskSpec, stored.task), from_proto(EndpointSpec, stored.endpoint)
        )
        for stored in message.templates
    }
    templates[message.template_version] = Template(spec.task, spec.endpoint)
    status = None
    if message.HasField("update_status"):
        stored_status = message.update_status
        has_end = stored_status.HasField("completed_at")
        status = UpdateStatus(
            state=UpdateState(stored_status.state),
            message=stored_status.message,
            started_at=Timestamp(stored_status.started_at),
            completed_at=Timestamp(stored_status.completed_at) if has_end else None,
            slots_total=stored_status.slots_total,
            failed_tasks=stored_status.failed_tasks,
        )
    return ServiceRecord(
        id=ServiceId(message.id),
        spec=spec,
        version=message.version,
        template_version=message.template_version,
        templates=templates,
        former_images=dict(message.former_images),
        previous_spec=(
            from_proto(ServiceSpec, message.previous_spec)
            if message.HasField("previous_spec")
            else None
        ),
        update_status=status,
        created_at=Timestamp(message.created_at),
        updated_at=Timestamp(message.updated_at),
        is_removing=message.is_removing,
        attempt_floor=message.attempt_floor,
        sealed_auth=message.sealed_auth,
        previous_sealed_auth=message.previous_sealed_auth,
        job=from_proto(JobRecord, message.job) if message.HasField("job") else None,
    )


def decode_placements(node: NodeId, value: bytes) -> list[Task]:
    """Read what `placed_tasks.encode_placements` wrote; observed states are as of that writing.

    When they were reached is not stored: whoever takes the tasks in says what counts.
    """
    message = checked(pb.PlacementsRecord.FromString(value), "placements")
    states = _STATES
    tasks = []
    for group in message.services:
        service = ServiceId(group.service_id)
        for placed in group.tasks:
            slot, attempt = placed.slot, placed.attempt
            if slot:
                home, name = None, task_id_of_slot(service, slot, attempt)
            else:
                home, name = node, task_id(service, 0, node, attempt)
            task = Task(
                name,
                service,
                slot,
                home,
                attempt,
                placed.template_version,
                states[placed.desired],
                Timestamp(placed.created_at),
                node,
                states[placed.observed],
            )
            if placed.granted:
                task.granted = tuple((it.kind, tuple(it.units)) for it in placed.granted)
            tasks.append(task)
    return tasks


def encode_history(service: ServiceState, shard: int, bytes_max: int = HISTORY_BYTES_MAX) -> bytes:
    """Return the stored form of one shard of a service's history; empty when it has nothing.

    Where restart policies count far back, or errors are long, a shard may be more than etcd takes,
    which would end every leadership: then what is least is left out, texts first.
    """
    slots = {slot: it for slot, it in service.history.items() if history_shard(slot) == shard}
    value = _history(slots.values())
    if len(value) <= bytes_max:
        return value
    run_version = service.record.job.run_version if service.record.job is not None else 0
    keep = max(map(len, slots.values()))
    while True:
        kept = [trim(finished, keep, run_version) for finished in slots.values()]
        value = _history([*map(_shortened, finished[:-1]), finished[-1]] for finished in kept)
        if len(value) <= bytes_max:
            return value
        if keep == 1:
            return _history([_shortened(entry) for entry in finished] for finished in kept)
        keep //= 2


def _shortened(entry: FinishedTask) -> FinishedTask:
    return replace(entry, message="", error="", container_id="")


def _history(slots: Iterable[Sequence[FinishedTask]]) -> bytes:
    message = pb.HistoryRecord(schema=SCHEMA)
    for finished in slots:
        for entry in finished:
            stored = message.tasks.add(
                slot=entry.slot,
                home=entry.home or "",
                attempt=entry.attempt,
                template_version=entry.template_version,
                node_id=entry.node_id or "",
                state=entry.state,
                desired=entry.desired,
                created_at=entry.created_at,
                finished_at=entry.finished_at,
                ran_s=entry.ran_s,
                message=entry.message,
                error=entry.error,
                container_id=entry.container_id,
                counts_as_restart=entry.counts_as_restart,
                ends_in_row=entry.ends_in_row,
            )
            if entry.exit_code is not None:
                stored.exit_code = entry.exit_code
    return message.SerializeToString() if message.tasks else b""


def decode_history(service: ServiceId, value: bytes) -> list[FinishedTask]:
    """Read what `encode_history` wrote."""
    message = checked(pb.HistoryRecord.FromString(value), "history")
    return [
        FinishedTask(
            id=task_id(service, entry.slot, NodeId(entry.home) or None, entry.attempt),
            slot=entry.slot,
            home=NodeId(entry.home) or None,
            attempt=entry.attempt,
            template_version=entry.template_version,
            node_id=NodeId(entry.node_id) or None,
            state=TaskState(entry.state),
            desired=TaskState(entry.desired),
            created_at=Timestamp(entry.created_at),
            finished_at=Timestamp(entry.finished_at),
            ran_s=entry.ran_s,
            exit_code=entry.exit_code if entry.HasField("exit_code") else None,
            message=entry.message,
            error=entry.error,
            container_id=entry.container_id,
            counts_as_restart=entry.counts_as_restart,
            ends_in_row=entry.ends_in_row,
        )
        for entry in message.tasks
    ]
