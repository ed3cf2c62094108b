"""Count what a cluster has, for metrics: one pass over the leader's memory, in small steps.

Duty: tasks by state, services by convergence, waiting tasks by reason, rollouts, drift.
Not here: metrics themselves (scheduler.metrics). Pure but for being an iterator: whoever drives it
decides how much is counted at a time, and changes between two steps do no harm.
"""

from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from berth.errors import InvalidRequestError
from berth.model.defaults import effective_concurrency, effective_replicas
from berth.model.files import FileKind
from berth.model.image import ImageReference
from berth.model.node import NodeState
from berth.model.task import Task, TaskState
from scheduler.core.placement.demand import Demand
from scheduler.core.placement.explain import explain
from scheduler.core.placement.filters import FilterKind
from scheduler.core.placement.table import NodeTable
from scheduler.core.reconcile import Phase
from scheduler.core.service_record import UpdateState
from scheduler.core.service_state import ServiceState
from scheduler.core.state import LeaderState

SLICE: Final = 1000
"""Tasks counted between two yields: well under a millisecond."""

UNPLACED: Final = "not_placed_yet"
NO_NODES: Final = "no_nodes"
AT_HOME: Final = "own_node"
"""A global service's task waits for its own node, whatever others would take it."""


class Convergence(StrEnum):
    """How near a service is to what its user wants; the first that holds, in this order."""

    REMOVING = "removing"
    PAUSED = "paused"  # Its rollout waits for a user.
    WAITING = "waiting"  # A task has no node.
    UPDATING = "updating"
    CONVERGING = "converging"
    CONVERGED = "converged"


PENDING_REASONS: Final = (
    *(kind.value.replace(" ", "_") for kind in FilterKind),
    UNPLACED,
    NO_NODES,
    AT_HOME,
)


@dataclass(slots=True)
class Census:
    """One count. Every key that can occur is there, with 0 where nothing was found."""

    nodes: Counter[str] = field(default_factory=lambda: Counter({s.value: 0 for s in NodeState}))
    tasks: Counter[TaskState] = field(default_factory=lambda: Counter(dict.fromkeys(TaskState, 0)))
    services: Counter[str] = field(
        default_factory=lambda: Counter({c.value: 0 for c in Convergence})
    )
    pending: Counter[str] = field(
        default_factory=lambda: Counter(dict.fromkeys(PENDING_REASONS, 0))
    )
    rollouts: Counter[str] = field(
        default_factory=lambda: Counter({s.value: 0 for s in UpdateState})
    )
    drifted: int = 0
    configs: int = 0
    secrets: int = 0
    sessions: int = 0


def take_census(state: LeaderState) -> Generator[None, None, Census]:
    """Count everything; yields about every `SLICE` tasks, returns the census."""
    census = Census()
    census.nodes.update(node.state.value for node in state.nodes.values())
    census.configs = state.files.count(FileKind.CONFIG)
    census.secrets = state.files.count(FileKind.SECRET)
    by_state, counted = census.tasks, 0
    for service in list(state.services.values()):
        census.services[convergence(service).value] += 1
        status = service.record.update_status
        if status is not None:
            census.rollouts[status.state.value] += 1
        if service.waiting:
            _count_waiting(state.table, service, census)
        digests: dict[int, str] = {}
        for tasks in list(service.slots.values()):
            for task in tasks:  # The only loop over all tasks: kept tight.
                observed = task.observed
                by_state[observed] += 1
                if observed is TaskState.RUNNING and task.status is not None:
                    pinned = _digest_of(service, task, digests)
                    census.drifted += is_drifted(task, pinned) if pinned else 0
            counted += len(tasks)
            if counted >= SLICE:
                counted = 0
                yield
    return census


def count_now(state: LeaderState) -> Census:
    """Count everything at once."""
    counting = take_census(state)
    while True:
        try:
            next(counting)
        except StopIteration as done:
            census: Census = done.value
            return census


def convergence(service: ServiceState) -> Convergence:
    """Return how near a service is to what its user wants."""
    record = service.record
    status = record.update_status
    if record.is_removing:
        return Convergence.REMOVING
    if record.is_paused:
        return Convergence.PAUSED
    if service.waiting:
        return Convergence.WAITING
    if status is not None and status.state.is_active:
        return Convergence.UPDATING
    if record.job is not None:
        is_busy = record.job.is_under_way or service.closing
        return Convergence.CONVERGING if is_busy else Convergence.CONVERGED
    unsettled = any(
        service.in_phase(phase)
        for phase in (Phase.YOUNG, Phase.OUTDATED, Phase.LEAVING, Phase.REPLACING)
    )
    if unsettled or service.closing or service.running < wanted_tasks(service):
        return Convergence.CONVERGING
    return Convergence.CONVERGED


def wanted_tasks(service: ServiceState) -> int:
    """Return how many tasks a service should have now.

    For a global service: one per node that may have one. For a job, as Swarm counts: as many as may
    be at work at once, or those that have not completed on their nodes.
    """
    record = service.record
    if record.is_removing:
        return 0
    if record.job is not None and record.is_global:
        return len(service.phases.keys() - service.in_phase(Phase.DONE))
    if record.job is not None:
        return effective_concurrency(record.spec.mode)
    if not record.is_global:
        return effective_replicas(record.spec.mode)
    return len(service.phases.keys() - service.closing) - len(service.in_phase(Phase.AWAY))


def pinned_digest(image: str) -> str:
    """Return the digest that an image reference names, "" when it names none."""
    if "@" not in image:
        return ""
    try:
        return ImageReference.from_text(image).digest
    except InvalidRequestError:
        return ""


def is_drifted(task: Task, pinned: str) -> bool:
    """Return whether what a task runs is not the image that its template is pinned to."""
    running = task.status.image_digest if task.status is not None else ""
    return bool(pinned and running and running != pinned)


def _digest_of(service: ServiceState, task: Task, digests: dict[int, str]) -> str:
    """Return the digest that a task's template is pinned to, found once per template."""
    version = task.template_version
    digest = digests.get(version)
    if digest is None:
        template = service.record.templates.get(version)
        image = template.task.container.image if template is not None else ""
        digest = digests[version] = pinned_digest(image)
    return digest


def _count_waiting(table: NodeTable, service: ServiceState, census: Census) -> None:
    reasons: dict[int, str] = {}
    for task in service.waiting.values():
        version = task.template_version
        if task.home is not None:
            census.pending[AT_HOME] += 1
            continue
        if version not in reasons:
            reasons[version] = pending_reason(table, service.demand(version))
        census.pending[reasons[version]] += 1


def pending_reason(table: NodeTable, demand: Demand) -> str:
    """Return the filter that forbids most nodes to a waiting task, as a label's value."""
    found = explain(table, demand)
    if not found.nodes:
        return NO_NODES
    if found.candidates:
        return UNPLACED
    worst = max(found.findings, key=lambda finding: finding.forbids)
    return worst.reason.kind.value.replace(" ", "_")
