"""A real Engine that goes away, comes back, hangs, or is shared: what the runtime makes of it."""

import asyncio
import threading
from contextlib import aclosing, closing
from dataclasses import replace

import pytest

from berth.clock import SystemClock
from berth.errors import RetryRule
from berth.model.ids import NodeId
from berth.model.resources import NodeResources
from berth.model.service import Mount, MountType
from nodeagent.runtime.engine_options import EngineOptions
from nodeagent.runtime.observer import CallOutcome
from nodeagent.runtime.port import (
    ContainerChanged,
    ContainerState,
    EngineAway,
    EventGap,
    LogOptions,
    RuntimeCallError,
)
from tests.contract.docker_runtime import ground, is_running, wait_until

pytestmark = pytest.mark.engine


@pytest.fixture
def image(one_host):
    return str(one_host.images.busybox())


@pytest.fixture
def healed(one_host):
    """The host, brought back to new after the test."""
    yield one_host.hosts[0]
    one_host.heal()


def run(engine, image, scenario, **options):
    async def main():
        async with ground(engine, image, options=EngineOptions(**options)) as it:
            async with asyncio.timeout(120.0):
                return await scenario(it)

    return asyncio.run(main())


def test_an_engine_restart_is_a_gap_after_which_events_go_on(healed, image):
    async def scenario(it):
        task = it.task("sleep", "600")
        await it.start(task)
        gaps, aways, changes = [], [], []

        async def watch():
            async with aclosing(it.runtime.events()) as events:
                async for event in events:
                    kept = {EventGap: gaps, EngineAway: aways, ContainerChanged: changes}
                    kept[type(event)].append(event)

        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(watch())
            while not gaps:
                await asyncio.sleep(0.05)
            await asyncio.to_thread(healed.stop_engine)
            with pytest.raises(RuntimeCallError) as refusal:
                await it.runtime.list_containers()
            assert refusal.value.retry is RetryRule.LATER
            await asyncio.to_thread(healed.start_engine)
            while len(gaps) < 2:
                await asyncio.sleep(0.05)
            assert aways, "that it was away is told before"
            # The gap came after the subscription: what happens now is told.
            after = it.task("true", slot=2)
            await it.start(after)
            while not any(event.task_id == after.task_id for event in changes):
                await asyncio.sleep(0.05)
            watcher.cancel()
        seen = await it.runtime.inspect_task(task.task_id)
        return gaps[1].reason, seen.state

    reason, state = run(healed.engine, image, scenario)
    assert "Docker Engine" in reason
    assert state is ContainerState.EXITED  # Not restarted by the Engine: that is the agent's part.


def test_an_engine_that_crashes_with_live_restore_keeps_containers_and_logs(healed, image):
    async def scenario(it):
        healed.stop_engine()
        await asyncio.to_thread(healed.start_engine, True)
        try:
            script = "n=0; while :; do n=$((n+1)); echo $n; sleep 0.1; done"
            task = it.task("sh", "-c", script)
            container_id = await it.start(task)
            pid = (await it.runtime.inspect_task(task.task_id)).pid
            lines, refusals = [], []

            async def follow():
                last_ns = 0
                while True:
                    try:
                        # A float cannot hold nanoseconds: ask a little earlier, drop what is known.
                        options = LogOptions(follow=True, since=max(last_ns / 1e9 - 0.001, 0.0))
                        async for line in it.runtime.logs(container_id, options):
                            if line.time_ns > last_ns:
                                lines.append(int(line.data))
                                last_ns = line.time_ns
                    except RuntimeCallError as error:
                        refusals.append(error.retry)
                    await asyncio.sleep(0.1)

            async with asyncio.TaskGroup() as group:
                follower = group.create_task(follow())
                while len(lines) < 5:
                    await asyncio.sleep(0.05)
                await asyncio.to_thread(healed.kill_engine)
                await asyncio.to_thread(healed.start_engine, True)
                seen = await wait_until(
                    it.runtime, task, lambda seen: seen.state is ContainerState.RUNNING
                )
                while len(lines) < 20:
                    await asyncio.sleep(0.05)
                follower.cancel()
            assert set(refusals) <= {RetryRule.LATER}
            assert lines == list(range(1, len(lines) + 1))
            return pid, seen.pid
        finally:
            await asyncio.to_thread(healed.stop_engine)
            await asyncio.to_thread(healed.start_engine, False)

    before, after = run(healed.engine, image, scenario)
    assert before == after


