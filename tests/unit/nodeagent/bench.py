"""One node for tests of the agent: a model machine, a journal, schedulers played by hand."""

import asyncio
import contextlib
from dataclasses import replace

import pytest

from berth.entropy import SeededEntropy
from berth.model.ids import NodeId, ServiceId, TaskId
from berth.model.service import ContainerSpec, RestartPolicy, TaskSpec
from berth.model.task import TaskState
from nodeagent.agent import Agent, AgentOptions
from nodeagent.core.messages import TaskAssignment, TaskTemplate
from tests.fakes.fake_engine_host import FakeEngineHost
from tests.fakes.fake_journal import FakeJournal
from tests.fakes.fake_link import FakeLink
from tests.fakes.fake_runtime import FakeRuntime
from tests.fakes.virtual_time import VirtualClock, run_virtually

NODE = NodeId("node1")
SERVICE = ServiceId("svc1")
IMAGE = "app:1"


def a_template(**changes) -> TaskTemplate:
    task = TaskSpec(
        container=ContainerSpec(image=IMAGE, stop_grace_s=3.0),
        restart=RestartPolicy(delay_s=1.0),
    )
    return replace(TaskTemplate(SERVICE, "web", 1, task=task), **changes)


def a_task(number: int = 1, desired: TaskState = TaskState.RUNNING) -> TaskAssignment:
    return TaskAssignment(TaskId(f"task{number}"), SERVICE, number, 1, desired, 1)


class Bench:
    """One node: a machine and a journal that outlive the agents started on it."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.host = FakeEngineHost(self.clock)
        self.journal = FakeJournal()
        self.link = FakeLink()
        self.link.leader = "s1:1"
        self.boots = 0

    def make_agent(self) -> Agent:
        self.boots += 1
        self.runtime = FakeRuntime(self.host, node_id=NODE)
        return Agent(
            AgentOptions(NODE, ("s1:1", "s2:1"), agent_version="test"),
            clock=self.clock,
            entropy=SeededEntropy(self.boots),
            runtime=self.runtime,
            link=self.link,
            publisher=self.link,
            journal=self.journal,
        )

    @contextlib.asynccontextmanager
    async def agent(self):
        """An agent that is killed at the end, without a word."""
        agent = self.make_agent()
        running = asyncio.ensure_future(agent.run())
        try:
            yield agent
        finally:
            agent.state.validate()
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    async def joined(self) -> None:
        await self.until(lambda: self.link.streams and self.link.stream.is_open, "a session")

    async def told(self, task_id: str, state: TaskState) -> None:
        await self.until(
            lambda: self.link.stream.state_of(task_id) is state, f"{task_id} {state.name}"
        )

    async def until(self, holds, what: str, within_s: float = 120.0) -> None:
        for _ in range(int(within_s / 0.05)):
            if holds():
                return
            await self.clock.sleep(0.05)
        seen = self.link.stream.statuses() if self.link.streams else {}
        pytest.fail(f"never saw {what}; told: {seen}")


def virtually(test):
    """Run an async test on virtual time."""

    def run():
        run_virtually(test())

    run.__name__ = test.__name__
    return run
