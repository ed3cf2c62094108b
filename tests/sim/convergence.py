"""What must hold in the end: once all is mended, what is wanted is what runs.

Duty: say what is not settled yet, and which promise to a user was not kept.
Not here: what must hold at every moment (checkers), what a new leader would find (store_checkers).
"""

from collections.abc import Iterator, Mapping

from berth.model.defaults import effective_replicas
from berth.model.ids import ServiceId
from berth.model.node import NodeState
from berth.model.service import FailureAction
from berth.model.task import Task, TaskState
from scheduler.core.now import Now
from scheduler.core.placement.explain import explain
from scheduler.core.placement.place import why_not
from scheduler.core.restart import GiveUp, plan_restart
from scheduler.core.service_state import ServiceState, SlotKey
from scheduler.core.state import LeaderState
from scheduler.leader import Leader
from tests.sim.cluster import Cluster
from tests.sim.job_checkers import job_unsettled
from tests.sim.specs import STEADY, is_steady
from tests.sim.workload import Promise


def unsettled(cluster: Cluster) -> list[str]:
    """Return what is not as it should be; empty when desired is observed."""
    leaders = [s.leader for s in cluster.schedulers if s.leader is not None]
    if len(leaders) != 1 or leaders[0] is None:
        return [f"{len(leaders)} schedulers lead"]
    leader = leaders[0]
    found = list(_nodes(cluster, leader))
    for service in leader.state.services.values():
        found += _service(cluster, leader.state, service, leader.now())
    found += _surplus(cluster, leader.state)
    return found


def _nodes(cluster: Cluster, leader: Leader) -> Iterator[str]:
    for machine in cluster.machines:
        node = leader.state.nodes.get(machine.id)
        if node is None or machine.id not in leader.desk.sessions:
            yield f"{machine.name} is not connected"
        elif node.state is not NodeState.READY:
            yield f"{machine.name} is {node.state.value}"


def _service(
    cluster: Cluster, state: LeaderState, service: ServiceState, now: Now
) -> Iterator[str]:
    record = service.record
    name = record.spec.name
    if record.is_removing:
        yield f"{name} is still being removed"
        return
    if record.job is not None:
        yield from job_unsettled(service, now.timestamp)
        return
    slots = {*service.slots, *service.phases} - service.closing
    if service.closing:
        yield f"{name}: slots {service.closing} are still closing"
    if not record.is_global and len(slots) != effective_replicas(record.spec.mode):
        yield f"{name}: {len(slots)} slots, wanted {record.spec.mode.replicas}"
    if not is_steady(record.spec) or (record.is_paused and not _is_old_steady(service)):
        for slot in slots:
            wanted = [task for task in service.slots.get(slot, ()) if task.is_wanted]
            if len(wanted) > 2:
                yield f"{name}.{slot}: {len(wanted)} wanted tasks"
        return
    # One that finds no place holds its rollout up; whether that is so is asked of each slot.
    is_stuck = any(_is_waiting(service, slot) for slot in slots)
    for slot in sorted(slots, key=str):
        phase = service.phases.get(slot)
        for why in _slot(cluster, state, service, slot, now, is_stuck=is_stuck):
            yield f"{name}.{slot} ({phase}): {why}"
    status = record.update_status
    if status is not None and status.state.is_active and not is_stuck:
        yield f"{name}: its rollout is {status.state.value} ({status.message})"


def _is_old_steady(service: ServiceState) -> bool:
    """Return whether all templates in use make containers that run on."""
    images = {
        service.record.templates[task.template_version].task.container.image
        for tasks in service.slots.values()
        for task in tasks
    }
    return all(image.partition(":")[0] in STEADY for image in images)


def _is_waiting(service: ServiceState, slot: SlotKey) -> bool:
    return any(task.node_id is None for task in service.slots.get(slot, ()))