def test_a_hung_engine_fails_calls_in_time_and_does_not_hold_the_loop(healed, image):
    async def scenario(it):
        await it.runtime.describe()
        healed.engine.daemon.pause()
        try:
            begun = SystemClock().instant()
            ticks = 0

            async def tick():
                nonlocal ticks
                while True:
                    await asyncio.sleep(0.01)
                    ticks += 1

            async with asyncio.TaskGroup() as group:
                ticker = group.create_task(tick())
                with pytest.raises(RuntimeCallError) as refusal:
                    await it.runtime.describe()
                ticker.cancel()
            return refusal.value, SystemClock().instant() - begun, ticks
        finally:
            healed.engine.daemon.resume()

    refusal, took_s, ticks = run(healed.engine, image, scenario, call_timeout_s=1.0)
    assert refusal.retry is RetryRule.LATER
    assert 0.9 < took_s < 30.0
    assert ticks > 10


def test_closing_does_not_wait_for_an_engine_that_hangs(healed, image):
    async def scenario(it):
        async with ground(healed.engine, image) as other:
            healed.engine.daemon.pause()
            try:
                async with asyncio.TaskGroup() as group:
                    call = group.create_task(refused(other.runtime.describe()))
                    await asyncio.sleep(0.3)
                    begun = SystemClock().instant()
                    await other.runtime.aclose()
                    took_s = SystemClock().instant() - begun
                    healed.engine.daemon.resume()
                return took_s, call.result().retry
            finally:
                healed.engine.daemon.resume()

    async def refused(call):
        with pytest.raises(RuntimeCallError) as refusal:
            await call
        return refusal.value

    took_s, retry = run(healed.engine, image, scenario)
    assert took_s < 20.0, "a call that hangs has a minute"
    assert retry is RetryRule.LATER


def test_closing_ends_readers_at_once_and_leaves_containers_alone(one_engine, image):
    async def scenario(it):
        task = it.task("sleep", "60")
        container_id = await it.start(task)
        async with ground(one_engine, image) as other:
            other.runtime._node_id = it.node_id

            watched = asyncio.Event()
            events = []

            async def watch():
                async for event in other.runtime.events():
                    events.append(event)
                    watched.set()

            async def follow():
                with pytest.raises(RuntimeCallError, match="is stopping"):
                    async for _ in other.runtime.logs(container_id, LogOptions(follow=True)):
                        pass

            async with asyncio.TaskGroup() as group:
                group.create_task(watch())
                group.create_task(follow())
                await watched.wait()
                await asyncio.sleep(0.5)  # So that the logs are being read, too.
                begun = SystemClock().instant()
                await other.runtime.aclose()
            took_s = SystemClock().instant() - begun
            left = [one.name for one in threading.enumerate() if one.name.startswith("engine-")]
            with pytest.raises(RuntimeCallError, match="is stopping"):
                await other.runtime.list_containers()
            return took_s, events, left, await is_running(it.runtime, task)

    took_s, events, left, still_runs = run(one_engine, image, scenario)
    assert took_s < 30.0, "the container goes on for longer"
    assert [type(event) for event in events] == [EventGap]
    assert [name for name in left if not name.startswith("engine-call")] == []
    assert still_runs


def test_nodes_that_share_an_engine_see_only_their_own(one_engine, image):
    async def scenario(it):
        task = it.task("sleep", "60")
        await it.start(task)
        async with ground(one_engine, image) as other:
            assert await other.runtime.list_containers() == []
            assert await other.runtime.inspect_task(task.task_id) is None
            async with aclosing(other.runtime.events()) as events:
                assert isinstance(await anext(events), EventGap)
                await it.start(it.task("true", slot=2))
                own = other.task("true")
                await other.start(own)
                event = await anext(events)
                assert isinstance(event, ContainerChanged)
                assert event.task_id == own.task_id
            # The same task under another node's label is not adopted.
            stranger = replace(task, node_id=NodeId("somebodyelse"))
            image_there = await other.runtime.pull(stranger, lambda _: None)
            with pytest.raises(RuntimeCallError, match="has that name") as refusal:
                await other.runtime.create(stranger, image_there)
            assert refusal.value.retry is RetryRule.NEVER
        assert await is_running(it.runtime, task)

    run(one_engine, image, scenario)


