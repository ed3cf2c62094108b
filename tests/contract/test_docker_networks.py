"""Bridges that stand for networks, on a real Engine: names, addresses, removal."""

import asyncio
import contextlib
from dataclasses import replace

import pytest

from berth.entropy import SystemEntropy
from berth.errors import RetryRule
from berth.model.ids import ClusterId
from berth.model.network import AddressPool, Network, NetworkSpec
from berth.model.service import NetworkAttachment, TaskSpec
from nodeagent.runtime.port import RuntimeCallError
from tests.contract.docker_runtime import Ground, ground, start_as_the_core_does, wait_until

pytestmark = pytest.mark.engine


@pytest.fixture
def image(one_host):
    return str(one_host.images.busybox())


@pytest.fixture
def names():
    """Names of this test alone: one Engine serves all tests."""
    own = SystemEntropy().new_id()
    return ClusterId(own), f"lan-{own[:8]}", f"wan-{own[:8]}"


def member(it: Ground, cluster, *networks, slot=1, service="web", specs=(), args=("sleep", "600")):
    spec = TaskSpec(networks=networks)
    told = tuple(Network(each) for each in specs)
    task = it.task(*args, slot=slot, task=spec)
    return replace(task, cluster_id=cluster, service_name=service, networks=told)


def bridges(engine, cluster):
    with contextlib.closing(engine.client()) as client:
        found = client.api.networks(filters={"label": f"berth.cluster={cluster}"})
        return {each["Name"]: each for each in found}


def test_tasks_of_a_network_find_each_other_by_name(one_engine, image, names):
    cluster, lan, wan = names
    pool = AddressPool("10.213.7.0/24", gateway="10.213.7.1")

    async def scenario():
        async with ground(one_engine, image) as it:
            specs = (NetworkSpec(lan, labels={"a": "b"}, pools=(pool,)), NetworkSpec(wan))
            attachments = (NetworkAttachment(lan, ("store",)), NetworkAttachment(wan))
            db = member(it, cluster, *attachments, service="db", specs=specs)
            container = await it.start(db)
            seen = await wait_until(it.runtime, db, lambda seen: len(seen.addresses) == 2)
            addresses = dict(seen.addresses)
            assert addresses[lan].startswith("10.213.7.")
            assert addresses[lan].endswith("/24")
            made = bridges(one_engine, cluster)
            assert set(made) == {lan, wan}
            assert made[lan]["Labels"]["a"] == "b"

            asks = "for name in db store tasks.db; do nslookup $name 127.0.0.11 || exit 1; done"
            web = member(it, cluster, NetworkAttachment(lan), slot=2, args=("sh", "-c", asks))
            asker = await it.start(web)
            ended = await wait_until(it.runtime, web, lambda seen: seen.exit_code is not None)
            assert ended.exit_code == 0
            assert ended.addresses == (), "what has ended has no address"

            await it.runtime.remove(container)
            assert set(bridges(one_engine, cluster)) == {lan}, "the one that ended was made for it"
            await it.runtime.remove(asker)
            assert bridges(one_engine, cluster) == {}

    asyncio.run(scenario())


def test_agents_that_share_an_engine_share_its_bridges(one_engine, image, names):
    cluster, lan, _ = names

    async def scenario():
        async with ground(one_engine, image) as one, ground(one_engine, image) as two:
            tasks = [
                member(it, cluster, NetworkAttachment(lan), slot=slot)
                for it in (one, two)
                for slot in (1, 2, 3)
            ]
            runtimes = [one.runtime] * 3 + [two.runtime] * 3
            containers = await asyncio.gather(*map(start_as_the_core_does, runtimes, tasks))
            assert len(bridges(one_engine, cluster)) == 1
            seen = await asyncio.gather(
                *(
                    wait_until(runtime, task, lambda seen: bool(seen.addresses))
                    for runtime, task in zip(runtimes, tasks, strict=True)
                )
            )
            assert len({each.addresses for each in seen}) == 6
            for runtime, container in zip(runtimes[:5], containers[:5], strict=True):
                await runtime.remove(container)
            assert await two.runtime.remove_unused_networks(cluster) == 0
            assert len(bridges(one_engine, cluster)) == 1
            await two.runtime.remove(containers[5])
            assert bridges(one_engine, cluster) == {}

    asyncio.run(scenario())


