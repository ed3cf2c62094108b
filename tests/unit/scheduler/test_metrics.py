"""What a scrape shows: true counts, from the leader only, without holding it up."""

import asyncio

from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics

from berth.clock import SystemClock
from berth.model.ids import NodeId
from berth.model.service import UpdatePolicy
from berth.model.task import TaskState, TaskStatus
from scheduler.census import PENDING_REASONS, Convergence, convergence, count_now, take_census
from scheduler.core import membership
from scheduler.core.step import TurnReport
from scheduler.metrics import CENSUS_AGE_S, SchedulerMetrics
from scheduler.store.port import StoreHealth, StoreState
from tests.builders import a_spec
from tests.fakes.virtual_time import VirtualClock, run_virtually
from tests.unit.scheduler.control.harness import DIGEST_A, DIGEST_B
from tests.unit.scheduler.core.world import World

S = TaskState


class FakeLeader:
    """What the collector reads of a leader."""

    def __init__(self, world):
        self.state = world.state
        self.sessions = {NodeId("n1"): object()}
        self.epoch = 7


class Source:
    local = None


class Clock:
    def __init__(self):
        self.at = 100.0

    def instant(self):
        return self.at

    async def sleep(self, delay_s):
        self.at += delay_s
        await asyncio.sleep(0)


def watching(clock=None, health=StoreState.OK):
    registry, source = CollectorRegistry(), Source()
    metrics = SchedulerMetrics(registry, clock or Clock())
    metrics.watch(source, lambda: StoreHealth(health, 0.0))
    return registry, source, metrics


def values(registry, name):
    return {
        next(iter(sample.labels.values()), ""): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == name and sample.value
    }


def test_a_standby_shows_nothing_of_the_cluster():
    registry, _, _ = watching(health=StoreState.NO_QUORUM)
    assert registry.get_sample_value("berth_leader") == 0
    assert registry.get_sample_value("swarm_manager_leader") == 0
    assert values(registry, "berth_store_state") == {"no_quorum": 1}
    assert registry.get_sample_value("swarm_manager_services_total") is None


def test_a_leader_shows_nodes_tasks_services_and_why_tasks_wait():
    world = World()
    world.create(a_spec("web", 3))
    world.create(a_spec("big", 2, cpus=100))
    world.create(a_spec("nowhere", 1, constraints=("node.labels.x==y",)))
    world.create(a_spec("all", is_global=True, cpus=50))
    world.settle()
    world.cut("n3")
    world.pass_time(10)
    registry, source, _ = watching()
    source.local = FakeLeader(world)
    assert registry.get_sample_value("berth_leader") == 1
    assert registry.get_sample_value("berth_leader_epoch") == 7
    assert values(registry, "berth_nodes") == {"ready": 2, "down": 1}
    assert values(registry, "swarm_manager_nodes") == {"ready": 2, "down": 1}
    tasks = values(registry, "berth_tasks")
    assert sum(tasks.values()) == len(world.state.tasks)
    assert tasks["running"] == sum(t.observed == S.RUNNING for t in world.state.tasks.values())
    assert values(registry, "berth_tasks_pending") == {"cpu": 2, "constraint": 1, "own_node": 3}
    assert values(registry, "berth_services") == {"converged": 1, "waiting": 3}
    assert registry.get_sample_value("swarm_manager_services_total") == 4
    assert registry.get_sample_value("berth_agent_sessions") == 1


def test_drift_and_rollouts_are_counted():
    world = World()
    world.create(a_spec(replicas=3, image=f"app:1@{DIGEST_A}"))
    world.settle()
    for task, digest in zip(world.running(), (DIGEST_A, DIGEST_B, ""), strict=True):
        node = world.nodes[task.node_id]
        status = TaskStatus(task.id, S.RUNNING, image_digest=digest)
        membership.report(world.state, node.id, node.session, [status], world.now)
    registry, source, _ = watching()
    source.local = FakeLeader(world)
    assert registry.get_sample_value("berth_tasks_drifted") == 1
    world.update("web", a_spec(replicas=3, image="bad:1"))
    world.settle()
    census = count_now(world.state)
    assert {key for key, count in census.rollouts.items() if count} == {"paused"}
    assert census.services["paused"] == 1


def test_a_service_goes_from_waiting_to_converged():
    world = World()
    web = world.create(a_spec(replicas=2))
    assert convergence(web) is Convergence.CONVERGING
    world.settle()
    assert convergence(web) is Convergence.CONVERGED
    world.update("web", a_spec(replicas=2, image="slow:1"))
    world.settle()
    assert convergence(web) is Convergence.UPDATING
    world.slow_done = True
    world.settle()
    world.pass_time(6)
    assert convergence(web) is Convergence.CONVERGED
    assert UpdatePolicy().monitor_s is None


