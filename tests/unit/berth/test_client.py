import asyncio
from collections.abc import Awaitable, Callable

import pytest

from berth.client import ControlClient
from berth.errors import (
    ConfigError,
    InvalidRequestError,
    NoLeaderError,
    NotFoundError,
    OutOfSequenceError,
    UnavailableError,
)
from berth.model.cluster import ClusterSettings
from berth.model.node import Availability
from berth.model.registry_auth import RegistryAuth
from berth.model.service import ContainerSpec, ServiceMode, ServiceSpec, TaskSpec
from berth.model.task import TaskState
from berth.v1 import streams_pb2
from tests.fakes.control import FakeControl, serving
from tests.hosts.ports import free_port

SPEC = ServiceSpec(
    name="web",
    mode=ServiceMode(replicas=2),
    task=TaskSpec(container=ContainerSpec(image="busybox:1.36", env=("A=1",))),
)


def with_client(
    scenario: Callable[[ControlClient, FakeControl], Awaitable[None]],
    *,
    dead_first: bool = False,
    timeout_s: float = 10.0,
) -> None:
    async def run() -> None:
        control = FakeControl()
        control.add_node("n1")
        control.add_node("n2")
        async with serving(control) as address:
            addresses = [*([dead_address()] if dead_first else []), address]
            async with ControlClient(addresses, timeout_s=timeout_s) as client:
                await scenario(client, control)

    asyncio.run(run())


def dead_address() -> str:
    return f"127.0.0.1:{free_port()}"


def test_a_service_goes_there_and_comes_back_the_same() -> None:
    async def scenario(client: ControlClient, control: FakeControl) -> None:
        control.warnings = ["careful"]
        auth = RegistryAuth(username="me", password="hush")
        created = await client.create_service(SPEC, registry_auth=auth, no_resolve_image=True)
        assert created.warnings == ("careful",)
        request = control.calls[-1][1]
        assert (request.registry_auth.password, request.no_resolve_image) == ("hush", True)
        view = await client.get_service("web")
        assert (view.id, view.spec, view.version, view.desired_tasks) == (created.id, SPEC, 1, 2)
        assert view.previous_spec is None
        assert view.update_status is None
        assert [service.id for service in await client.list_services()] == [created.id]
        control.run_all()
        tasks = await client.list_tasks(services=["web"], only_wanted=True, up_to_date=True)
        assert [task.name for task in tasks] == ["web.1", "web.2"]
        assert all(task.is_running for task in tasks)
        assert tasks[0].status.state is TaskState.RUNNING
        assert await client.remove_service("web") == created.id

    with_client(scenario)


def test_update_rollback_and_dry_run() -> None:
    async def scenario(client: ControlClient, control: FakeControl) -> None:
        await client.create_service(SPEC)
        other = ServiceSpec(name="web", mode=ServiceMode(replicas=5))
        assert (await client.update_service("web", other, dry_run=True)).plan == ("replace web.1",)
        assert (await client.update_service("web", other, version=1)).version == 2
        with pytest.raises(OutOfSequenceError):
            await client.update_service("web", other, version=1)
        await client.rollback_service("web")
        assert control.spec_of("web") == SPEC

    with_client(scenario)


def test_nodes_cluster_and_images() -> None:
    async def scenario(client: ControlClient, control: FakeControl) -> None:
        assert [view.name for view in await client.list_nodes()] == ["n1", "n2"]
        view = await client.update_node(
            "n1", availability=Availability.DRAIN, labels_add={"zone": "a"}
        )
        assert view.node.spec.availability is Availability.DRAIN
        assert (await client.get_node("n1")).node.spec.labels == {"zone": "a"}
        await client.remove_node("n2", force=True)
        assert [view.name for view in await client.list_nodes()] == ["n1"]
        cluster = await client.get_cluster()
        assert (cluster.leader_name, cluster.epoch) == ("s1", 7)
        assert [scheduler.name for scheduler in cluster.schedulers] == ["s1", "s2"]
        changed = await client.update_cluster(ClusterSettings(lost_after_s=9.0), version=1)
        assert changed.settings.lost_after_s == 9.0
        assert (await client.resolve_image("busybox")).digest.startswith("sha256:")

    with_client(scenario)


def test_logs_stream() -> None:
    async def scenario(client: ControlClient, control: FakeControl) -> None:
        line = streams_pb2.LogLine(task_id="t1", time_ns=5, data=b"hello\n")
        control.logs = [
            streams_pb2.LogChunk(node_id="n1", lines=[line]),
            streams_pb2.LogChunk(node_id="n2", error="node n2 is down"),
        ]
        chunks = [chunk async for chunk in client.service_logs("web", tail=5)]
        assert chunks[0].lines[0].data == b"hello\n"
        assert chunks[1].error == "node n2 is down"
        control.refusals = [NotFoundError('there is no service "x"')]
        with pytest.raises(NotFoundError):
            async for _ in client.service_logs("x"):
                pass

    with_client(scenario)


def test_errors_arrive_as_they_were_raised() -> None:
    async def scenario(client: ControlClient, control: FakeControl) -> None:
        with pytest.raises(NotFoundError, match='there is no service "nope"'):
            await client.get_service("nope")
        with pytest.raises(InvalidRequestError) as caught:
            await client.update_cluster(ClusterSettings(lost_after_s=0))
        assert {fault.path for fault in caught.value.faults} >= {"lost_after_s"}

    with_client(scenario)


def test_a_dead_scheduler_is_passed_over_even_by_writes() -> None:
    async def scenario(client: ControlClient, control: FakeControl) -> None:
        await client.create_service(SPEC)
        assert [call for call, _ in control.calls] == ["CreateService"]

    with_client(scenario, dead_first=True)


def test_without_a_leader_every_call_is_repeated() -> None:
    async def scenario(client: ControlClient, control: FakeControl) -> None:
        control.refusals = [NoLeaderError("no leader"), NoLeaderError("no leader")]
        await client.create_service(SPEC)
        assert [call for call, _ in control.calls] == ["CreateService"] * 3

    with_client(scenario)


def test_a_lost_answer_repeats_reads_but_never_writes() -> None:
    async def scenario(client: ControlClient, control: FakeControl) -> None:
        control.refusals = [UnavailableError("the connection broke")]
        assert await client.list_services() == []
        control.refusals = [UnavailableError("the connection broke")]
        with pytest.raises(UnavailableError):
            await client.create_service(SPEC)
        assert [call for call, _ in control.calls] == ["ListServices"] * 2 + ["CreateService"]

    with_client(scenario)


def test_it_gives_up_after_its_time_with_the_last_reason() -> None:
    async def scenario(client: ControlClient, control: FakeControl) -> None:
        control.refusals = [NoLeaderError("no scheduler leads")] * 1000
        with pytest.raises(NoLeaderError, match="no scheduler leads"):
            await client.get_cluster()

    with_client(scenario, timeout_s=0.5)


def test_when_nobody_answers_the_addresses_are_named() -> None:
    async def scenario() -> None:
        address = dead_address()
        async with ControlClient([address]) as client:
            with pytest.raises(UnavailableError, match=f"no scheduler answers at {address}"):
                await client.get_cluster()

    asyncio.run(scenario())


def test_it_wants_an_address() -> None:
    with pytest.raises(ConfigError, match="no scheduler is named"):
        ControlClient([])
