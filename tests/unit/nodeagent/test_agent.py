"""The agent's shell on virtual time: the real agent, a model Engine, schedulers played by hand."""

from dataclasses import replace

import pytest

from berth.errors import RetryRule
from berth.model.cluster import ClusterSettings
from berth.model.ids import TaskId
from berth.model.registry_auth import RegistryAuth
from berth.model.service import ContainerSpec, RestartCondition, RestartPolicy
from berth.model.task import TaskState
from berth.v1 import dispatcher_pb2 as pb
from nodeagent.core.messages import Call
from nodeagent.runtime.port import ContainerState, Health
from tests.fakes.fake_engine_host import ImageBehaviour
from tests.fakes.virtual_time import run_virtually
from tests.unit.nodeagent.bench import (
    IMAGE,
    Bench,
    a_task,
    a_template,
    virtually,
)


@virtually
async def test_a_node_joins_and_runs_what_it_is_told():
    bench = Bench()
    async with bench.agent():
        await bench.joined()
        assert bench.link.stream.kinds()[0] == "hello"
        bench.link.assign(a_task(1), a_task(2), templates=(a_template(),), is_complete=True)
        await bench.told("task1", TaskState.RUNNING)
        await bench.told("task2", TaskState.RUNNING)
        status = bench.link.stream.statuses()["task1"]
        assert status.container_id
        assert status.image_digest.startswith("sha256:")
        assert [found.task.node_name for found in bench.host.running_tasks()] == ["node-1"] * 2
    assert len(bench.host.running_tasks()) == 2  # Stopping the agent touches no container.


@virtually
async def test_ready_waits_for_the_word_to_run():
    bench = Bench()
    async with bench.agent():
        await bench.joined()
        ready = a_task(1, TaskState.READY)
        bench.link.assign(ready, templates=(a_template(),), is_complete=True)
        await bench.told("task1", TaskState.READY)
        await bench.clock.sleep(30)
        assert bench.host.starts == []
        bench.link.assign(a_task(1))
        await bench.told("task1", TaskState.RUNNING)


@pytest.mark.parametrize(
    ("exit_code", "state", "error"),
    [
        pytest.param(0, TaskState.COMPLETE, "", id="exit code 0 completes"),
        pytest.param(3, TaskState.FAILED, "task: non-zero exit (3)", id="others fail"),
    ],
)
def test_a_crash_under_a_leader_is_reported_and_left_to_it(exit_code, state, error):
    async def run():
        bench = Bench()
        async with bench.agent():
            await bench.joined()
            bench.link.assign(a_task(1), templates=(a_template(),), is_complete=True)
            await bench.told("task1", TaskState.RUNNING)
            bench.host.exit_now(TaskId("task1"), exit_code)
            await bench.told("task1", state)
            status = bench.link.stream.statuses()["task1"]
            assert (status.exit_code, status.error) == (exit_code, error)
            await bench.clock.sleep(300)
            assert bench.host.starts_by_task() == {"task1": 1}

    run_virtually(run())


@virtually
async def test_an_unhealthy_container_is_stopped_and_fails():
    bench = Bench()
    bench.host.program(IMAGE, ImageBehaviour(healthy_after_s=5.0))
    async with bench.agent():
        await bench.joined()
        bench.link.assign(a_task(1), templates=(a_template(),), is_complete=True)
        await bench.told("task1", TaskState.STARTING)
        await bench.clock.sleep(2)
        assert bench.link.stream.state_of("task1") is TaskState.STARTING
        await bench.told("task1", TaskState.RUNNING)
        bench.host.set_health(TaskId("task1"), Health.UNHEALTHY)
        await bench.told("task1", TaskState.FAILED)
        assert bench.link.stream.statuses()["task1"].error == "task: unhealthy container"
        assert bench.host.running_tasks() == []


@virtually
async def test_a_pull_that_may_pass_is_retried_and_one_that_cannot_is_rejected():
    bench = Bench()
    busy = ImageBehaviour(pull_error="timeout", pull_retry=RetryRule.LATER, pull_failures=3)
    bench.host.program(IMAGE, busy)
    bench.host.program("bad:1", ImageBehaviour(pull_error="manifest unknown"))
    bad_spec = replace(a_template().task, container=ContainerSpec(image="bad:1"))
    bad = replace(a_template(), version=2, task=bad_spec)
    async with bench.agent():
        await bench.joined()
        tasks = (a_task(1), replace(a_task(2), template_version=2))
        bench.link.assign(*tasks, templates=(a_template(), bad), is_complete=True)
        await bench.told("task2", TaskState.REJECTED)
        assert "manifest unknown" in bench.link.stream.statuses()["task2"].error
        assert "timeout" in bench.link.stream.statuses()["task1"].error
        await bench.told("task1", TaskState.RUNNING)
        assert bench.link.stream.statuses()["task1"].error == ""


