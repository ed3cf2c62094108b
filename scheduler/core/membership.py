"""Nodes come, tell, go silent, return, flap and leave.

Duty: fold what agents say, and what they fail to say, into the state, and mark what must be looked
at again. The verdicts on silence are `liveness`'s. Not here: replacing tasks (reconcile).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from berth.model.ids import NodeId, ServiceId, SessionId
from berth.model.instant import NEVER, Instant, Timestamp, after, remaining_s
from berth.model.node import Availability, Node, NodeDescription, NodeState
from berth.model.task import Task, TaskState, TaskStatus
from scheduler.core import liveness
from scheduler.core.now import Now
from scheduler.core.placement.bits import without
from scheduler.core.placement.filters import matching
from scheduler.core.placement.place import suits
from scheduler.core.reports import fold_reports
from scheduler.core.service_state import ServiceState, noted, slot_of, strike
from scheduler.core.state import LeaderState

DEPARTING = "its machine is being shut down"
DEPARTED = "its machine was shut down"
ENGINE_AWAY = "its Docker Engine does not answer"


@dataclass(frozen=True, slots=True)
class Joined:
    """What a joining agent told of itself."""

    node: NodeId
    session: SessionId
    boot_id: str
    description: NodeDescription
    statuses: tuple[TaskStatus, ...]
    certified_as: str = ""
    """The name in the agent's certificate, "" without TLS."""
    is_departing: bool = False
    """Its machine is being shut down."""


def join(state: LeaderState, hello: Joined, now: Now) -> None:
    """Begin a session: the node is READY from here on, whatever it was before."""
    patience = liveness.patience_s(state.cluster.settings, len(state.nodes))
    watch(
        state,
        hello.node,
        liveness.joined(hello.session, hello.boot_id, now.instant, patience),
    )
    known = state.nodes.get(hello.node)
    message = DEPARTING if hello.is_departing else ""
    if known is None:
        node = Node(
            id=hello.node,
            description=hello.description,
            state=NodeState.READY,
            created_at=now.timestamp,
            updated_at=now.timestamp,
            certified_as=hello.certified_as,
            is_departing=hello.is_departing,
            message=message,
        )
    else:
        node = replace(
            known,
            state=NodeState.READY,
            down_since=None,
            message=message,
            certified_as=known.certified_as or hello.certified_as,
            is_departing=hello.is_departing,
        )
        if node.description != hello.description:
            node = replace(node, description=hello.description)
    put_node(state, node, now, save=node != known and _is_worth_saving(known, node))
    report(state, hello.node, hello.session, hello.statuses, now)


def _is_worth_saving(known: Node | None, node: Node) -> bool:
    # Ready, unknown and disconnected come and go with sessions; only DOWN must outlive a leader.
    return known is None or replace(known, state=node.state, message=node.message) != node


def describe(state: LeaderState, node: NodeId, description: NodeDescription, now: Now) -> None:
    """Take over facts that changed while the agent is connected."""
    known = state.nodes[node]
    if known.description != description:
        put_node(state, replace(known, description=description), now)


def hear(state: LeaderState, node: NodeId, session: SessionId, now: Instant) -> bool:
    """Note that a session is alive; False when it is not the node's session any more."""
    known = state.liveness.get(node)
    if known is None or known.session != session:
        return False
    patience = liveness.patience_s(state.cluster.settings, len(state.nodes))
    watch(state, node, liveness.heard(known, session, now, patience))
    return True


def expect(state: LeaderState, node: NodeId, now: Instant) -> None:
    """Note that the agent of a node which this leader has not heard yet is about to join."""
    known = state.liveness.get(node)
    if known is not None and known.state is NodeState.UNKNOWN:
        watch(state, node, liveness.unheard(now, state.cluster.settings))


def depart(state: LeaderState, node: NodeId, session: SessionId, now: Now) -> None:
    """Fold in that a node's machine is being shut down: its tasks leave, it gets no new ones.

    What its operator wants of it stays as it is. Not stored for its own sake: the agent tells it to
    every leader that it meets, until it is gone; its next hello without it ends it.
    """
    if hear(state, node, session, now.instant) and not state.nodes[node].is_departing:
        departing = replace(state.nodes[node], is_departing=True, message=DEPARTING)
        put_node(state, departing, now, save=False)


