"""One node's liveness against a naive model: whatever is heard, in whatever order.

DOWN stays DOWN until a new session; a stale session changes nothing; no deadline is earlier than
`lost_after_s` after the node was last heard, and the leader's own pauses do not count.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from berth.model.cluster import ClusterSettings
from berth.model.ids import SessionId
from berth.model.instant import NEVER, Instant, after
from berth.model.node import NodeState
from scheduler.core import liveness

SETTINGS = ClusterSettings()
LOST_AFTER_S = SETTINGS.lost_after_s
SECONDS = st.floats(0.0, 40.0).map(lambda seconds: round(seconds, 2))


class Liveness(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = Instant(100.0)
        self.node = liveness.unheard(self.now, SETTINGS)
        self.sessions = 0
        # The model.
        self.session: int | None = None
        self.is_down = False
        self.heard_at = self.now
        self.paused_s = 0.0
        self.patience_s = LOST_AFTER_S * liveness.RECONNECT_FACTOR

    @initialize(nodes=st.sampled_from((3, 1000, 10_000)))
    def size(self, nodes: int) -> None:
        self.nodes = nodes

    def _heard(self, patience_s: float) -> None:
        self.heard_at, self.paused_s, self.patience_s = self.now, 0.0, patience_s

    @rule()
    def join(self) -> None:
        self.sessions += 1
        patience_s = liveness.patience_s(SETTINGS, self.nodes)
        session = SessionId(str(self.sessions))
        self.node = liveness.joined(session, "boot", self.now, patience_s)
        self.session, self.is_down = self.sessions, False
        self._heard(patience_s)

    @rule(age=st.integers(0, 2))
    def hear(self, age: int) -> None:
        session = self.sessions - age
        patience_s = liveness.patience_s(SETTINGS, self.nodes)
        before = self.node
        self.node = liveness.heard(before, SessionId(str(session)), self.now, patience_s)
        if session == self.session:
            self._heard(patience_s)
        else:
            assert self.node is before

    @rule(age=st.integers(0, 2), said_goodbye=st.booleans())
    def end_stream(self, age: int, said_goodbye: bool) -> None:
        session = self.sessions - age
        allowance_s = SETTINGS.agent_restart_grace_s if said_goodbye else LOST_AFTER_S
        before = self.node
        self.node = liveness.disconnected(
            before, SessionId(str(session)), self.now, allowance_s, said_goodbye=said_goodbye
        )
        if session != self.session:
            assert self.node is before
            return
        self.session = None
        if said_goodbye:
            self._heard(allowance_s)

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        self.now = after(self.now, seconds)
        before = self.node
        self.node = liveness.expired(before, self.now)
        silent_s = self.now - self.heard_at - self.paused_s
        if self.is_down:
            assert self.node is before
        elif self.node.state is NodeState.DOWN:
            assert silent_s >= LOST_AFTER_S - 1e-9
            assert self.node.down_at == self.now
            self.is_down, self.session = True, None
        else:
            assert silent_s < self.patience_s + 1e-9

    @rule(seconds=SECONDS)
    def leader_sleeps(self, seconds: float) -> None:
        """It notices before it judges anybody."""
        self.now = after(self.now, seconds)
        self.node = liveness.postponed(self.node, seconds)
        self.paused_s += seconds

    @invariant()
    def agrees_with_the_model(self) -> None:
        assert (self.node.state is NodeState.DOWN) is self.is_down
        assert self.node.session == (None if self.session is None else str(self.session))
        if self.is_down:
            assert self.node.deadline == NEVER
        else:
            assert self.node.deadline - self.heard_at - self.paused_s >= LOST_AFTER_S - 1e-9


TestLiveness = Liveness.TestCase
TestLiveness.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