@virtually
async def test_shutdown_stops_and_keeps_the_container_and_remove_removes_it():
    bench = Bench()
    async with bench.agent():
        await bench.joined()
        bench.link.assign(a_task(1), a_task(2), templates=(a_template(),), is_complete=True)
        await bench.told("task2", TaskState.RUNNING)
        bench.link.assign(a_task(1, TaskState.SHUTDOWN), a_task(2, TaskState.REMOVE))
        await bench.told("task1", TaskState.SHUTDOWN)
        await bench.told("task2", TaskState.SHUTDOWN)
        await bench.clock.sleep(1)
        assert [c.task.task_id for c in bench.host.containers.values()] == ["task1"]
        bench.link.assign(forgotten=("task1", "task2"))
        await bench.clock.sleep(1)
        assert [c.task.task_id for c in bench.host.containers.values()] == ["task1"]
        bench.link.assign(purged=("task1",))
        await bench.clock.sleep(2)
        assert not bench.host.containers


@virtually
async def test_a_killed_agent_adopts_its_containers():
    bench = Bench()
    async with bench.agent():
        await bench.joined()
        bench.link.assign(a_task(1), templates=(a_template(),), is_complete=True)
        await bench.told("task1", TaskState.RUNNING)
        await bench.clock.sleep(1)
    async with bench.agent():
        await bench.until(lambda: len(bench.link.streams) == 2, "a second session")
        hello = bench.link.stream.received[0].hello
        assert [(task.task_id, task.state) for task in hello.tasks] == [("task1", 512)]
        assert hello.highest_epoch == 7
        assert hello.cluster_id == "cluster-a"
        bench.link.assign(a_task(1), templates=(a_template(),), is_complete=True)
        await bench.clock.sleep(60)
    assert bench.host.starts_by_task() == {"task1": 1}


@virtually
async def test_without_a_journal_containers_are_known_by_label_and_judged_by_the_complete_set():
    bench = Bench()
    async with bench.agent():
        await bench.joined()
        bench.link.assign(a_task(1), a_task(2), templates=(a_template(),), is_complete=True)
        await bench.told("task2", TaskState.RUNNING)
    bench.journal.content = None
    async with bench.agent():
        await bench.until(lambda: len(bench.link.streams) == 2, "a second session")
        hello = bench.link.stream.received[0].hello
        assert sorted(task.task_id for task in hello.tasks) == ["task1", "task2"]
        await bench.clock.sleep(60)
        assert len(bench.host.running_tasks()) == 2
        bench.link.assign(a_task(1), templates=(a_template(),), is_complete=True)
        await bench.until(lambda: len(bench.host.containers) == 1, "the surplus removed")
        assert bench.host.running_tasks()[0].task.task_id == "task1"
        await bench.told("task1", TaskState.RUNNING)
    assert bench.host.starts_by_task() == {"task1": 1, "task2": 1}


@virtually
async def test_cut_off_it_restarts_by_policy_after_lost_after():
    bench = Bench()
    async with bench.agent() as agent:
        await bench.joined()
        bench.link.assign(a_task(1), templates=(a_template(),), is_complete=True)
        await bench.told("task1", TaskState.RUNNING)
        bench.link.leader = ""
        bench.link.stream.break_off()
        await bench.clock.sleep(1)
        bench.host.exit_now(TaskId("task1"), 1)
        await bench.clock.sleep(2)
        assert bench.host.running_tasks() == []  # A leader may still come within lost_after.
        await bench.clock.sleep(4)
        assert len(bench.host.running_tasks()) == 1
        assert "leader" in agent.problems
        bench.host.exit_now(TaskId("task1"), 1)
        await bench.clock.sleep(1.5)
        assert bench.host.running_tasks() == []  # The second delay is twice the first.
        await bench.clock.sleep(2)
        assert len(bench.host.running_tasks()) == 1
        bench.link.leader = "s2:1"
        await bench.until(lambda: len(bench.link.streams) == 2, "a second session")
        told = bench.link.stream.statuses()["task1"]
        assert (told.state, told.local_restarts) == (TaskState.RUNNING, 2)


