"""What users may ask for, as changes of the leader's memory.

Each function refuses whole, by a `BerthError`, or changes everything that it means to. The caller
(scheduler.leader) answers its user only once the change is durable. Validation of specs comes
before (scheduler.control.validate).
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from berth.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    OutOfSequenceError,
)
from berth.model.cluster import ClusterSettings
from berth.model.ids import NodeId, ServiceId
from berth.model.node import Node, NodeSpec, NodeState
from berth.model.service import ServiceSpec
from scheduler.core.file_commands import require_files, require_files_of_rollback
from scheduler.core.membership import orphan_task, put_node
from scheduler.core.new_specs import put_new_spec
from scheduler.core.now import Now
from scheduler.core.service_record import ServiceRecord, create_record, roll_back, update_spec
from scheduler.core.service_state import ServiceState
from scheduler.core.state import LeaderState


def find_service(state: LeaderState, name: str) -> ServiceState:
    """Return the service by full ID, else exact name, else unique prefix of its ID.

    Raises:
        NotFoundError: there is none.
        InvalidRequestError: the prefix is ambiguous; give more of it.
    """
    by_id = state.services.get(ServiceId(name))
    if by_id is not None and not by_id.record.is_removing:
        return by_id
    if name in state.names:
        return state.services[state.names[name]]
    found = [
        service
        for service_id, service in state.services.items()
        if name and service_id.startswith(name) and not service.record.is_removing
    ]
    if len(found) > 1:
        raise InvalidRequestError(
            f'service "{name}" is ambiguous: {len(found)} IDs begin so; give more of the ID'
        )
    if not found:
        raise NotFoundError(f'service "{name}" not found; list services to see what there is')
    return found[0]


def find_node(state: LeaderState, name: str) -> Node:
    """Return the node by full ID, else exact host name, else unique prefix of its ID.

    Raises:
        NotFoundError: there is none.
        InvalidRequestError: ambiguous; use the ID.
    """
    by_id = state.nodes.get(NodeId(name))
    if by_id is not None:
        return by_id
    named = [node for node in state.nodes.values() if node.description.hostname == name]
    found = named or [n for n in state.nodes.values() if name and n.id.startswith(name)]
    if len(found) > 1:
        what = "nodes have this name" if named else "IDs begin so"
        raise InvalidRequestError(f'node "{name}" is ambiguous: {len(found)} {what}; use the ID')
    if not found:
        raise NotFoundError(f'node "{name}" not found; list nodes to see what there is')
    return found[0]


def check_new_name(state: LeaderState, name: str) -> None:
    """Refuse a name that a service has already.

    Raises:
        AlreadyExistsError: it is taken.
    """
    if name in state.names:
        raise AlreadyExistsError(
            f'service "{name}" already exists; choose another name, or update or remove that one'
        )


def create_service(
    state: LeaderState, service: ServiceId, spec: ServiceSpec, sealed_auth: bytes, now: Now
) -> ServiceRecord:
    """Add a service.

    Raises:
        AlreadyExistsError: a service of that name exists.
        InvalidRequestError: it refers to configs or secrets that are not there (any more).
    """
    check_new_name(state, spec.name)
    require_files(state, spec)
    record = create_record(service, spec, now.timestamp, sealed_auth)
    state.put_service(record)
    return record


def update_service(
    state: LeaderState,
    service: ServiceState,
    spec: ServiceSpec,
    version: int,
    sealed_auth: bytes,
    now: Now,
) -> ServiceRecord:
    """Replace a service's spec; its rollout, if the template changed, follows by itself.

    Args:
        state: the memory.
        service: which.
        spec: validated, with its image pinned.
        version: that the user had read; 0 = whatever is newest.
        sealed_auth: registry credentials to keep with it.
        now: this turn's time.

    Raises:
        OutOfSequenceError: somebody else changed it meanwhile.
        InvalidRequestError: it refers to configs or secrets that are not there (any more).
    """
    check_version(service.record, version)
    require_files(state, spec)
    record = update_spec(service.record, spec, now.timestamp, sealed_auth)
    put_new_spec(state, service, record)
    return service.record


def roll_back_service(
    state: LeaderState, service: ServiceState, version: int, now: Now
) -> ServiceRecord:
    """Swap a service's spec with its previous one.

    Raises:
        OutOfSequenceError: somebody else changed it meanwhile.
        ConflictError: it was never updated, or what it then referred to is gone.
    """
    check_version(service.record, version)
    record = roll_back(service.record, now.timestamp, "manually requested rollback")
    require_files_of_rollback(state, record.spec)
    put_new_spec(state, service, record)
    return service.record


def check_version(record: ServiceRecord, version: int) -> None:
    """Refuse a write that rests on an old reading.

    Raises:
        OutOfSequenceError: `version` is not 0 and not the newest.
    """
    if version not in (0, record.version):
        # Clients of Docker match these very words.
        raise OutOfSequenceError(
            f'update out of sequence: service "{record.spec.name}" is at version '
            f"{record.version}, not {version}; read it again and repeat the change"
        )


def remove_service(state: LeaderState, service: ServiceState) -> None:
    """Begin to remove a service; its name is free at once, its record goes with its last task."""
    state.put_service(replace(service.record, is_removing=True))


def update_node(state: LeaderState, node: Node, spec: NodeSpec, version: int, now: Now) -> Node:
    """Replace what operators set on a node.

    Raises:
        OutOfSequenceError: somebody else changed it meanwhile.
    """
    if version not in (0, node.version):
        raise OutOfSequenceError(
            f'update out of sequence: node "{node.description.hostname}" is at version '
            f"{node.version}, not {version}; read it again and repeat the change"
        )
    if spec == node.spec:
        return node
    put_node(state, replace(node, spec=spec, version=node.version + 1), now)
    return state.nodes[node.id]


def changed_labels(
    labels: Mapping[str, str], add: Mapping[str, str], remove: Iterable[str]
) -> dict[str, str]:
    """Return `labels` after an update; what is removed and added at once is there afterwards."""
    gone = set(remove)
    return {**{key: value for key, value in labels.items() if key not in gone}, **add}


def remove_node(state: LeaderState, node: Node, now: Now, *, force: bool) -> None:
    """Forget a node; tasks that it had are orphans and are replaced.

    Raises:
        ConflictError: `force` is not set, and it is connected, or a fenced service's task may still
            run there: to replace that one now could make two.
    """
    is_up = node.state not in (NodeState.DOWN, NodeState.DISCONNECTED)
    if is_up and not force:
        raise ConflictError(
            f'node "{node.description.hostname}" is {node.state.value} and cannot be removed: '
            "drain it and stop its agent first, or force the removal"
        )
    fenced = sorted(
        state.services[task.service_id].record.spec.name
        for task in state.node_tasks.get(node.id, ())
        if task.is_wanted and task.is_alive and state.services[task.service_id].record.is_fenced
    )
    if fenced and not force:
        raise ConflictError(
            f'node "{node.description.hostname}" may still run a task of the fenced service '
            f'"{fenced[0]}": wait until that is replaced elsewhere, or force the removal once the '
            "machine is surely off"
        )
    for task in list(state.node_tasks.get(node.id, ())):
        orphan_task(state, task, now, "its node was removed from the cluster")
        state.finish_task(task)
    state.mark_globals()
    state.drop_node(node.id)


def update_settings(state: LeaderState, settings: ClusterSettings, version: int) -> None:
    """Replace the cluster's settings.

    Raises:
        OutOfSequenceError: somebody else changed them meanwhile.
        InvalidRequestError: lists every fault.
    """
    if version not in (0, state.cluster.version):
        raise OutOfSequenceError(
            f"update out of sequence: the cluster is at version {state.cluster.version}, "
            f"not {version}; read it again and repeat the change"
        )
    settings.validate()
    state.cluster = replace(state.cluster, settings=settings, version=state.cluster.version + 1)
    state.unsaved.cluster = True