def test_a_swarm_on_the_same_engine_takes_no_bridge_for_its_own(one_engine, image, names):
    """`docker stack rm` and `docker compose down` go by the labels of networks."""
    cluster, lan, _ = names
    stack = "com.docker.stack.namespace"

    async def scenario():
        async with ground(one_engine, image) as it:
            specs = (NetworkSpec(lan, labels={stack: lan, "com.docker.compose.project": lan}),)
            container = await it.start(member(it, cluster, NetworkAttachment(lan), specs=specs))
            (made,) = bridges(one_engine, cluster).values()
            assert made["Labels"][f"berth.label.{stack}"] == lan
            with contextlib.closing(one_engine.client()) as client:
                for label in (stack, "com.docker.compose.project"):
                    found = client.api.networks(filters={"label": f"{label}={lan}"})
                    assert found == [], f"whoever looks for {label} would remove it"
            await it.runtime.remove(container)
            assert bridges(one_engine, cluster) == {}

    asyncio.run(scenario())


def test_a_start_may_be_tried_again_while_its_bridge_has_a_twin(one_engine, image, names):
    """Two agents of one Engine made it in the same moment; the younger one goes at once."""
    cluster, lan, _ = names

    async def scenario():
        async with ground(one_engine, image) as it:
            task = member(it, cluster, NetworkAttachment(lan))
            pulled = await it.runtime.pull(task, lambda _: None)
            created = await it.runtime.create(task, pulled)
            with contextlib.closing(one_engine.client()) as client:
                twin = client.networks.create(lan, check_duplicate=False)
                try:
                    with pytest.raises(RuntimeCallError, match="ambiguous") as told:
                        await it.runtime.start(created.container_id)
                    assert told.value.retry is RetryRule.LATER
                finally:
                    twin.remove()
            seen = await it.runtime.start(created.container_id)
            assert seen is not None
            assert seen.started_at is not None
            await it.runtime.remove(created.container_id)

    asyncio.run(scenario())


def test_what_was_left_is_swept_and_what_is_somebody_elses_stays(one_engine, image, names):
    cluster, lan, _ = names

    async def scenario():
        async with ground(one_engine, image) as it:
            with contextlib.closing(one_engine.client()) as client:
                theirs = client.networks.create(lan)
                try:
                    task = member(it, cluster, NetworkAttachment(lan))
                    container = await it.start(task)
                    (made,) = bridges(one_engine, cluster)
                    assert made.startswith(f"{lan}."), "the name was somebody else's"
                    # Behind the agent's back, as after a crash in the middle of a removal.
                    client.api.remove_container(container, force=True)
                    assert await it.runtime.remove_unused_networks(ClusterId("other")) == 0
                    assert await it.runtime.remove_unused_networks(cluster) == 1
                    assert [each.id for each in client.networks.list(names=[lan])] == [theirs.id]
                finally:
                    theirs.remove()

    asyncio.run(scenario())


def test_a_bridge_that_cannot_be_made_is_a_final_refusal(one_engine, image, names):
    cluster, lan, _ = names

    async def scenario():
        async with ground(one_engine, image) as it:
            spec = NetworkSpec(lan, pools=(AddressPool("10.213.8.0/24", gateway="10.213.9.1"),))
            task = member(it, cluster, NetworkAttachment(lan), specs=(spec,))
            with pytest.raises(RuntimeCallError, match=f"make the bridge of network {lan}") as told:
                await it.start(task)
            assert told.value.retry is RetryRule.NEVER
            assert bridges(one_engine, cluster) == {}

    asyncio.run(scenario())