@virtually
async def test_an_end_while_cut_off_is_the_leaders_when_it_returns_in_time():
    bench = Bench()
    async with bench.agent():
        await bench.joined()
        bench.link.assign(a_task(1), templates=(a_template(),), is_complete=True)
        await bench.told("task1", TaskState.RUNNING)
        bench.link.leader = ""
        bench.link.stream.break_off()
        await bench.clock.sleep(0.5)
        bench.host.exit_now(TaskId("task1"), 9)
        await bench.clock.sleep(1)
        bench.link.leader = "s1:1"
        await bench.until(lambda: len(bench.link.streams) == 2, "a second session")
        await bench.told("task1", TaskState.FAILED)
        await bench.clock.sleep(60)
    assert bench.host.starts_by_task() == {"task1": 1}


@virtually
async def test_self_fencing_counts_from_when_the_leader_may_have_heard_us_last():
    bench = Bench()
    fenced = a_template(service_labels={"berth.fence": "after:20s"})
    async with bench.agent():
        await bench.joined()
        bench.link.assign(a_task(1), templates=(fenced,), is_complete=True)
        await bench.told("task1", TaskState.RUNNING)
        bench.link.leader = ""
        bench.link.stream.break_off()
        await bench.clock.sleep(14)
        assert len(bench.host.running_tasks()) == 1
        await bench.clock.sleep(3)  # 20 s less the 4.5 s for which a dead link may go unnoticed.
        assert bench.host.running_tasks() == []
        bench.link.leader = "s1:1"
        await bench.until(lambda: len(bench.link.streams) == 2, "a second session")
        told = bench.link.stream.statuses()["task1"]
        assert told.state is TaskState.SHUTDOWN
        assert "fenced" in told.error


@virtually
async def test_a_restart_of_the_agent_does_not_put_off_fencing():
    bench = Bench()
    fenced = a_template(service_labels={"berth.fence": "after:30s"})
    async with bench.agent():
        await bench.joined()
        bench.link.assign(a_task(1), templates=(fenced,), is_complete=True)
        await bench.told("task1", TaskState.RUNNING)
        bench.link.leader = ""
        bench.link.stream.break_off()
        await bench.clock.sleep(10)
    await bench.clock.sleep(10)
    async with bench.agent():
        await bench.clock.sleep(8)
        assert bench.host.running_tasks() == []
    assert bench.host.starts_by_task() == {"task1": 1}


@virtually
async def test_engine_restart_is_survived_and_the_crash_told():
    bench = Bench()
    async with bench.agent() as agent:
        await bench.joined()
        bench.link.assign(a_task(1), templates=(a_template(),), is_complete=True)
        await bench.told("task1", TaskState.RUNNING)
        bench.host.stop_engine()
        await bench.clock.sleep(3)
        assert agent.problems == {"engine": "the Docker Engine does not answer"}
        bench.link.assign(a_task(2))
        await bench.clock.sleep(3)
        bench.host.start_engine()
        await bench.told("task1", TaskState.FAILED)
        await bench.told("task2", TaskState.RUNNING)
        assert agent.problems == {}
    assert bench.host.starts_by_task() == {"task1": 1, "task2": 1}
    assert len(bench.link.streams) == 1, "for a short restart the session lasts"


@virtually
async def test_after_a_reboot_without_a_leader_it_carries_on_alone():
    bench = Bench()
    async with bench.agent():
        await bench.joined()
        bench.link.assign(a_task(1), templates=(a_template(),), is_complete=True)
        await bench.told("task1", TaskState.RUNNING)
        await bench.clock.sleep(1)
        bench.host.power_off()
    bench.link.leader = ""
    bench.host.power_on()
    async with bench.agent():
        await bench.clock.sleep(4)
        assert bench.host.running_tasks() == []
        await bench.clock.sleep(4)
        assert len(bench.host.running_tasks()) == 1


