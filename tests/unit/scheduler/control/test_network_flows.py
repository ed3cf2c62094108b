"""Requests about networks become durable changes, or refusals that change nothing."""

from dataclasses import replace

import pytest

from berth.errors import AlreadyExistsError, ConflictError, InvalidRequestError, NotFoundError
from berth.model.network import AddressPool, NetworkSpec, network_id
from berth.model.service import EndpointSpec, NetworkAttachment, PortSpec
from berth.model.task import TaskState
from berth.v1 import control_pb2 as pb
from berth.wire.convert import to_proto
from scheduler.control.network_flows import network_faults
from tests.builders import a_spec
from tests.unit.scheduler.control.harness import create, update
from tests.unit.scheduler.control.test_forward import call, cluster


def named(name="lan", **fields):
    return pb.CreateNetworkRequest(spec=to_proto(NetworkSpec(name, **fields)))


@pytest.mark.parametrize(
    ("spec", "path", "words"),
    [
        (NetworkSpec(""), "name", "no name"),
        (NetworkSpec("a/b"), "name", "no name"),
        (NetworkSpec("a" * 129), "name", "128"),
        (NetworkSpec("a,b=c"), "name", "no name"),
        (NetworkSpec("lan", driver="macvlan"), "driver", "use overlay or bridge"),
        (NetworkSpec("lan", pools=(AddressPool(),)), "pools[0].subnet", "is empty"),
        (NetworkSpec("lan", pools=(AddressPool("ten"),)), "pools[0].subnet", "no subnet"),
        (
            NetworkSpec("lan", pools=(AddressPool("10.0.0.0/24", gateway="10.0.1.1"),)),
            "pools[0].gateway",
            "no address within",
        ),
        (
            NetworkSpec("lan", pools=(AddressPool("10.0.0.0/24", gateway="me"),)),
            "pools[0].gateway",
            "no address within",
        ),
        (
            NetworkSpec("lan", pools=(AddressPool("10.0.0.0/24", "10.0.1.0/25"),)),
            "pools[0].ip_range",
            "does not lie within",
        ),
        (
            NetworkSpec("lan", pools=(AddressPool("10.0.0.0/24", "x"),)),
            "pools[0].ip_range",
            "no subnet",
        ),
        (
            NetworkSpec("lan", pools=(AddressPool("10.0.0.0/24", "fd00::/64"),)),
            "pools[0].ip_range",
            "does not lie within",
        ),
    ],
)
def test_each_rule_names_its_path_and_alone(spec, path, words):
    (fault,) = network_faults(spec)
    assert fault.path == path
    assert words in fault.problem


def test_sound_networks_have_no_faults():
    pool = AddressPool("10.0.0.0/24", "10.0.0.128/25", "10.0.0.1")
    for spec in (NetworkSpec("app_default"), NetworkSpec("a.b-c_1", "bridge", pools=(pool,))):
        assert list(network_faults(spec)) == []


def test_every_scheduler_tells_the_same_networks():
    async def scenario(leader, follower, led):
        created = await call(follower, "CreateNetwork", named(labels={"a": "b"}))
        assert created.id == network_id("lan")
        assert "published ports" in created.warnings[0]
        with pytest.raises(AlreadyExistsError):
            await call(leader, "CreateNetwork", named())
        with pytest.raises(InvalidRequestError, match="driver"):
            await call(leader, "CreateNetwork", named("x", driver="macvlan"))
        for scheduler in (leader, follower):
            for names in ((), ("lan",), (created.id[:8],)):
                answer = await call(scheduler, "ListNetworks", pb.ListNetworksRequest(names=names))
                (view,) = answer.networks
                assert dict(view.network.spec.labels) == {"a": "b"}
                assert list(view.used_by) == []
        with pytest.raises(NotFoundError):
            await call(follower, "ListNetworks", pb.ListNetworksRequest(names=["wan"]))
        removed = await call(follower, "RemoveNetwork", pb.RemoveNetworkRequest(name="lan"))
        assert removed.id == created.id

    cluster(scenario)


def on(*targets, **fields):
    spec = a_spec(**fields)
    attachments = tuple(NetworkAttachment(target) for target in targets)
    return replace(spec, task=replace(spec.task, networks=attachments))


def test_a_service_that_names_a_network_by_its_id_keeps_its_name():
    async def scenario(leader, follower, led):
        with pytest.raises(NotFoundError, match="network lan not found"):
            await call(follower, "CreateService", create(on("lan")))
        await call(follower, "CreateNetwork", named())
        created = await call(follower, "CreateService", create(on(network_id("lan"))))
        assert "on different nodes" in created.warnings[0]
        service = await call(follower, "GetService", pb.GetServiceRequest(name="web"))
        assert service.spec.task.networks[0].target == "lan"
        again = update("web", on(network_id("lan")))
        await call(follower, "UpdateService", again)
        after = await call(follower, "GetService", pb.GetServiceRequest(name="web"))
        assert after.template_version == service.template_version, "nothing was restarted"
        with pytest.raises(ConflictError, match="web"):
            await call(follower, "RemoveNetwork", pb.RemoveNetworkRequest(name="lan"))
        with pytest.raises(NotFoundError):
            await call(follower, "UpdateService", update("web", on("wan")))

    cluster(scenario)


def test_nodes_that_run_it_stand_in_for_a_virtual_address_and_tasks_bear_a_note():
    ports = EndpointSpec(ports=(PortSpec(target_port=80, published_port=8080),))

    async def scenario(leader, follower, led):
        led.join("n1")
        await call(leader, "CreateNetwork", named())
        spec = replace(on("lan"), endpoint=ports)
        await call(leader, "CreateService", create(spec))
        service = await call(leader, "GetService", pb.GetServiceRequest(name="web"))
        assert list(service.published_at) == [], "nothing runs"
        while not led.leader.state.node_tasks["n1"]:
            await led.leader.settled()
        (task,) = (await call(follower, "ListTasks", pb.ListTasksRequest())).tasks
        assert task.status.error == "", "a client that waits shows how far it is"
        led.run_all()
        (listed,) = (await call(follower, "ListServices", pb.ListServicesRequest())).services
        assert list(listed.published_at) == ["192.0.2.1"]
        (task,) = (await call(follower, "ListTasks", pb.ListTasksRequest())).tasks
        assert task.status.state == TaskState.RUNNING
        assert task.status.error.startswith("per-node bridge: lan (")
        await call(leader, "UpdateService", update("web", replace(spec, endpoint=EndpointSpec())))
        (listed,) = (await call(follower, "ListServices", pb.ListServicesRequest())).services
        assert list(listed.published_at) == [], "it publishes nothing"

    cluster(scenario)