def report(
    state: LeaderState,
    node: NodeId,
    session: SessionId,
    statuses: Iterable[TaskStatus],
    now: Now,
) -> list[Task]:
    """Fold in what an agent observed; of tasks that are not on its node it has nothing to say.

    Returns the tasks that began to run by this report.
    """
    if not hear(state, node, session, now.instant):
        return []
    return fold_reports(state, node, statuses, now)


def leave(
    state: LeaderState,
    node: NodeId,
    session: SessionId,
    now: Now,
    *,
    is_planned: bool,
    is_engine_away: bool = False,
) -> None:
    """Fold in the end of a session's stream; `is_planned` after the agent's goodbye.

    A machine that goes down is not waited for as an agent that restarts is.
    """
    known = state.liveness.get(node)
    if known is None or known.session != session:
        return
    settings = state.cluster.settings
    is_departing = state.nodes[node].is_departing
    allowance_s = settings.agent_restart_grace_s if is_planned and not is_departing else 0.0
    allowance_s = max(allowance_s, settings.lost_after_s)
    gone = liveness.disconnected(known, session, now.instant, allowance_s, said_goodbye=is_planned)
    watch(state, node, gone)
    message = "the agent is restarting" if is_planned else "the agent's connection broke"
    if is_engine_away:
        message = ENGINE_AWAY
    if is_departing:
        message = DEPARTING
    changed = replace(state.nodes[node], state=NodeState.DISCONNECTED, message=message)
    put_node(state, changed, now, save=False)


def expire(state: LeaderState, now: Now) -> list[NodeId]:
    """Declare lost every node whose deadline has passed; return them."""
    if now.instant < state.expiry_at:
        return []
    lost = []
    for node_id in sorted(state.liveness):
        before = state.liveness[node_id]
        verdict = liveness.expired(before, now.instant)
        if verdict is before:
            continue
        state.liveness[node_id] = verdict
        silent_s = now.instant - before.heard_at
        known = state.nodes[node_id]
        lost_at = (*_recent(known.lost_at, now.timestamp), now.timestamp)
        node = replace(
            known,
            state=NodeState.DOWN,
            message=_why_lost(known, silent_s),
            down_since=now.timestamp,
            # A machine that is restarted on purpose, however often, is none that flaps.
            lost_at=known.lost_at if known.is_departing else lost_at,
        )
        put_node(state, node, now)
        lost.append(node_id)
    state.expiry_at = min((known.deadline for known in state.liveness.values()), default=NEVER)
    return lost


def _why_lost(node: Node, silent_s: float) -> str:
    if node.is_departing:
        return DEPARTED
    silence = f"not heard for {silent_s:.1f} s"
    return f"{node.message}; {silence}" if node.message == ENGINE_AWAY else silence


def watch(state: LeaderState, node: NodeId, known: liveness.NodeLiveness) -> None:
    """Keep what is known of a node's session, and by when `expire` must look again.

    Deadlines move on with every message; only the earliest is kept, as a bound that is never too
    late, so that 10,000 nodes are looked through once in a while and not every turn.
    """
    state.liveness[node] = known
    if known.deadline < state.expiry_at:
        state.expiry_at = known.deadline


def postpone(state: LeaderState, pause_s: float) -> None:
    """Move all deadlines by a pause of the leader's own."""
    for node_id, known in state.liveness.items():
        state.liveness[node_id] = liveness.postponed(known, pause_s)


def orphan(state: LeaderState, now: Now) -> list[NodeId]:
    """Give up the tasks of nodes that have been down for `orphan_after_s`; return these nodes.

    The age is that of the stored time stamp, clamped, so that the timer survives its leader.
    """
    delay_s = state.cluster.settings.orphan_after_s
    given_up = []
    for node_id in sorted(state.nodes):
        node = state.nodes[node_id]
        if node.down_since is None or not state.node_tasks.get(node_id):
            continue
        if remaining_s(node.down_since, delay_s, now.timestamp) > 0:
            continue
        for task in list(state.node_tasks[node_id]):
            orphan_task(state, task, now, f"its node has been down for {delay_s / 3600:g} h")
        given_up.append(node_id)
    return given_up