def _slot(
    cluster: Cluster,
    state: LeaderState,
    service: ServiceState,
    slot: SlotKey,
    now: Now,
    *,
    is_stuck: bool,
) -> Iterator[str]:
    record = service.record
    wanted = [task for task in service.slots.get(slot, ()) if task.is_wanted]
    if not wanted:
        history = service.history.get(slot, ())
        version = record.template_version
        if record.is_paused and history and history[-1].template_version in record.templates:
            version = history[-1].template_version
        policy = record.templates[version].task.restart
        verdict = plan_restart(history, policy, version, now.timestamp)
        if not isinstance(verdict, GiveUp):
            yield "nothing is wanted there"
        return
    for task in wanted:
        if task.node_id is None:
            yield from _why_waiting(state, service, task)
        elif task.observed != TaskState.RUNNING:
            yield f"attempt {task.attempt} is {task.observed.name}, wanted {task.desired.name}"
        else:
            yield from _really_runs(cluster, task)
            is_current = record.runs_current(task.template_version)
            if not is_current and not record.is_paused and not is_stuck:
                yield f"attempt {task.attempt} has an old template"
    for task in service.slots[slot]:
        if not task.is_wanted:
            yield f"attempt {task.attempt} has not stopped: {task.observed.name}"
    placed = [task for task in wanted if task.node_id is not None]
    if len(placed) > 1:
        yield f"{len(placed)} tasks are wanted there"


def _why_waiting(state: LeaderState, service: ServiceState, task: Task) -> Iterator[str]:
    """A task may wait for ever only if there is no place for it, and it says so."""
    demand = service.demand(task.template_version)
    if task.home is not None:
        reasons = why_not(state.table, task.home, demand)
        if not reasons:
            yield f"attempt {task.attempt} waits, though its node could take it"
        elif not task.reason:
            yield f"attempt {task.attempt} waits, and does not say why"
        return
    explanation = explain(state.table, demand)
    if explanation.candidates:
        yield f"attempt {task.attempt} waits, though {explanation.short()}"


def _really_runs(cluster: Cluster, task: Task) -> Iterator[str]:
    assert task.node_id is not None
    machine = cluster.machine_of(task.node_id)
    running = machine.host.running_tasks() if machine is not None else []
    if not any(container.task.task_id == task.id for container in running):
        yield f"attempt {task.attempt} is said to run on {task.node_id}, and does not"


def _surplus(cluster: Cluster, state: LeaderState) -> Iterator[str]:
    for machine in cluster.machines:
        for container in machine.host.running_tasks():
            task = state.tasks.get(container.task.task_id)
            words = f"{container.task.service_name}.{container.task.slot}.{container.task.attempt}"
            if task is None:
                yield f"{words} runs on {machine.name}, and nobody knows of it"
            elif not task.is_wanted or task.node_id != machine.id:
                yield f"{words} runs on {machine.name}, and is not wanted there"


def broken_promises(promises: Mapping[ServiceId, Promise], leader: Leader) -> Iterator[str]:
    """Yield what users were told and is not so."""
    for service_id, promise in promises.items():
        service = leader.state.services.get(service_id)
        if service is None:
            if promise.must_exist:
                yield f"{promise.name} was created, and is gone"
        elif not promise.may_exist:
            yield f"{promise.name} was removed, and is there"
        else:
            yield from _broken_spec(service, promise)


def broken_labels(zones: Mapping[str, str], leader: Leader) -> Iterator[str]:
    """Yield nodes that have another label than their users were told."""
    for name, zone in zones.items():
        nodes = [n for n in leader.state.nodes.values() if n.description.hostname == name]
        found = [node.spec.labels.get("zone") for node in nodes]
        if found != [zone]:
            yield f"node {name} was given zone {zone}, and has {found}"


def _broken_spec(service: ServiceState, promise: Promise) -> Iterator[str]:
    record = service.record
    if not promise.specs or record.spec in promise.specs:
        return
    before = record.previous_spec
    policy = before.update if before is not None else None
    rolls_back = policy is not None and policy.failure_action is FailureAction.ROLLBACK
    if before in promise.specs and rolls_back:
        return  # It failed, and was rolled back as asked.
    yield f"{promise.name} has another spec than its users were told: {record.spec}"
