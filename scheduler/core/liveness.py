"""Which nodes are alive, from what their agents let us hear.

Duty: turn messages, broken streams and silence into READY, DISCONNECTED, DOWN, with one deadline a
node. Not here: storing the verdict and replacing tasks (scheduler.core.membership).

A broken stream is not a lost node: the agent may be restarting, or its path may have changed. A
node is lost `lost_after_s` after it was last heard; that a stream ended puts nothing off, since a
dead machine's stream ends too, once its PINGs are not answered. Where heartbeats are so rare that
the patience is longer, a broken stream shortens it to `lost_after_s`. An agent that says goodbye is
given `agent_restart_grace_s`. When the
leader itself was not running for a while (a long pause), every deadline moves by as much: its own
sleep proves nothing about others.

Invariants (tests/property/test_liveness.py): DOWN stays DOWN until a new session; a stale session
changes nothing; no deadline is ever earlier than `lost_after_s` after the node was last heard.
"""

from dataclasses import dataclass, replace

from berth.model.cluster import ClusterSettings
from berth.model.ids import SessionId
from berth.model.instant import NEVER, START, Instant, after
from berth.model.node import NodeState

RECONNECT_FACTOR = 3.0
"""A new leader waits this many times `lost_after_s` for the nodes that it has not heard yet."""

FLAP_WINDOW_S = 600.0
FLAP_LOSSES = 3
FLAP_HOLD_S = 30.0
FLAP_HOLD_MAX_S = 480.0


@dataclass(frozen=True, slots=True)
class NodeLiveness:
    """What the leader knows of one agent's session; only in memory.

    `deadline` is when it becomes DOWN unless something is heard before.
    """

    state: NodeState
    session: SessionId | None = None
    heard_at: Instant = START
    deadline: Instant = NEVER
    down_at: Instant | None = None
    boot_id: str = ""


def heartbeat_period_s(settings: ClusterSettings, nodes: int) -> float:
    """Return how often agents of a cluster of `nodes` nodes should send a heartbeat.

    A heartbeat costs the leader about 0.2 ms, so that their number a second is held at 100. In a
    small cluster three fit into `lost_after_s`; in a large one the kernel notices a dead machine,
    PINGs a process that does not turn, and the heartbeat only proves that the agent's loop does.
    """
    if settings.heartbeat_period_s:
        return settings.heartbeat_period_s
    return min(max(settings.lost_after_s / 5.0, nodes / 100.0), 60.0)


def patience_s(settings: ClusterSettings, nodes: int) -> float:
    """Return how long a connected agent may be silent."""
    return max(settings.lost_after_s, 3.0 * heartbeat_period_s(settings, nodes))


def unheard(now: Instant, settings: ClusterSettings) -> NodeLiveness:
    """Return the liveness of a node that a new leader has not heard yet."""
    deadline = after(now, settings.lost_after_s * RECONNECT_FACTOR)
    return NodeLiveness(NodeState.UNKNOWN, heard_at=now, deadline=deadline)


def joined(session: SessionId, boot_id: str, now: Instant, patience: float) -> NodeLiveness:
    """Return the liveness of a node whose new session has begun; whatever was before is over."""
    return NodeLiveness(NodeState.READY, session, now, after(now, patience), None, boot_id)


def heard(node: NodeLiveness, session: SessionId, now: Instant, patience: float) -> NodeLiveness:
    """Fold in any message of `session`; one of an earlier session changes nothing."""
    if node.session != session:
        return node
    # Not by `replace`: that takes three times as long, and so many heartbeats come.
    deadline = after(now, patience)
    return NodeLiveness(node.state, session, now, deadline, node.down_at, node.boot_id)


def disconnected(
    node: NodeLiveness,
    session: SessionId,
    now: Instant,
    allowance_s: float,
    *,
    said_goodbye: bool = False,
) -> NodeLiveness:
    """Fold in the end of a session's stream.

    Args:
        node: as it is.
        session: whose stream ended; one of an earlier session changes nothing.
        now: the end of the stream.
        allowance_s: how long it may take to come back.
        said_goodbye: whether the agent ended it, and so lived at that moment.
    """
    if node.session != session:
        return node
    deadline = after(now, allowance_s)
    if not said_goodbye:
        deadline = min(deadline, node.deadline)
    return replace(node, state=NodeState.DISCONNECTED, session=None, deadline=deadline)


def expired(node: NodeLiveness, now: Instant) -> NodeLiveness:
    """Return the node as DOWN if its deadline has passed."""
    if node.state is NodeState.DOWN or now < node.deadline:
        return node
    return replace(node, state=NodeState.DOWN, session=None, deadline=NEVER, down_at=now)


def postponed(node: NodeLiveness, pause_s: float) -> NodeLiveness:
    """Return the node with its deadline moved by a pause of the leader itself."""
    if node.deadline == NEVER:
        return node
    return replace(node, deadline=after(node.deadline, pause_s))


def flap_hold_s(losses: int) -> float:
    """Return for how long a returning node gets no new tasks after `losses` within the window."""
    if losses < FLAP_LOSSES:
        return 0.0
    return min(FLAP_HOLD_S * 2.0 ** (losses - FLAP_LOSSES), FLAP_HOLD_MAX_S)
