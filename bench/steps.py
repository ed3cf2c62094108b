"""What is measured on a running cluster, step by step: idle, dispatch, creates, take-over, loss.

Each step returns its figures and its raw samples. Ways to cheat that are closed: a task counts as
running only when the leader's own view says so after the agent's report; a take-over counts until a
new task has its place, durably (the answer of ListTasks waits for the commit).
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import grpc

from bench.figures import percentile
from bench.rig import Rig, rss_mib
from berth.v1 import control_pb2 as pb
from berth.v1 import control_pb2_grpc
from berth.wire.convert import write_proto
from tests.builders import a_spec

MAX_BYTES = 512 * 2**20
MANY_TASKS = 10_000
COUNTED = {
    "messages_down": 'berth_agent_messages_total{direction="sent"}',
    "messages_up": 'berth_agent_messages_total{direction="received"}',
    "assignments": "berth_assignments_sent_total",
    "reports": "berth_task_reports_total",
    "turns": "berth_turn_seconds_count",
    "commits": "berth_store_commit_seconds_count",
    "documents": "berth_store_commit_changes_sum",
}
"""What the leader did, by the names of its own metrics."""

SESSIONS = "berth_agent_sessions"

LOST_AFTER_S = 5.0
"""The cluster's default, which the rig leaves alone."""


@dataclass
class Measured:
    """Figures by name, and the samples that they come from."""

    figures: dict[str, float] = field(default_factory=dict)
    samples: dict[str, Sequence[float]] = field(default_factory=dict)

    def add(self, prefix: str, figures: Mapping[str, float]) -> None:
        self.figures.update({f"{prefix}_{name}": value for name, value in figures.items()})


class Client:
    """The Control API of one scheduler."""

    def __init__(self, address: str) -> None:
        options = [("grpc.max_receive_message_length", MAX_BYTES)]
        self._channel = grpc.aio.insecure_channel(address, options=options)
        self.stub = control_pb2_grpc.ControlStub(self._channel)

    async def aclose(self) -> None:
        await self._channel.close(None)

    async def ready_nodes(self) -> int:
        answer = await self.stub.ListNodes(pb.ListNodesRequest(), timeout=30)
        return sum(view.node.state == "ready" for view in answer.nodes)

    async def leader_address(self) -> str:
        found = await self.stub.GetCluster(pb.GetClusterRequest(), timeout=15)
        return str(found.leader_address)

    async def running(self) -> int:
        answer = await self.stub.ListServices(pb.ListServicesRequest(), timeout=60)
        return sum(service.running_tasks for service in answer.services)

    async def wait_running(self, total: int) -> None:
        async with asyncio.timeout(600):
            while await self.running() < total:
                await asyncio.sleep(0.05)

    async def create(self, name: str, replicas: int, node: str = "") -> float:
        """Create a service; return how long the call took."""
        request = pb.CreateServiceRequest(no_resolve_image=True)
        constraints = (f"node.hostname=={node}",) if node else ()
        spec = a_spec(
            name, replicas, image="app:1", cpus=0.01, memory=2**22, constraints=constraints
        )
        write_proto(spec, request.spec)
        began = time.monotonic()
        await self.stub.CreateService(request, timeout=60)
        return time.monotonic() - began


async def wait_nodes(rig: Rig, client: Client, count: int) -> None:
    """Wait until so many nodes are ready, and no longer than five minutes."""
    async with asyncio.timeout(300):
        while True:
            # To list thousands of nodes would keep the leader from welcoming the others.
            sessions = [scheduler.counts().get(SESSIONS, 0) for scheduler in rig.schedulers]
            with contextlib.suppress(grpc.aio.AioRpcError):
                if max(sessions) >= count and await client.ready_nodes() >= count:
                    return
            await asyncio.sleep(0.5)


async def measure_idle(rig: Rig, idle_s: float) -> Measured:
    """Row 6: what a leader uses while nothing happens but heartbeats."""
    before, began = rig.usage(), time.monotonic()
    await asyncio.sleep(idle_s)
    used, took_s = rig.usage().since(before), time.monotonic() - began
    found = Measured()
    found.figures["idle_leader_cpu_percent"] = used.leader / took_s * 100
    found.figures["idle_etcd_cpu_percent"] = used.etcd / took_s * 100
    found.figures["idle_leader_rss_mib"] = rss_mib(rig.leader.process.pid)
    return found