@virtually
async def test_a_pull_that_needs_credentials_waits_for_the_leader_after_a_restart():
    bench = Bench()
    private = a_template(registry_auth=RegistryAuth(username="u", password="not-in-the-journal"))
    slow = ImageBehaviour(pull_time_s=50.0)
    bench.host.program(IMAGE, slow)
    async with bench.agent():
        await bench.joined()
        bench.link.assign(a_task(1), templates=(private,), is_complete=True)
        await bench.told("task1", TaskState.PREPARING)
        await bench.clock.sleep(2)
    assert b"not-in-the-journal" not in bench.journal.content
    bench.host.program(IMAGE, ImageBehaviour(pull_error="access denied"))
    bench.link.leader = ""
    async with bench.agent() as agent:
        await bench.clock.sleep(40)
        task = agent.state.tasks[TaskId("task1")]
        assert task.observed is TaskState.PREPARING
        assert "credentials" in task.message
        bench.host.program(IMAGE, ImageBehaviour())
        bench.link.leader = "s1:1"
        await bench.until(lambda: len(bench.link.streams) == 2, "a second session")
        bench.link.assign(a_task(1), templates=(private,), is_complete=True)
        await bench.told("task1", TaskState.RUNNING)
        assert bench.host.running_tasks()[0].task.credentials.username == "u"


@virtually
async def test_logs_are_answered_beside_the_session_until_they_are_cancelled():
    bench = Bench()
    async with bench.agent():
        await bench.joined()
        bench.link.assign(a_task(1), templates=(a_template(),), is_complete=True)
        await bench.told("task1", TaskState.RUNNING)
        ask = pb.LogRequest(request_id="r1", task_ids=["task1"], follow=True, tail=-1, stdout=True)
        bench.link.stream.say(pb.SchedulerMessage(epoch=7, log_request=ask))
        await bench.clock.sleep(2)
        lines = [line.data for chunk in bench.link.published for line in chunk.lines]
        assert lines == [b"task task1 started"]
        ask.cancel = True
        bench.link.stream.say(pb.SchedulerMessage(epoch=7, log_request=ask))
        await bench.clock.sleep(1)
        bench.host.exit_now(TaskId("task1"), 0)
        await bench.told("task1", TaskState.COMPLETE)
        assert not any(chunk.done for chunk in bench.link.published)


@virtually
async def test_a_full_disk_under_the_journal_stops_nothing():
    bench = Bench()
    bench.journal.fails = True
    async with bench.agent():
        await bench.joined()
        bench.link.assign(a_task(1), templates=(a_template(),), is_complete=True)
        await bench.told("task1", TaskState.RUNNING)


@virtually
async def test_few_prepare_at_once_and_stops_do_not_wait_for_them():
    bench = Bench()
    bench.host.program(IMAGE, ImageBehaviour(pull_time_s=20.0))
    async with bench.agent() as agent:
        await bench.joined()
        # Of one template each, since tasks of the same template share a pull.
        tasks = [replace(a_task(number), template_version=number) for number in range(1, 11)]
        templates = tuple(a_template(version=number) for number in range(1, 11))
        bench.link.assign(*tasks, templates=templates, is_complete=True)
        await bench.clock.sleep(5)
        pulling = [task for task in agent.state.tasks.values() if task.call is Call.PULL]
        assert len(pulling) == agent.state.limits.prepare == 4
        begun = bench.clock.instant()
        stops = [replace(tasks[number - 1], desired=TaskState.SHUTDOWN) for number in (9, 1)]
        bench.link.assign(*stops)
        await bench.told("task9", TaskState.SHUTDOWN)
        await bench.told("task1", TaskState.SHUTDOWN)
        assert bench.clock.instant() - begun < 1
        await bench.told("task10", TaskState.RUNNING)


@virtually
async def test_the_sweep_removes_what_is_old_and_nothing_that_runs():
    bench = Bench()
    bench.link.settings = ClusterSettings(heartbeat_period_s=1.0, dead_container_age_s=600.0)
    never = RestartPolicy(condition=RestartCondition.NONE)
    template = a_template(task=replace(a_template().task, restart=never))
    async with bench.agent():
        await bench.joined()
        bench.link.assign(a_task(1), a_task(2), templates=(template,), is_complete=True)
        await bench.told("task2", TaskState.RUNNING)
        bench.host.exit_now(TaskId("task1"), 0)
        await bench.clock.sleep(500)
        assert len(bench.host.containers) == 2
        await bench.clock.sleep(500)
        (left,) = bench.host.containers.values()
        assert (left.task.task_id, left.state) == ("task2", ContainerState.RUNNING)
