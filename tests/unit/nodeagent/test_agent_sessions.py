"""An agent and its schedulers: whom it obeys, whom it tries, and how it shows that it lives."""

from berth.model.cluster import ClusterSettings
from berth.model.task import TaskState
from berth.v1 import dispatcher_pb2 as pb
from tests.fakes.fake_engine_host import ImageBehaviour
from tests.fakes.fake_link import FakeStream
from tests.unit.nodeagent.bench import (
    IMAGE,
    Bench,
    a_task,
    a_template,
    virtually,
)


@virtually
async def test_a_deposed_leader_is_not_obeyed():
    bench = Bench()
    async with bench.agent():
        await bench.joined()
        bench.link.assign(a_task(1), templates=(a_template(),), is_complete=True)
        await bench.told("task1", TaskState.RUNNING)
        bench.link.assign(a_task(1, TaskState.SHUTDOWN), epoch=6)
        await bench.until(lambda: len(bench.link.streams) == 2, "a new session")
        await bench.clock.sleep(10)
        assert len(bench.host.running_tasks()) == 1


@virtually
async def test_a_gap_in_the_assignments_asks_for_all_again():
    bench = Bench()
    async with bench.agent():
        await bench.joined()
        bench.link.assign(a_task(1), templates=(a_template(),), is_complete=True)
        await bench.told("task1", TaskState.RUNNING)
        bench.link._sequence += 1
        bench.link.assign(a_task(1, TaskState.SHUTDOWN))
        await bench.until(lambda: len(bench.link.streams) == 2, "a new session")
        assert len(bench.host.running_tasks()) == 1


@virtually
async def test_another_cluster_is_refused_by_name():
    bench = Bench()
    async with bench.agent():
        await bench.joined()
        bench.link.assign(a_task(1), templates=(a_template(),), is_complete=True)
        await bench.told("task1", TaskState.RUNNING)
    bench.link.cluster_id, bench.link.epoch = "cluster-b", 99
    async with bench.agent() as agent:
        await bench.clock.sleep(5)
        assert "cluster-a" in agent.problems["leader"]
        assert "cluster-b" in agent.problems["leader"]
        assert "state directory" in agent.problems["leader"]
        assert agent.state.epoch == 7
        assert len(bench.host.running_tasks()) == 1


@virtually
async def test_a_refusal_leads_to_the_leader_at_once():
    bench = Bench()
    bench.link.leader = "s9:1"
    bench.link.followers = {"s1:1": "s9:1"}
    async with bench.agent():
        begun = bench.clock.instant()
        await bench.joined()
        assert bench.clock.instant() - begun < 0.2
        assert bench.link.attempts == ["s1:1", "s9:1"]


@virtually
async def test_it_tries_all_schedulers_in_turn_with_back_off():
    bench = Bench()
    bench.link.leader = ""
    async with bench.agent():
        await bench.clock.sleep(60)
        attempts = bench.link.attempts
        assert attempts[:4] == ["s1:1", "s2:1", "s1:1", "s2:1"]
        assert 20 < len(attempts) < 60
        bench.link.leader = "s2:1"
        begun = bench.clock.instant()
        await bench.joined()
        assert bench.clock.instant() - begun < 6.1


@virtually
async def test_heartbeats_fill_silence_only():
    bench = Bench()
    async with bench.agent() as agent:
        await bench.joined()
        agent.note_loop_lag(0.25)
        await bench.clock.sleep(20)
        kinds = bench.link.stream.kinds()
        assert kinds[0] == "hello"
        assert 19 <= kinds.count("heartbeat") <= 23
        beats = [m.heartbeat for m in bench.link.stream.received if m.HasField("heartbeat")]
        assert beats[0].loop_lag_s == 0.25
        assert beats[1].loop_lag_s == 0.0


@virtually
async def test_a_shorter_heartbeat_period_holds_at_once():
    bench = Bench()
    bench.link.settings = ClusterSettings(heartbeat_period_s=60.0)
    async with bench.agent():
        await bench.joined()
        await bench.clock.sleep(10)
        assert bench.link.stream.kinds().count("heartbeat") == 0
        bench.link.set_period(1.0)
        await bench.clock.sleep(0.1)
        assert bench.link.stream.kinds().count("heartbeat") == 1, "that one is overdue by now"
        await bench.clock.sleep(10)
        assert 10 <= bench.link.stream.kinds().count("heartbeat") <= 13
        bench.link.set_period(60.0)
        await bench.clock.sleep(20)
        found = bench.link.stream.kinds().count("heartbeat")
        assert 11 <= found <= 14, "a longer one holds after one more, which the leader counts on"


@virtually
async def test_any_message_counts_as_a_heartbeat():
    bench = Bench()
    bench.host.program(IMAGE, ImageBehaviour(exit_after_s=0.2))
    async with bench.agent():
        await bench.joined()
        bench.link.assign(templates=(a_template(),), is_complete=True)
        await bench.clock.sleep(2)
        before = bench.link.stream.kinds().count("heartbeat")
        for number in range(1, 11):  # A change of status every half second for five seconds.
            bench.link.assign(a_task(number))
            await bench.clock.sleep(0.5)
        assert bench.link.stream.kinds().count("heartbeat") - before <= 1
        assert len(bench.link.streams) == 1


@virtually
async def test_goodbye_flushes_statuses_and_leaves_containers_running():
    bench = Bench()
    async with bench.agent() as agent:
        await bench.joined()
        bench.link.assign(a_task(1), templates=(a_template(),), is_complete=True)
        await bench.told("task1", TaskState.RUNNING)
        begun = bench.clock.instant()
        await agent.stop("SIGTERM")
        assert bench.clock.instant() - begun < 2
        assert bench.link.stream.kinds()[-1] == "goodbye"
    assert len(bench.host.running_tasks()) == 1


def disowning(bench: Bench, epoch: int) -> FakeStream:
    """Have the next session be refused with the word that this machine is a copy."""
    stream = FakeStream("s1:1")
    refused = pb.Refused(reason="this one is a copy of it", disowned=True, retry_after_s=1.0)
    stream.say(pb.SchedulerMessage(epoch=epoch, refused=refused))

    async def connect(address: str) -> FakeStream:
        bench.link.attempts.append(address)
        return stream

    bench.link.connect = connect
    return stream


@virtually
async def test_a_copy_of_a_node_lets_go_of_its_tasks_and_stays_away():
    bench = Bench()
    async with bench.agent() as agent:
        await bench.joined()
        bench.link.assign(a_task(1), templates=(a_template(),), is_complete=True)
        await bench.told("task1", TaskState.RUNNING)
        disowning(bench, epoch=7)
        bench.link.stream.break_off()
        await bench.until(lambda: not bench.host.running_tasks(), "the container stopped")
        assert agent.problems == {"leader": "this one is a copy of it"}
        tried = len(bench.link.attempts)
        await bench.clock.sleep(300)
        assert len(bench.link.attempts) == tried
    assert not bench.journal.load().tasks, "nor will a restart of the agent run them"


@virtually
async def test_a_deposed_leader_can_disown_nobody():
    bench = Bench()
    async with bench.agent():
        await bench.joined()
        bench.link.assign(a_task(1), templates=(a_template(),), is_complete=True)
        await bench.told("task1", TaskState.RUNNING)
        disowning(bench, epoch=6)
        bench.link.stream.break_off()
        await bench.clock.sleep(60)
        assert len(bench.host.running_tasks()) == 1
        assert len(bench.link.attempts) > 3
