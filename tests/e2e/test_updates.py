"""Rolling updates and rollbacks: their order, their failures, and what they never touch."""

import time

import pytest

from berth.model.task import TaskState
from tests.cluster import TestCluster
from tests.e2e.asking import QUICK_UPDATE, create, inspect_service, task_rows, wait_ends
from tests.e2e.engines import running_processes, watch_containers
from tests.hosts import ImageFactory

pytestmark = pytest.mark.e2e


def versions_running(cluster: TestCluster, service: str) -> list[str]:
    """Return which version of the image each running container has."""
    return sorted(
        each["Config"]["Labels"]["test.version"] for _, each in cluster.containers(service)
    )


def test_a_stop_first_update_never_runs_two_containers_of_a_slot(
    cluster: TestCluster, images: ImageFactory
) -> None:
    with watch_containers(cluster, "web") as story:
        create(cluster, "web", images.sleeper("1.0"), *QUICK_UPDATE, replicas=3)
        cluster.wait_running("web", 3)
        began_s = time.time()
        done = cluster.berth("service", "update", f"--image={images.sleeper('2.0')}", "web")
        assert "update completed" in done.stdout or "3 of 3 tasks running" in done.stdout
        assert cluster.control.service("web").update_status.state == "completed"
        cluster.wait_until("three containers run", lambda: len(cluster.containers("web")) == 3)
        print(f"update of 3 tasks, stop-first: {time.time() - began_s:.1f} s\n{story}")
        assert versions_running(cluster, "web") == ["2.0"] * 3
        assert story.fewest(since_s=began_s) == 2, "one at a time is replaced"
        assert {slot: story.most(slot) for slot in story.slots()} == {"1": 1, "2": 1, "3": 1}


def test_a_start_first_update_never_falls_below_strength(
    cluster: TestCluster, images: ImageFactory
) -> None:
    with watch_containers(cluster, "web") as story:
        create(
            cluster, "web", images.sleeper("1.0"), *QUICK_UPDATE,
            "--update-order=start-first", "--update-parallelism=3", replicas=3,
        )  # fmt: skip
        cluster.wait_running("web", 3)
        began_s = time.time()
        cluster.berth("service", "update", "-d", f"--image={images.sleeper('2.0')}", "web")
        cluster.wait_update("web", "completed")
        cluster.wait_until("three containers run", lambda: len(cluster.containers("web")) == 3)
        assert versions_running(cluster, "web") == ["2.0"] * 3
        assert story.fewest(since_s=began_s) == 3, f"never below strength\n{story}"
        assert max(story.most(slot) for slot in story.slots()) == 2


def test_a_service_is_rolled_back_to_its_previous_spec(
    cluster: TestCluster, images: ImageFactory
) -> None:
    old, new = images.sleeper("1.0"), images.sleeper("2.0")
    create(cluster, "web", old, *QUICK_UPDATE, "--rollback-monitor=1s",
           "--update-parallelism=0", "--rollback-parallelism=0", replicas=2)  # fmt: skip
    cluster.wait_running("web", 2)
    cluster.berth("service", "update", "-d", f"--image={new}", "--env-add=MODE=new", "web")
    cluster.wait_update("web", "completed")
    assert versions_running(cluster, "web") == ["2.0", "2.0"]
    cluster.berth("service", "rollback", "web")
    assert cluster.control.service("web").update_status.state == "rollback_completed"
    assert versions_running(cluster, "web") == ["1.0", "1.0"]
    assert inspect_service(cluster, "web")["spec"]["task"]["container"]["env"] == []
    history = [row["CurrentState"] for row in task_rows(cluster, "web")]
    assert sum(state.startswith("Shutdown") for state in history) == 4


@pytest.mark.parametrize(
    ("kind", "delay"),
    [
        pytest.param("crasher", "3s", id="it crashes within the delay"),
        pytest.param("sick", "0s", id="its health check fails"),
    ],
)
def test_an_update_that_fails_pauses_and_leaves_the_rest_untouched(
    cluster: TestCluster, images: ImageFactory, kind: str, delay: str
) -> None:
    create(cluster, "web", images.sleeper("1.0"), f"--update-delay={delay}",
           "--update-monitor=10s", "--restart-delay=1s", replicas=3)  # fmt: skip
    cluster.wait_running("web", 3)
    before = running_processes(cluster, "web")
    failed = cluster.berth(
        "service", "update", f"--image={images.build(kind, '2.0')}", "web", check=False
    )
    assert failed.exit_code == 1, "the command that waits says that it failed"
    assert "paused" in failed.output
    status = cluster.control.service("web").update_status
    assert status.state == "paused"
    assert "1 new task of 3 failed" in status.message
    kept = before.items() & running_processes(cluster, "web").items()
    assert len(kept) == 2, "the other two slots run on, the very same processes"
    explained = cluster.berth("explain", "web").stdout
    assert "paused" in explained
    errors = [row["Error"] for row in task_rows(cluster, "web", "--no-trunc") if row["Error"]]
    assert any("exit" in error or "health" in error for error in errors), errors

    cluster.berth("service", "update", "-d", f"--image={images.sleeper('2.0')}",
                  "--update-monitor=1s", "--update-delay=0s", "web")  # fmt: skip
    cluster.wait_update("web", "completed")
    assert versions_running(cluster, "web") == ["2.0"] * 3


def test_an_update_that_fails_rolls_back_when_asked_to(
    cluster: TestCluster, images: ImageFactory
) -> None:
    old = images.healthy("1.0")
    create(cluster, "web", old, "--update-failure-action=rollback", "--update-monitor=10s",
           "--rollback-monitor=1s", "--restart-delay=1s", replicas=3)  # fmt: skip
    cluster.wait_running("web", 3)
    before = running_processes(cluster, "web")
    failed = cluster.berth("service", "update", f"--image={images.sick('2.0')}", "web", check=False)
    assert failed.exit_code == 1
    assert "rolled back" in failed.output
    cluster.wait_update("web", "rollback_completed")
    cluster.wait_running("web", 3)
    assert versions_running(cluster, "web") == ["1.0"] * 3
    assert inspect_service(cluster, "web")["spec"]["task"]["container"]["image"].startswith(old)
    assert len(before.items() & running_processes(cluster, "web").items()) == 2


def test_a_replacement_is_pulled_before_the_old_task_is_stopped(
    cluster: TestCluster, images: ImageFactory
) -> None:
    create(cluster, "web", images.sleeper("1.0"), *QUICK_UPDATE, replicas=2)
    cluster.wait_running("web", 2)
    before = running_processes(cluster, "web")
    cluster.berth(
        "service", "update", "-d", "--no-resolve-image",
        f"--image={cluster.lab.registry.address}/berth/nosuch:1", "web",
    )  # fmt: skip
    wait_ends(cluster, "web", 1, TaskState.REJECTED)
    cluster.wait_update("web", "paused")
    assert running_processes(cluster, "web") == before, "nothing was stopped for a bad image"
