"""The model runtime: time, crashes, power; the contract suite holds it to the real one."""

import asyncio
from contextlib import aclosing

import pytest

from berth.errors import RetryRule
from nodeagent.runtime.port import (
    ContainerChanged,
    ContainerState,
    EventGap,
    Health,
    RuntimeCallError,
)
from tests.fakes.fake_engine_host import FakeEngineHost, ImageBehaviour
from tests.fakes.fake_runtime import FakeRuntime
from tests.fakes.runtime_tasks import NODE, a_runtime_task
from tests.fakes.virtual_time import VirtualClock, run_virtually


def a_machine(behaviour=None, *, image="app:1", live_restore=False):
    host = FakeEngineHost(VirtualClock(), live_restore=live_restore)
    host.program(image, behaviour or ImageBehaviour())
    return host, FakeRuntime(host, node_id=NODE)


async def started(runtime, task):
    image = await runtime.pull(task, lambda _: None)
    created = await runtime.create(task, image)
    await runtime.start(created.container_id)
    return created.container_id


def test_each_call_takes_its_programmed_time():
    async def scenario():
        _, runtime = a_machine(ImageBehaviour(pull_time_s=7.0, create_time_s=1.0, start_time_s=2.0))
        task = a_runtime_task("app:1")
        begin = VirtualClock().instant()
        await started(runtime, task)
        return VirtualClock().instant() - begin

    assert run_virtually(scenario()) == pytest.approx(10.0)


def test_containers_get_healthy_and_exit_by_themselves_and_events_tell():
    async def scenario():
        behaviour = ImageBehaviour(
            healthy_after_s=2.0, unhealthy_after_s=4.0, exit_after_s=9.0, exit_code=3
        )
        _, runtime = a_machine(behaviour)
        seen = []

        async def watch():
            async with aclosing(runtime.events()) as events:
                async for event in events:
                    if isinstance(event, ContainerChanged):
                        seen.append((event.action, round(VirtualClock().instant() - 1000, 2)))
                    if isinstance(event, ContainerChanged) and event.action == "die":
                        return

        task = a_runtime_task("app:1")
        async with asyncio.TaskGroup() as group:
            group.create_task(watch())
            await started(runtime, task)
        container = await runtime.inspect_task(task.task_id)
        return seen, container

    seen, container = run_virtually(scenario())
    assert seen == [
        ("create", 0.51),
        ("start", 0.57),
        ("health_status: healthy", 2.57),
        ("health_status: unhealthy", 4.57),
        ("die", 9.57),
    ]
    assert (container.state, container.exit_code) == (ContainerState.EXITED, 3)
    assert container.finished_at - container.started_at == pytest.approx(9.0)


def test_a_crash_of_the_agent_leaves_containers_to_the_next_one():
    async def scenario():
        host, first = a_machine()
        task = a_runtime_task("app:1")
        container_id = await started(first, task)
        second = FakeRuntime(host, node_id=NODE)
        found = await second.inspect_task(task.task_id)
        image = await second.pull(task, lambda _: None)
        again = await second.create(task, image)
        assert (again.container_id, again.is_new) == (container_id, False)
        await second.start(container_id)
        return found.state, host.starts_by_task()[task.task_id]

    assert run_virtually(scenario()) == (ContainerState.RUNNING, 1)


@pytest.mark.parametrize("dies_after_s", [0.3, 0.505, 0.515, 0.54, 0.6])
def test_a_call_cut_short_had_its_effect_or_not_but_never_half(dies_after_s):
    async def scenario():
        host, runtime = a_machine()
        task = a_runtime_task("app:1")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(dies_after_s):
                await started(runtime, task)
        again = FakeRuntime(host, node_id=NODE)
        await started(again, task)
        return len(host.containers), host.starts_by_task()[task.task_id]

    assert run_virtually(scenario()) == (1, 1)