def test_a_count_is_kept_for_a_while_and_dropped_with_the_leadership():
    world, clock = World(), Clock()
    registry, source, _ = watching(clock)
    source.local = FakeLeader(world)
    assert registry.get_sample_value("swarm_manager_services_total") == 0
    world.create(a_spec())
    assert registry.get_sample_value("swarm_manager_services_total") == 0
    clock.at += CENSUS_AGE_S
    assert registry.get_sample_value("swarm_manager_services_total") == 1
    world.create(a_spec("db"))
    source.local = FakeLeader(world)  # Another leadership knows nothing of the old count.
    assert registry.get_sample_value("swarm_manager_services_total") == 2


def test_counting_in_steps_survives_what_changes_between_them():
    world = World()
    world.create(a_spec("a", 1100))
    world.create(a_spec("b", 1100))
    world.settle(rounds=400)
    counting = take_census(world.state)
    next(counting)  # It pauses before its end, or this raises.
    for task in list(world.state.tasks.values())[:500]:
        world.state.drop_task(task)
    results = []

    def to_the_end():
        results.append((yield from counting))

    assert len(list(to_the_end())) < 5
    assert 1700 <= results[0].tasks[S.RUNNING] <= 2200


def test_recounting_beside_everything_else_spares_the_scrape():
    async def run():
        world = World()
        clock = VirtualClock()
        registry, source, metrics = watching(clock)
        source.local = FakeLeader(world)
        counting = asyncio.ensure_future(metrics.keep_counting())
        await asyncio.sleep(1)
        world.create(a_spec())
        assert registry.get_sample_value("swarm_manager_services_total") == 0
        await asyncio.sleep(CENSUS_AGE_S)
        assert registry.get_sample_value("swarm_manager_services_total") == 1
        counting.cancel()

    run_virtually(run())


def test_observers_count_what_they_are_told():
    registry, _, metrics = watching()
    metrics.turn(TurnReport((NodeId("n1"),), 10, False), 0.02)
    metrics.turn(TurnReport((), 0, False), 0.001)
    metrics.assignments_sent(4)
    metrics.task_running(3.0)
    metrics.heard(0.2)
    metrics.reported(3)
    metrics.message_sent()
    metrics.node_lost(5.5)
    metrics.session_opened()
    metrics.session_closed()
    metrics.election_won(7)
    metrics.leadership_ended("superseded")
    metrics.store.committed(5, 100, 0.01)
    metrics.store.in_flight(3)
    metrics.store.store_error("no_quorum")
    metrics.loop_lag.observe(0.1)
    sample = registry.get_sample_value
    assert sample("berth_turn_seconds_count") == 2
    assert sample("berth_placement_seconds_sum") == 0.002
    assert sample("berth_placements_total") == 10
    assert sample("berth_nodes_lost_total") == 1
    assert sample("berth_node_detection_seconds_sum") == 5.5
    assert sample("berth_assignments_sent_total") == 4
    assert sample("berth_task_reports_total") == 3
    assert sample("berth_agent_messages_total", {"direction": "received"}) == 1
    assert sample("berth_agent_messages_total", {"direction": "sent"}) == 1
    assert sample("berth_task_start_seconds_sum") == 3.0
    assert sample("berth_heartbeat_lateness_seconds_sum") == 0.2
    assert sample("berth_agent_sessions_opened_total") == 1
    assert sample("berth_agent_sessions_closed_total") == 1
    assert sample("berth_elections_total", {"outcome": "won"}) == 1
    assert sample("berth_elections_total", {"outcome": "superseded"}) == 1
    assert sample("berth_elections_total", {"outcome": "failed"}) == 0
    assert sample("berth_store_commit_changes_sum") == 5
    assert sample("berth_store_commit_bytes_total") == 100
    assert sample("berth_store_commits_in_flight") == 3
    assert sample("berth_store_errors_total", {"kind": "no_quorum"}) == 1


def test_both_formats_of_prometheus_can_be_written():
    registry, source, _ = watching(SystemClock())
    source.local = FakeLeader(World())
    text = openmetrics(registry).decode()
    assert 'berth_services{convergence="converged"} 0.0' in text
    for reason in PENDING_REASONS:
        assert f'berth_tasks_pending{{reason="{reason}"}}' in text
