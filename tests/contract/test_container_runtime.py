"""What every container runtime must do: one suite, run on the model and on a real Engine."""

import asyncio
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from berth.clock import SystemClock
from berth.errors import RetryRule
from nodeagent.runtime.port import (
    ContainerChanged,
    ContainerRuntime,
    ContainerState,
    CreatedContainer,
    EventGap,
    Health,
    LogOptions,
    RuntimeCallError,
)
from tests.contract.docker_runtime import ground, is_running, start, wait_until
from tests.fakes.fake_engine_host import FakeEngineHost, ImageBehaviour
from tests.fakes.fake_runtime import FakeRuntime
from tests.fakes.runtime_tasks import NODE, a_runtime_task

KINDS = ("sleeper", "finisher", "crasher", "stubborn", "healthy", "sick")
MODEL = {
    "sleeper": ImageBehaviour(stop_time_s=0.05),
    "finisher": ImageBehaviour(exit_after_s=0.2),
    "crasher": ImageBehaviour(exit_after_s=0.2, exit_code=1),
    "stubborn": ImageBehaviour(ignores_stop=True),
    "healthy": ImageBehaviour(healthy_after_s=0.5),
    "sick": ImageBehaviour(unhealthy_after_s=1.0),
}


@dataclass
class Place:
    """A runtime, and how to name the images of `KINDS` there."""

    runtime: ContainerRuntime
    images: dict[str, str]
    node_id: str

    def task(self, kind: str, slot: int = 1, **fields: Any):
        task = a_runtime_task(self.images[kind], slot=slot, node_id=self.node_id, **fields)
        return replace(task, task_id=f"{self.node_id[:20]}{slot:05}")


class ModelPlace:
    @asynccontextmanager
    async def open(self):
        host = FakeEngineHost(SystemClock())
        for kind, behaviour in MODEL.items():
            host.program(kind, replace(behaviour, pull_time_s=0.01, start_time_s=0.01))
        host.program("missing", ImageBehaviour(pull_error="manifest unknown"))
        images = {kind: kind for kind in (*KINDS, "missing")}
        yield Place(FakeRuntime(host, node_id=NODE), images, NODE)


class EnginePlace:
    def __init__(self, engine, images):
        self._engine = engine
        self._images = images

    @asynccontextmanager
    async def open(self):
        async with ground(self._engine, "") as it:
            yield Place(it.runtime, self._images, it.node_id)


@pytest.fixture(scope="module")
def engine_images(one_host):
    images = {kind: str(one_host.images.build(kind, "contract")) for kind in KINDS}
    return {**images, "missing": f"{one_host.registry.address}/berth/none:1"}


@pytest.fixture(params=["model", pytest.param("engine", marks=pytest.mark.engine)])
def place(request):
    if request.param == "model":
        return ModelPlace()
    return EnginePlace(
        request.getfixturevalue("one_engine"), request.getfixturevalue("engine_images")
    )


def run(place, scenario):
    """Run `scenario(place)` with the place open."""

    async def main():
        async with place.open() as it:
            return await scenario(it)

    return asyncio.run(main())


def test_a_task_goes_from_nothing_to_running_to_removed(place):
    async def scenario(it):
        task = it.task("sleeper")
        assert await it.runtime.inspect_task(task.task_id) is None
        image = await it.runtime.pull(task, lambda _: None)
        made = await it.runtime.create(task, image)
        assert made.is_new
        container_id = made.container_id
        created = await it.runtime.inspect_task(task.task_id)
        assert (created.state, created.exit_code, created.started_at) == (
            ContainerState.CREATED,
            None,
            0.0,
        )
        started = await it.runtime.start(container_id)
        running = await it.runtime.inspect_task(task.task_id)
        assert started == running
        assert running.state is ContainerState.RUNNING
        assert running.pid > 0
        assert running.started_at > 0
        assert running.image_digest == image.digest
        assert running.labels["berth.task"] == task.task_id
        assert [seen.task_id for seen in await it.runtime.list_containers()] == [task.task_id]
        await it.runtime.remove(container_id)
        assert await it.runtime.inspect_task(task.task_id) is None
        assert await it.runtime.list_containers() == []

    run(place, scenario)


def test_every_call_may_be_repeated(place):
    async def scenario(it):
        task = it.task("sleeper")
        image = await it.runtime.pull(task, lambda _: None)
        assert await it.runtime.pull(task, lambda _: None) == image
        container_id = (await it.runtime.create(task, image)).container_id
        adopted = CreatedContainer(container_id, is_new=False)
        assert await it.runtime.create(task, image) == adopted
        await it.runtime.start(container_id)
        pid = (await it.runtime.inspect_task(task.task_id)).pid
        await it.runtime.start(container_id)
        assert await it.runtime.create(task, image) == adopted
        assert (await it.runtime.inspect_task(task.task_id)).pid == pid
        assert await it.runtime.stop(container_id, 5.0)
        ended = await it.runtime.inspect_task(task.task_id)
        assert not await it.runtime.stop(container_id, 5.0)
        assert await it.runtime.inspect_task(task.task_id) == ended
        await it.runtime.remove(container_id)
        await it.runtime.remove(container_id)
        assert not await it.runtime.stop(container_id, 5.0)

    run(place, scenario)