@pytest.mark.parametrize(
    ("live_restore", "state"),
    [
        pytest.param(False, ContainerState.EXITED, id="stopped with the Engine"),
        pytest.param(True, ContainerState.RUNNING, id="kept by live-restore"),
    ],
)
@pytest.mark.parametrize("how", ["stop_engine", "crash_engine"])
def test_an_engine_restart(how, live_restore, state):
    async def scenario():
        host, runtime = a_machine(live_restore=live_restore)
        task = a_runtime_task("app:1")
        await started(runtime, task)
        async with aclosing(runtime.events()) as events:
            assert isinstance(await anext(events), EventGap)
            getattr(host, how)()
            with pytest.raises(RuntimeCallError) as refusal:
                await runtime.list_containers()
            assert refusal.value.retry is RetryRule.LATER
            host.start_engine()
            async for event in events:
                if isinstance(event, EventGap):
                    break
        return (await runtime.inspect_task(task.task_id)).state

    assert run_virtually(scenario()) is state


def test_power_off_ends_everything_and_calls_under_way_fail():
    async def scenario():
        host, runtime = a_machine(live_restore=True)
        task = a_runtime_task("app:1")
        await started(runtime, task)
        async with asyncio.TaskGroup() as group:
            call = group.create_task(refused(runtime.list_containers()))
            await asyncio.sleep(0.001)
            host.power_off()
        assert call.result().retry is RetryRule.LATER
        assert host.running_tasks() == []
        host.power_on()
        return (await FakeRuntime(host, node_id=NODE).inspect_task(task.task_id)).state

    async def refused(call):
        with pytest.raises(RuntimeCallError) as refusal:
            await call
        return refusal.value

    assert run_virtually(scenario()) is ContainerState.EXITED


@pytest.mark.parametrize(
    ("behaviour", "took_s", "exit_code"),
    [
        pytest.param(ImageBehaviour(stop_time_s=0.4), 0.4, 143, id="obeys"),
        pytest.param(ImageBehaviour(ignores_stop=True), 5.0, 137, id="ignores the signal"),
        pytest.param(ImageBehaviour(stop_time_s=60.0), 5.0, 137, id="too slow"),
        pytest.param(
            ImageBehaviour(ignores_stop=True, exit_after_s=2.0), 1.9, 0, id="ends by itself first"
        ),
    ],
)
def test_stop(behaviour, took_s, exit_code):
    async def scenario():
        _, runtime = a_machine(behaviour)
        task = a_runtime_task("app:1")
        container_id = await started(runtime, task)
        begin = VirtualClock().instant()
        await runtime.stop(container_id, 5.0)
        took = VirtualClock().instant() - begin
        await runtime.stop(container_id, 5.0)
        return took, (await runtime.inspect_task(task.task_id)).exit_code

    took, code = run_virtually(scenario())
    assert code == exit_code
    assert took == pytest.approx(took_s, abs=0.11)


def test_pull_failures_come_as_programmed():
    async def scenario():
        behaviour = ImageBehaviour(
            pull_error="registry down", pull_retry=RetryRule.LATER, pull_failures=2
        )
        _, runtime = a_machine(behaviour)
        outcomes = []
        for _ in range(3):
            try:
                await runtime.pull(a_runtime_task("app:1"), lambda _: None)
                outcomes.append("pulled")
            except RuntimeCallError as error:
                outcomes.append(error.retry.value)
        return outcomes

    assert run_virtually(scenario()) == ["later", "later", "pulled"]


def test_health_can_be_changed_by_the_test():
    async def scenario():
        host, runtime = a_machine(ImageBehaviour(healthy_after_s=1.0))
        task = a_runtime_task("app:1")
        await started(runtime, task)
        host.set_health(task.task_id, Health.UNHEALTHY)
        await asyncio.sleep(5)
        return (await runtime.inspect_task(task.task_id)).health

    assert run_virtually(scenario()) is Health.UNHEALTHY
