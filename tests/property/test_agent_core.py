"""The agent's core under any order of events, against a naive model of one Engine.

The machine below plays leader, Engine and time. It carries out the core's effects when it pleases,
or fails them, and checks after every step what the core promises.
"""

from dataclasses import replace

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from berth.errors import RetryRule
from berth.model.cluster import ClusterSettings
from berth.model.ids import TaskId
from berth.model.instant import Instant, Timestamp
from berth.model.task import TaskState
from nodeagent.core.call_results import (
    CallEnded,
    CallFailed,
    ContainerCreated,
    ContainerSeen,
    ContainerStopped,
    ImagePulled,
)
from nodeagent.core.messages import (
    Assigned,
    CancelCall,
    ContainersListed,
    ContainerStirred,
    CreateContainer,
    DropSession,
    EventsMissed,
    InspectContainer,
    LinkLost,
    ListContainers,
    PullImage,
    RemoveContainer,
    ReportTasks,
    Restored,
    SchedulerSpoke,
    StartContainer,
    StopContainer,
    TaskAssignment,
    Tick,
    Welcomed,
)
from nodeagent.core.record import from_record, silent_for_s, to_record
from nodeagent.core.step import step, step_through
from nodeagent.runtime.port import ContainerState, Health, PulledImage, SeenContainer
from tests.property.agent_world import (
    DESIRED,
    FENCE_S,
    HARM,
    LIMITS,
    NODE,
    RARELY,
    SERVICE,
    TASK_IDS,
    check_rest,
    check_restless,
    template,
    untimed,
)


class AgentMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = Instant(1000.0)
        self.state = from_record(None, NODE, LIMITS, self.now, Timestamp(self.now))
        self.engine: dict[TaskId, SeenContainer] = {}
        self.made: dict[TaskId, int] = {}  # How often a container of the task was started.
        self.calls: list = []
        self.highest: dict[TaskId, TaskState] = {}
        self.epoch = 1
        self.leader_tasks: dict[TaskId, TaskAssignment] = {}
        self.sequence = 0
        self.feed(Restored((), 0.0))

    # --- plumbing --------------------------------------------------------------------------

    def feed(self, *events):
        effects = step_through(self.state, events, self.now)
        self.state.validate()
        for effect in effects:
            self.check(effect)
        return effects

    def check(self, effect):
        match effect:
            case CancelCall(_, call_id):
                self.calls = [call for call in self.calls if call.call_id != call_id]
            case StartContainer(task_id):
                task = self.state.tasks[task_id]
                assert not task.must_stop, "started what must stop"
                has_run = self.made.get(task_id, 0) > 0
                assert not (has_run and self.state.is_connected), "started twice under a leader"
                if self.state.cut_at is not None and has_run:
                    assert self.now >= self.state.cut_at + self.state.settings.lost_after_s
                self.calls.append(effect)
            case RemoveContainer():
                assert self.state.is_synced, "removed on the journal's word alone"
                self.calls.append(effect)
            case DropSession():
                self.cut()
            case ReportTasks(task_ids):
                told = {task_id: self.state.tasks[task_id].observed for task_id in task_ids}
                assert not any(told[it] < self.highest.get(it, 0) for it in told), "one fell"
                self.highest |= told
            case _ if hasattr(effect, "call_id"):
                self.calls.append(effect)
            case _:
                pass

    def cut(self):
        self.sequence = 0
        if self.state.is_connected:
            self.feed(LinkLost(0.0))

    def put(self, task_id, **changes):
        self.engine[task_id] = replace(self.engine[task_id], **changes)
        self.feed(ContainerStirred(task_id))

    # --- the leader ------------------------------------------------------------------------

    @initialize(tasks=st.integers(0, 4), version=st.sampled_from((1, 2)), is_up=st.booleans())
    def join(self, tasks, version, is_up):
        for task_id in TASK_IDS[:tasks]:
            self.leader_tasks[task_id] = TaskAssignment(
                task_id, SERVICE, 1, version, TaskState.RUNNING
            )
        self.connect(False)
        if is_up:
            self.engine_works()

    @precondition(lambda self: not self.state.is_connected)
    @rule(newer=st.booleans())
    def connect(self, newer):
        self.epoch += newer
        self.feed(
            SchedulerSpoke(self.epoch, Welcomed("x", "c1", ClusterSettings(), ("a:1",), "node"))
        )
        self.sequence = 0
        self.send_all()

    @precondition(lambda self: self.state.is_connected)
    @rule(rarely=RARELY)
    def send_all_again(self, rarely):
        if rarely:
            self.send_all()

    def send_all(self):
        self.sequence = 1
        tasks = tuple(self.leader_tasks.values())
        self.feed(SchedulerSpoke(self.epoch, Assigned(True, 1, (template(1), template(2)), tasks)))
        wanted = {task.task_id for task in tasks}
        for task_id, task in self.state.tasks.items():
            assert task_id in wanted or task.is_surplus or task.is_released
        assert wanted <= set(self.state.tasks)

    @rule(
        task_id=st.sampled_from(TASK_IDS),
        desired=st.sampled_from(DESIRED),
        version=st.sampled_from((1, 2)),
    )
    def assign(self, task_id, desired, version):
        """The leader decides; a connected agent hears of it at once. IDs are used once only."""
        known = self.leader_tasks.get(task_id)
        if known is None:
            if task_id in self.made or task_id in self.state.tasks or task_id in self.engine:
                return
            assignment = TaskAssignment(task_id, SERVICE, 1, version, desired)
        else:
            assignment = replace(known, desired=max(known.desired, desired))
        self.leader_tasks[task_id] = assignment
        if self.state.is_connected and self.sequence:
            self.sequence += 1
            said = Assigned(False, self.sequence, (template(version),), (assignment,))
            self.feed(SchedulerSpoke(self.epoch, said))

    @rule(task_id=st.sampled_from(TASK_IDS), rarely=RARELY)
    def forget(self, task_id, rarely):
        if not rarely:
            return
        if self.leader_tasks.pop(task_id, None) and self.state.is_connected and self.sequence:
            self.sequence += 1
            said = Assigned(False, self.sequence, forgotten=(task_id,))
            self.feed(SchedulerSpoke(self.epoch, said))
        self.made.setdefault(task_id, 0)

    @rule(rarely=RARELY)
    def stale_leader_speaks(self, rarely):
        if not rarely or self.state.epoch < 1 or not self.state.is_connected:
            return
        before = {key: (t.desired, t.is_surplus) for key, t in self.state.tasks.items()}
        said = Assigned(True, 1, (), ())
        effects = step(self.state, SchedulerSpoke(self.state.epoch - 1, said), self.now)
        assert next(e for e in effects if isinstance(e, DropSession)).reason == "stale_epoch"
        after = {key: (t.desired, t.is_surplus) for key, t in self.state.tasks.items()}
        assert after.items() <= before.items()  # Nothing new; what was on its way out may be out.
        for effect in effects:
            if not isinstance(effect, DropSession):
                self.check(effect)
        self.cut()

    @precondition(lambda self: self.state.is_connected)
    @rule(silent=st.sampled_from((0.0, 2.0)))
    def link_breaks(self, silent):
        self.sequence = 0
        self.feed(LinkLost(silent))

    # --- the Engine ------------------------------------------------------------------------

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), outcome=st.sampled_from(("ok", "ok", "ok", "later", "never", "lost")))
    def call_ends(self, data, outcome):
        call = self.calls.pop(data.draw(st.integers(0, len(self.calls) - 1)))
        if isinstance(call, ListContainers):
            self.feed(ContainersListed(call.call_id, tuple(self.engine.values())))
            return
        if outcome != "lost" or isinstance(call, (PullImage, InspectContainer)):
            is_refused = outcome in ("later", "never")
        else:
            is_refused = False
        result = None if is_refused else self.carry_out(call)
        if is_refused or outcome == "lost":  # Lost: it happened, and the answer did not arrive.
            retry = RetryRule.NEVER if outcome == "never" else RetryRule.LATER
            result = CallFailed(call.task_id, call.call_id, "no", retry)
        self.feed(result)

    @precondition(lambda self: self.calls)
    @rule()
    def engine_works(self):
        """Most of the time an Engine does what it is asked; without this, little would happen."""
        for _ in range(50):
            if not self.calls:
                break
            self.answer(self.calls.pop(0))

    def answer(self, call):
        self.feed(self.answer_to(call))

    def answer_to(self, call):
        if isinstance(call, ListContainers):
            return ContainersListed(call.call_id, tuple(self.engine.values()))
        return self.carry_out(call)

    @precondition(lambda self: len(self.calls) > 1)
    @rule(stirs=st.booleans())
    def answers_come_in_a_crowd(self, stirs):
        """What comes in one round of the loop is taken in together."""
        calls, self.calls = self.calls, []
        events = [self.answer_to(call) for call in calls]
        if stirs:
            events[1:1] = [ContainerStirred(task_id) for task_id in sorted(self.engine)]
        self.feed(*events)

    def carry_out(self, call):
        task_id, call_id = call.task_id, call.call_id
        match call:
            case PullImage():
                name = call.task.task.container.image
                return ImagePulled(task_id, call_id, PulledImage(name, "sha256:1", "i", "l"))
            case CreateContainer():
                if is_new := task_id not in self.engine:
                    self.engine[task_id] = SeenContainer(
                        f"c-{task_id}", task_id, ContainerState.CREATED
                    )
                container_id = self.engine[task_id].container_id
                return ContainerCreated(task_id, call_id, container_id, is_new)
            case StartContainer():
                if task_id not in self.engine:
                    return CallFailed(task_id, call_id, "no such container", RetryRule.NEVER)
                self.made[task_id] = self.made.get(task_id, 0) + 1
                self.engine[task_id] = replace(
                    self.engine[task_id], state=ContainerState.RUNNING, health=Health.NONE
                )
                if self.made[task_id] % 2:  # Now and then it is looked at right after its start.
                    return ContainerSeen(task_id, call_id, self.engine[task_id])
                return CallEnded(task_id, call_id)
            case StopContainer():
                found = self.engine.get(task_id)
                was_told = found is not None and found.state is ContainerState.RUNNING
                if was_told:
                    self.engine[task_id] = replace(
                        found, state=ContainerState.EXITED, exit_code=143
                    )
                return ContainerStopped(task_id, call_id, was_told)
            case RemoveContainer():
                self.engine.pop(task_id, None)
                return CallEnded(task_id, call_id)
            case InspectContainer():
                return ContainerSeen(task_id, call_id, self.engine.get(task_id))

    @precondition(lambda self: self.engine)
    @rule(data=st.data(), change=st.sampled_from(HARM))
    def container_ends_or_falls_ill(self, data, change):
        task_id = data.draw(st.sampled_from(sorted(self.engine)))
        if self.engine[task_id].state is ContainerState.RUNNING:
            self.put(task_id, **change)

    @precondition(lambda self: self.engine)
    @rule(data=st.data())
    def somebody_starts_a_container(self, data):
        """Of one that runs already this is late news of our own start."""
        task_id = data.draw(st.sampled_from(sorted(self.engine)))
        if self.engine[task_id].state is not ContainerState.CREATED:
            self.engine[task_id] = replace(self.engine[task_id], state=ContainerState.RUNNING)
            self.feed(ContainerStirred(task_id, is_start=True))

    @precondition(lambda self: self.engine)
    @rule(data=st.data())
    def somebody_removes_a_container(self, data):
        task_id = data.draw(st.sampled_from(sorted(self.engine)))
        del self.engine[task_id]
        self.feed(ContainerStirred(task_id))

    @rule(rarely=RARELY)
    def engine_events_have_a_gap(self, rarely):
        if rarely:
            self.feed(EventsMissed("reconnected"))

    # --- time and the agent itself ---------------------------------------------------------

    @rule(delay_s=st.sampled_from((0.1, 1.0, 6.0, 40.0, 200.0)))
    def time_passes(self, delay_s):
        self.now = Instant(self.now + delay_s)
        if self.now >= self.state.wake_at:
            self.feed(Tick())
            assert self.state.wake_at > self.now

    @rule(rarely=RARELY)
    def agent_restarts(self, rarely):
        if not rarely:
            return
        wall = Timestamp(self.now)
        record = to_record(self.state, self.now, wall)
        self.now = Instant(self.now + 1)
        self.calls = []
        self.sequence = 0
        self.state = from_record(record, NODE, LIMITS, self.now, wall)
        gap_s = silent_for_s(record, Timestamp(self.now), 0.0)
        self.feed(Restored(tuple(self.engine.values()), gap_s))

    # --- promises --------------------------------------------------------------------------

    @invariant()
    def the_journal_is_as_if_made_anew(self) -> None:
        """A record kept from before is still true: no step changed a task and kept it."""
        wall = Timestamp(1_700_000_000.0 + self.now)
        kept = to_record(self.state, self.now, wall)
        for task in self.state.tasks.values():
            task.recorded = None
        fresh = to_record(self.state, self.now, wall)
        assert [untimed(it) for it in kept.tasks] == [untimed(it) for it in fresh.tasks]

    @invariant()
    def nothing_is_due_for_who_is_at_rest(self):
        check_restless(self.state, self.now)

    @invariant()
    def observed_never_falls(self):
        for task_id, task in self.state.tasks.items():
            if not task.is_surplus:
                assert task.observed >= self.highest.get(task_id, TaskState.NEW)

    @invariant()
    def a_fenced_task_is_on_its_way_out(self):
        if self.state.cut_at is None or self.now < self.state.heard_at + FENCE_S:
            return
        if self.now >= self.state.wake_at:
            return  # Its tick is about to come.
        for task in self.state.tasks.values():
            if task.assignment.template_version == 2 and not task.is_surplus:
                assert task.must_stop or task.observed.is_terminal

    def teardown(self):
        """Liveness: with a leader, a working Engine and time, all comes to rest as wanted."""
        if not self.state.is_connected:
            self.connect(False)
        self.send_all()
        for _ in range(400):
            while self.calls:
                self.answer(self.calls.pop(0))
            if self.state.wake_at == float("inf"):
                break
            self.now = Instant(max(self.state.wake_at, self.now))
            self.feed(Tick())
        assert not self.calls
        assert not any(self.state.waiting.values())
        assert set(self.state.tasks) <= set(self.leader_tasks)
        check_rest(self.state, self.engine)


AgentMachine.TestCase.settings = settings(max_examples=300, stateful_step_count=80, deadline=None)
TestAgentCore = AgentMachine.TestCase
