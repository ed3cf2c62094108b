"""Containers that end, crash again and again, or turn unhealthy; and their calm neighbours."""

import contextlib
import time

import pytest

from berth.model.task import TaskState
from tests.cluster import TestCluster
from tests.e2e.asking import create, rows, task_rows, wait_ends
from tests.e2e.engines import running_processes, watch_containers
from tests.hosts import ImageFactory

pytestmark = pytest.mark.e2e

MARGIN_S = 30.0  # For an Engine on a machine that is busy with other things.


@pytest.fixture
def neighbour(cluster: TestCluster, images: ImageFactory) -> str:
    """A healthy service on all nodes, which no failure of another may touch."""
    create(cluster, "calm", images.sleeper("1.0"), replicas=3)
    cluster.wait_running("calm", 3)
    return "calm"


def test_a_crash_loop_keeps_its_delays_and_ends_after_its_attempts(
    cluster: TestCluster, images: ImageFactory, neighbour: str
) -> None:
    before = running_processes(cluster, neighbour)
    with watch_containers(cluster, "loop") as story:
        create(cluster, "loop", images.crasher("1.0"),
               "--restart-delay=1s", "--restart-max-attempts=3")  # fmt: skip
        failed = wait_ends(cluster, "loop", 4, TaskState.FAILED)
        assert all("exit" in row["Error"] for row in failed)
        ends = [event.at_s for event in story.events() if event.action == "die"]
        starts = [event.at_s for event in story.events() if event.action == "start"]
        pauses = [start - end for end, start in zip(ends, starts[1:], strict=False)]
        print("pauses between attempts: " + ", ".join(f"{pause:.2f} s" for pause in pauses))
        assert len(starts) == 4
        for pause, least in zip(pauses, (1.0, 2.0, 4.0), strict=True):
            assert least <= pause < least + MARGIN_S, "the delay holds, and doubles"
        explained = cluster.berth("explain", "loop").stdout
        assert "1 ended and will not be restarted" in explained
        assert "all 3 restart attempts are used up" in explained
        (row,) = rows(cluster, "service", "ls", "--filter=name=loop")
        assert row["Replicas"] == "0/1"
    assert running_processes(cluster, neighbour) == before


def test_a_killed_container_is_replaced_after_the_delay_and_nothing_else_moves(
    cluster: TestCluster, images: ImageFactory, neighbour: str
) -> None:
    with watch_containers(cluster, "web") as story:
        create(cluster, "web", images.sleeper("1.0"), "--restart-delay=1s", replicas=2)
        cluster.wait_running("web", 2)
        before = running_processes(cluster, "web")
        calm = running_processes(cluster, neighbour)
        victim, process = next(iter(before.items()))
        agent = cluster.agent(process.host)
        with contextlib.closing(agent.host.engine.client()) as client:
            client.api.kill(victim)
        cluster.wait_until(
            "a new container runs", lambda: len(running_processes(cluster, "web").keys()) == 2
            and victim not in running_processes(cluster, "web"),
        )  # fmt: skip
        cluster.wait_running("web", 2)
        end = next(event for event in story.events() if event.action == "die")
        start = next(event for event in story.events() if event.at_s > end.at_s)
        print(f"restarted {start.at_s - end.at_s:.2f} s after it was killed (delay 1 s)")
        assert 1.0 <= start.at_s - end.at_s < 1.0 + MARGIN_S
        kept = before.items() & running_processes(cluster, "web").items()
        assert len(kept) == 1
        assert running_processes(cluster, neighbour) == calm
    history = task_rows(cluster, "web", "--no-trunc")
    assert any("137" in row["Error"] for row in history), "the exit code of a kill is told"


def test_what_finishes_is_complete_where_only_failures_are_restarted(
    cluster: TestCluster, images: ImageFactory
) -> None:
    create(cluster, "once", images.finisher("1.0"), "--restart-condition=on-failure", replicas=2)
    ended = wait_ends(cluster, "once", 2, TaskState.COMPLETE)
    assert len(ended) == 2, "none was started again"
    assert all(
        each["State"]["ExitCode"] == 0 for _, each in cluster.containers("once", running_only=False)
    )


def test_an_unhealthy_container_is_failed_and_replaced(
    cluster: TestCluster, images: ImageFactory, neighbour: str
) -> None:
    before = running_processes(cluster, neighbour)
    create(cluster, "sick", images.sick("1.0"), "--restart-delay=500ms", "--restart-max-attempts=1")
    found = wait_ends(cluster, "sick", 2, TaskState.FAILED)
    assert all("health" in row["Error"] for row in found)
    cluster.wait_until("no container runs", lambda: not cluster.containers("sick"))

    create(cluster, "well", images.healthy("1.0"))
    cluster.wait_running("well", 1)
    ((_, container),) = cluster.containers("well")
    assert container["State"]["Health"]["Status"] == "healthy", "it runs only when it is healthy"
    assert running_processes(cluster, neighbour) == before


def test_a_stubborn_container_is_killed_after_its_grace(
    cluster: TestCluster, images: ImageFactory
) -> None:
    create(cluster, "mule", images.stubborn("1.0"), "--stop-grace-period=2s")
    cluster.wait_running("mule", 1)
    began_s = time.monotonic()
    cluster.berth("service", "rm", "mule")
    cluster.wait_until("it is gone", lambda: not cluster.containers("mule"))
    took_s = time.monotonic() - began_s
    print(f"a container that ignores SIGTERM was gone after {took_s:.1f} s (grace 2 s)")
    assert 1.9 <= took_s < 2.0 + MARGIN_S


def test_a_container_that_cannot_start_says_why_and_frees_its_place(
    cluster: TestCluster, images: ImageFactory
) -> None:
    create(cluster, "web", images.sleeper("1.0"), "--entrypoint=/no/such/program",
           "--restart-delay=300ms", "--restart-max-attempts=1")  # fmt: skip
    found = wait_ends(cluster, "web", 2, TaskState.FAILED, TaskState.REJECTED)
    assert all("/no/such/program" in row["Error"] for row in found)