def test_a_container_made_by_an_agent_that_died_is_adopted(one_engine, image):
    async def scenario(it):
        task = it.task("sleep", "60")
        container_id = await it.start(task)
        async with ground(one_engine, image) as reborn:
            reborn.runtime._node_id = it.node_id
            pulled = await reborn.runtime.pull(task, lambda _: None)
            adopted = await reborn.runtime.create(replace(task, epoch=99), pulled)
            assert (adopted.container_id, adopted.is_new) == (container_id, False)
            (seen,) = await reborn.runtime.list_containers()
            assert seen.labels["berth.epoch"] == "41"
            reborn.runtime._node_id = reborn.node_id

    run(one_engine, image, scenario)


def test_many_slow_stops_go_on_at_once_and_short_calls_between(one_engine, image):
    async def scenario(it):
        tasks = [
            it.task("sh", "-c", "trap '' TERM; sleep 60 & wait; sleep 60", slot=n + 1)
            for n in range(6)
        ]
        started = [await it.start(task) for task in tasks]
        await asyncio.sleep(0.3)
        begun = SystemClock().instant()
        async with asyncio.TaskGroup() as group:
            stops = [group.create_task(it.runtime.stop(each, 5.0)) for each in started]
            await asyncio.sleep(0.2)
            await it.runtime.disk_use()
            ended = [stop for stop in stops if stop.done()]
        return SystemClock().instant() - begun, ended

    took_s, ended = run(one_engine, image, scenario, short_calls=2)
    assert took_s < 25.0  # One after the other, six would need thirty seconds.
    assert ended == [], "the short call was answered while all of them went on"


def test_the_stop_signal_of_the_spec_is_sent(one_engine, image):
    async def scenario(it):
        script = "trap 'echo got usr1; exit 7' USR1; echo up; while :; do sleep 0.1; done"
        task = it.task("sh", "-c", script, stop_signal="SIGUSR1")
        container_id = await it.start(task)
        async with aclosing(it.runtime.logs(container_id, LogOptions(follow=True))) as lines:
            assert (await anext(lines)).data == b"up"
            await it.runtime.stop(container_id, 10.0)
            assert (await anext(lines)).data == b"got usr1"
        return (await it.runtime.inspect_task(task.task_id)).exit_code

    assert run(one_engine, image, scenario) == 7


def test_no_grace_is_a_kill(one_engine, image):
    async def scenario(it):
        task = it.task("sleep", "60")
        container_id = await it.start(task)
        await it.runtime.stop(container_id, 0.0)
        return (await it.runtime.inspect_task(task.task_id)).exit_code

    assert run(one_engine, image, scenario) == 137


def test_removing_takes_anonymous_volumes_along(one_engine, image):
    async def scenario(it):
        task = it.task("sleep", "60", mounts=(Mount(MountType.VOLUME, "", "/data"),))
        container_id = await it.start(task)
        with closing(one_engine.client()) as client:
            before = {volume.name for volume in client.volumes.list()}
            await it.runtime.remove(container_id)
            return before - {volume.name for volume in client.volumes.list()}

    assert len(run(one_engine, image, scenario)) == 1


def test_a_node_offers_its_share(one_engine, image):
    share = NodeResources(nano_cpus=10**9, memory_bytes=1 << 30)
    generic = NodeResources(generic_counts={"ssd": 2})

    async def scenario(it):
        return await it.runtime.describe()

    told = run(one_engine, image, scenario, resources=share, generic=generic)
    assert told.resources == NodeResources(10**9, 1 << 30, {"ssd": 2}, {})
    assert told.engine_version.startswith("20.")
    assert told.platform.architecture in ("amd64", "arm64")


def test_every_call_is_observed(one_engine, image):
    async def scenario(it):
        await it.run("true")
        assert await it.runtime.inspect_task(it.task().task_id) is None
        with pytest.raises(RuntimeCallError):
            await it.runtime.start("0" * 64)
        return it.observed.calls

    calls = run(one_engine, image, scenario)
    assert ("create_container", CallOutcome.OK) in calls
    assert ("start_container", CallOutcome.REFUSED) in calls
    assert {name for name, _ in calls} <= {
        "version",
        "info",
        "list_containers",
        "inspect_container",
        "inspect_image",
        "create_container",
        "start_container",
        "remove_container",
    }
