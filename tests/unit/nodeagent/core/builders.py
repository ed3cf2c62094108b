"""What the core's tests are built from; only what a test cares about is written in it."""

from dataclasses import replace

from berth.model.cluster import ClusterSettings
from berth.model.ids import NodeId, ServiceId, TaskId
from berth.model.instant import Instant
from berth.model.service import ContainerSpec, RestartPolicy, TaskSpec
from berth.model.task import TaskState
from nodeagent.core.messages import (
    Assigned,
    SchedulerSpoke,
    TaskAssignment,
    TaskTemplate,
    Welcomed,
)
from nodeagent.core.state import AgentState, LocalTask, Phase
from nodeagent.core.step import step
from nodeagent.core.task_machine import Gate
from nodeagent.runtime.port import ContainerState, PulledImage, SeenContainer

NOW = Instant(1000.0)
SERVICE = ServiceId("s1")
IMAGE = PulledImage("app:1", "sha256:1", "id1", "linux/amd64")
CONNECTED = Gate(is_connected=True, may_begin=True, may_remove=True, alone_from=Instant(1e9))
ALONE = Gate(is_connected=False, may_begin=True, may_remove=True, alone_from=NOW)
UNCONFIRMED = Gate(
    is_connected=False, may_begin=False, may_remove=False, alone_from=Instant(NOW + 5)
)


def a_template(version: int = 1, restart: RestartPolicy | None = None, **changes) -> TaskTemplate:
    task = TaskSpec(container=ContainerSpec(image="app:1"), restart=restart or RestartPolicy())
    return replace(TaskTemplate(SERVICE, "web", version, task=task), **changes)


def an_assignment(
    name: str = "t1", desired: TaskState = TaskState.RUNNING, version: int = 1
) -> TaskAssignment:
    return TaskAssignment(TaskId(name), SERVICE, 1, version, desired, 1)


def a_task(
    observed: TaskState = TaskState.ACCEPTED,
    phase: Phase = Phase.ABSENT,
    desired: TaskState = TaskState.RUNNING,
    **fields,
) -> LocalTask:
    fields.setdefault("container_id", "" if phase is Phase.ABSENT else "c1")
    return LocalTask(an_assignment(), desired, observed=observed, phase=phase, **fields)


def seen(state: ContainerState = ContainerState.RUNNING, name: str = "t1", **fields):
    return SeenContainer(f"c-{name}", TaskId(name), state, **fields)


def a_state(*, is_joined: bool = True) -> AgentState:
    state = AgentState(NodeId("n1"), cut_at=NOW, heard_at=NOW)
    if is_joined:
        step(state, welcome(), NOW)
    return state


def welcome(epoch: int = 5, cluster: str = "c1", **fields) -> SchedulerSpoke:
    settings = fields.pop("settings", ClusterSettings())
    return SchedulerSpoke(epoch, Welcomed("session", cluster, settings, ("s:1",), "node-1"))


def assigned(*tasks, sequence: int = 1, is_complete: bool = True, epoch: int = 5, **fields):
    fields.setdefault("templates", (a_template(),))
    return SchedulerSpoke(epoch, Assigned(is_complete, sequence, tasks=tasks, **fields))