def orphan_task(state: LeaderState, task: Task, now: Now, reason: str) -> None:
    """End a task whose node will not tell of it any more."""
    status = TaskStatus(task.id, TaskState.ORPHANED, error=reason)
    state.observe(task, status, now)


def put_node(state: LeaderState, node: Node, now: Now, *, save: bool = True) -> None:
    """Store a node and mark every slot that the change may concern."""
    known = state.nodes.get(node.id)
    hold_s = _hold_s(node, now.timestamp)
    accepting, why_not = _accepts(node, hold_s)
    if node.state is NodeState.READY and hold_s > 0:
        node = replace(node, message=why_not)
        state.flapping[node.id] = after(now.instant, hold_s)
    if save:
        node = replace(node, updated_at=now.timestamp)
    state.put_node(node, accepting=accepting, why_not=why_not, save=save)
    for task in state.node_tasks[node.id]:
        state.mark_slot(task.service_id, slot_of(task))
    facts_changed = (
        known is None or known.spec != node.spec or known.description != node.description
    )
    if facts_changed:
        check_places(state, node.id)
    if facts_changed or node.state is not NodeState.DOWN:
        state.mark_globals()


def release_flapping(state: LeaderState, now: Now) -> None:
    """Let nodes take tasks again whose holding time is over."""
    for node_id in [n for n, until in sorted(state.flapping.items()) if until <= now.instant]:
        del state.flapping[node_id]
        node = state.nodes.get(node_id)
        if node is not None and node.state is NodeState.READY:
            put_node(state, replace(node, message=""), now, save=False)


def check_places(state: LeaderState, node: NodeId) -> None:
    """Note which tasks of a node no longer satisfy their service's placement constraints."""
    verdicts: dict[ServiceId, bool] = {}
    for task in list(state.node_tasks.get(node, ())):
        service = state.services[task.service_id]
        if service.record.is_global:
            continue
        if task.service_id not in verdicts:
            demand = service.demand(service.record.live_version)
            verdicts[task.service_id] = suits(state.table, node, demand)
        if verdicts[task.service_id] != (task.id not in service.misplaced):
            if task.id in service.misplaced:
                strike(service.misplaced, task.id)
            else:
                service.misplaced = noted(service.misplaced, (task.id,))
            state.mark_slot(task.service_id, slot_of(task))


def check_places_of(state: LeaderState, service: ServiceState) -> None:
    """Do what `check_places` does, for all nodes and one service, which is looked at as a whole."""
    if service.record.is_global:
        return
    demand = service.demand(service.record.live_version)
    unfit = without(state.table.present, matching(state.table, demand))
    nodes = frozenset(state.table.node_ids(unfit)) if unfit else frozenset()
    held = (task for tasks in service.slots.values() for task in tasks) if nodes else ()
    service.misplaced = noted(frozenset(), (task.id for task in held if task.node_id in nodes))


def _recent(lost_at: tuple[Timestamp, ...], now: Timestamp) -> tuple[Timestamp, ...]:
    return tuple(at for at in lost_at if 0 <= now - at < liveness.FLAP_WINDOW_S)


def _hold_s(node: Node, now: Timestamp) -> float:
    recent = _recent(node.lost_at, now)
    if not recent:
        return 0.0
    hold_s = liveness.flap_hold_s(len(recent))
    return remaining_s(recent[-1], hold_s, now) if hold_s else 0.0


def _accepts(node: Node, hold_s: float) -> tuple[bool, str]:
    if node.state is not NodeState.READY:
        return False, node.state.value
    if node.is_departing:
        return False, "shutting down"
    if node.spec.availability is Availability.DRAIN:
        return False, "draining"
    if node.spec.availability is Availability.PAUSE:
        return False, "paused"
    if hold_s > 0:
        return False, "flapping"
    return True, ""