@pytest.mark.parametrize(("kind", "code"), [("finisher", 0), ("crasher", 1)])
def test_a_container_that_ends_tells_its_code(place, kind, code):
    async def scenario(it):
        task = it.task(kind)
        await start(it.runtime, task)
        seen = await wait_until(it.runtime, task, lambda seen: seen.exit_code is not None)
        assert (seen.state, seen.exit_code, seen.pid) == (ContainerState.EXITED, code, 0)
        assert seen.finished_at >= seen.started_at

    run(place, scenario)


def test_stop_lets_the_container_end_in_good_order(place):
    async def scenario(it):
        task = it.task("sleeper")
        container_id = await start(it.runtime, task)
        # A shell that has not set its trap yet ignores the signal; it writes after it has.
        async with aclosing(it.runtime.logs(container_id, LogOptions(follow=True))) as lines:
            await anext(lines)
        await it.runtime.stop(container_id, 50.0)
        return await it.runtime.inspect_task(task.task_id)

    seen = run(place, scenario)
    assert (seen.state, seen.exit_code == 137) == (ContainerState.EXITED, False)


def test_stop_kills_what_does_not_end_within_its_grace(place):
    async def scenario(it):
        task = it.task("stubborn")
        container_id = await start(it.runtime, task)
        await asyncio.sleep(0.3)
        begun = SystemClock().instant()
        await it.runtime.stop(container_id, 1.0)
        took_s = SystemClock().instant() - begun
        seen = await it.runtime.inspect_task(task.task_id)
        return took_s, seen.exit_code

    took_s, exit_code = run(place, scenario)
    assert exit_code == 137
    assert took_s >= 1.0


@pytest.mark.parametrize(
    ("kind", "verdict"), [("healthy", Health.HEALTHY), ("sick", Health.UNHEALTHY)]
)
def test_health_is_seen(place, kind, verdict):
    async def scenario(it):
        task = it.task(kind)
        await start(it.runtime, task)
        await wait_until(it.runtime, task, lambda seen: seen.health is verdict)

    run(place, scenario)


def test_events_begin_with_a_gap_and_tell_of_every_change(place):
    async def scenario(it):
        task = it.task("crasher")
        seen = []
        async with asyncio.timeout(30.0), aclosing(it.runtime.events()) as events:
            assert isinstance(await anext(events), EventGap)
            async with asyncio.TaskGroup() as group:
                group.create_task(start(it.runtime, task))
                async for event in events:
                    assert isinstance(event, ContainerChanged)
                    assert event.task_id == task.task_id
                    seen.append(event.action)
                    if event.action == "die":
                        break
            await it.runtime.remove(event.container_id)
            async for event in events:
                seen.append(event.action)
                if event.action == "destroy":
                    break
        return seen

    assert run(place, scenario) == ["create", "start", "die", "destroy"]


def test_events_tell_of_health(place):
    async def scenario(it):
        async with asyncio.timeout(30.0), aclosing(it.runtime.events()) as events:
            await anext(events)
            async with asyncio.TaskGroup() as group:
                group.create_task(start(it.runtime, it.task("healthy")))
                async for event in events:
                    if event.action == "health_status: healthy":
                        return

    run(place, scenario)


def test_an_image_that_is_not_there_is_refused_for_good(place):
    async def scenario(it):
        with pytest.raises(RuntimeCallError) as refusal:
            await it.runtime.pull(it.task("missing"), lambda _: None)
        return refusal.value

    refusal = run(place, scenario)
    assert refusal.retry is RetryRule.NEVER
    assert "manifest unknown" in refusal.message


def test_logs_end_with_the_container(place):
    async def scenario(it):
        task = it.task("finisher")
        container_id = await start(it.runtime, task)
        options = LogOptions(follow=True)
        async with asyncio.timeout(30.0):
            lines = [line async for line in it.runtime.logs(container_id, options)]
        assert len(lines) == 1
        assert lines[0].time_ns > 1_700_000_000 * 10**9
        assert not await is_running(it.runtime, task)

    run(place, scenario)


def test_the_logs_of_a_container_that_is_gone_are_refused(place):
    async def scenario(it):
        with pytest.raises(RuntimeCallError) as refusal:
            async for _ in it.runtime.logs("0" * 64, LogOptions()):
                pass
        return refusal.value.retry

    assert run(place, scenario) is RetryRule.NEVER


def test_a_node_is_described(place):
    async def scenario(it):
        return await it.runtime.describe(), await it.runtime.disk_use()

    told, disk = run(place, scenario)
    assert (told.hostname, told.address) == ("host-7", "192.0.2.7")
    assert told.platform.os == "linux"
    assert told.resources.nano_cpus > 0
    assert told.resources.memory_bytes > 0
    assert "local" in told.volume_plugins
    assert 0 < disk.free_bytes <= disk.total_bytes
