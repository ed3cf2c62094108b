"""The node, the service and its two templates that the agent's core is tried with, and its rest."""

from collections.abc import Mapping
from dataclasses import replace

import hypothesis.strategies as st

from berth.model.ids import NodeId, ServiceId, TaskId
from berth.model.instant import Instant, Timestamp
from berth.model.service import ContainerSpec, RestartCondition, RestartPolicy, TaskSpec
from berth.model.task import TaskState
from nodeagent.core.advance import advance, gate_of, restless
from nodeagent.core.messages import TaskTemplate
from nodeagent.core.record import TaskRecord
from nodeagent.core.state import AgentState, Lane, LaneLimits, Phase
from nodeagent.runtime.port import ContainerState, Health, SeenContainer

NODE = NodeId("n1")
SERVICE = ServiceId("s1")
LIMITS = LaneLimits(prepare=2, start=2, stop=3, look=2)
TASK_IDS = tuple(TaskId(f"t{number}") for number in range(5))
DESIRED = (TaskState.READY, TaskState.RUNNING, TaskState.SHUTDOWN, TaskState.REMOVE)
FENCE_S = 30.0
HARM = (
    {"state": ContainerState.EXITED, "exit_code": 0},
    {"state": ContainerState.EXITED, "exit_code": 1},
    {"health": Health.UNHEALTHY},
)
"""What becomes of a container that runs."""

RARELY = st.sampled_from((False, False, False, True))


def template(version: int) -> TaskTemplate:
    """Version 2 asks for self-fencing, and is never restarted."""
    labels = {"berth.fence": f"after:{FENCE_S:.0f}s"} if version == 2 else {}
    condition = RestartCondition.NONE if version == 2 else RestartCondition.ANY
    task = TaskSpec(
        container=ContainerSpec(image="app" if version == 2 else "app@sha256:1"),
        restart=RestartPolicy(condition=condition),
    )
    return TaskTemplate(SERVICE, "web", version, task=task, service_labels=labels)


def untimed(record: TaskRecord) -> TaskRecord:
    return replace(record, observed_at=Timestamp(0.0))


def check_rest(state: AgentState, engine: Mapping[TaskId, SeenContainer]) -> None:
    """Assert that all is as wanted, where nothing is under way any more."""
    for task in state.tasks.values():
        if task.desired > TaskState.COMPLETE:
            assert task.observed.is_terminal
            assert task.phase is not Phase.UP
        elif task.desired is TaskState.RUNNING and not task.observed.is_terminal:
            assert task.observed is TaskState.RUNNING
    for task_id, seen in engine.items():
        if seen.state is ContainerState.RUNNING:
            assert state.tasks[task_id].observed is TaskState.RUNNING
            assert not state.tasks[task_id].must_stop


def check_restless(state: AgentState, now: Instant) -> None:
    """Assert that no step does anything for a task at rest, cut off or not, now or later."""
    awake = set(restless(state))
    resting = [task_id for task_id in state.tasks if task_id not in awake]
    for cut_at in (None, now):
        copies = {task_id: replace(state.tasks[task_id], recorded=None) for task_id in resting}
        alone = replace(
            state,
            tasks=copies,
            waiting={lane: {} for lane in Lane},
            timers={},
            is_list_due=False,
            is_connected=cut_at is None,
            cut_at=cut_at,
        )
        before = {task_id: repr(task) for task_id, task in copies.items()}
        for at in (now, Instant(now + 1000.0)):
            assert advance(alone, resting, gate_of(alone, at), at) == []
            assert {task_id: repr(task) for task_id, task in copies.items()} == before