async def measure_dispatch(
    rig: Rig, client: Client, *, services: int, replicas: int, clients: int, prefix: str
) -> Measured:
    """Rows 3, 4, 5 and 9: create -> placed -> durable -> streamed -> acknowledged running."""
    base, total = await client.running(), services * replicas
    skip, before, counts = len(rig.leader.read_lags_ms()), rig.usage(), rig.leader.counts()
    gate = asyncio.Semaphore(clients)

    async def create(number: int) -> float:
        async with gate:
            return await client.create(f"{prefix}-{number}", replicas)

    began = time.monotonic()
    creating = asyncio.gather(*(create(number) for number in range(services)))
    curve: list[float] = []  # Running tasks, time after time.
    calls = await creating
    created_s = time.monotonic() - began
    async with asyncio.timeout(600):
        while not curve or curve[-1] < total:
            # Reads wait for commits, and so make the leader commit early: few of them disturb less.
            await asyncio.sleep(0.5 if total >= MANY_TASKS else 0.05)
            rig.check_alive()
            with contextlib.suppress(grpc.aio.AioRpcError):  # Too busy to answer: ask again.
                curve.append(await client.running() - base)
    running_s = time.monotonic() - began
    used = rig.usage().since(before)
    lags, counted = rig.leader.read_lags_ms(skip), rig.leader.counts()
    lags_ms, own_ms = [late for late, _ in lags], [own for _, own in lags]
    found = Measured(samples={"calls_s": calls, "running": curve, "stalls_ms": lags_ms[-2000:]})
    found.add(
        prefix,
        {
            "tasks": total,
            "created_s": created_s,
            "running_s": running_s,
            "tasks_per_s": total / running_s,
            "call_p50_ms": percentile(calls, 0.5) * 1000,
            "call_p99_ms": percentile(calls, 0.99) * 1000,
            "leader_us_per_task": used.leader / total * 1e6,
            "etcd_us_per_task": used.etcd / total * 1e6,
            "agents_us_per_task": used.agents / total * 1e6,
            # What the two cores would have done had nothing else run on them.
            "tasks_per_cpu_s": total / (used.leader + used.etcd + used.agents),
            "stall_p50_ms": percentile(lags_ms, 0.5),
            "stall_p99_ms": percentile(lags_ms, 0.99),
            "stall_max_ms": max(lags_ms, default=0.0),
            # So much of it was the loop's own work; else it waited for a core.
            "stall_own_p99_ms": percentile(own_ms, 0.99),
            "leader_rss_mib": rss_mib(rig.leader.process.pid),
            **{name: counted[metric] - counts[metric] for name, metric in COUNTED.items()},
        },
    )
    return found


async def measure_take_over(rig: Rig, lease_ttl_s: float) -> Measured:
    """Row 7: kill -9 the leader; until another has made a new task's placement durable."""
    rig.leader.process.kill()
    began = time.monotonic()
    other = Client(rig.schedulers[1].address)
    try:
        while True:
            try:
                await other.create("after", 1)
                break
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.ALREADY_EXISTS:
                    break
                await asyncio.sleep(0.02)
        while True:
            request = pb.ListTasksRequest(services=["after"])
            answer = await other.stub.ListTasks(request, timeout=30)
            if any(task.node_id for task in answer.tasks):
                break
            await asyncio.sleep(0.01)
    finally:
        await other.aclose()
    took_s = time.monotonic() - began
    figures = {"take_over_s": took_s, "take_over_beyond_ttl_s": took_s - lease_ttl_s}
    return Measured(figures)


async def measure_loss(rig: Rig, client: Client, names: Sequence[str]) -> Measured:
    """Row 8: kill a node's agent with its connection, then freeze another's; tasks move on.

    Counted until everything runs again that ran before: more than the row's "assigned elsewhere".
    """
    found = Measured()
    total = await client.running()
    answer = await client.stub.ListNodes(pb.ListNodesRequest(), timeout=60)
    ids = {view.node.description.hostname: view.node.id for view in answer.nodes}
    kinds = (("killed", signal.SIGKILL), ("frozen", signal.SIGSTOP))
    for (kind, how), victim, node in zip(kinds, rig.victims, names, strict=False):
        request = pb.ListTasksRequest(nodes=[ids[node]], only_wanted=True)
        held = len((await client.stub.ListTasks(request, timeout=60)).tasks)
        assert held, f"node {node} has no tasks that could be lost"
        os.kill(victim.pid, how)
        began = time.monotonic()
        async with asyncio.timeout(180):
            while (await client.stub.ListTasks(request, timeout=60)).tasks:
                await asyncio.sleep(0.02)
            while await client.running() < total:
                await asyncio.sleep(0.02)
        took_s = time.monotonic() - began
        found.figures[f"loss_{kind}_tasks"] = held
        found.figures[f"loss_{kind}_s"] = took_s
        found.figures[f"loss_{kind}_beyond_lost_after_s"] = took_s - LOST_AFTER_S
    return found
