"""Jobs as the docker CLI runs them on real Engines, and jobs by the clock."""

import json
from pathlib import Path
from typing import Any

import pytest

from berth.model.schedule import SCHEDULE_LABEL
from tests.cluster import DOCKER_CLIS, DockerCli, TestCluster
from tests.hosts import ImageFactory

pytestmark = pytest.mark.e2e


@pytest.fixture
def newest(cluster: TestCluster, tmp_path: Path) -> DockerCli:
    """One docker CLI, connected to whichever scheduler leads when it is called."""
    program = DOCKER_CLIS.get("new") or DOCKER_CLIS["debian"]
    return DockerCli(program, lambda: cluster.leader().docker_host, tmp_path)


def row_of(cli: DockerCli, service: str) -> dict[str, str]:
    """Return the line of `docker service ls`."""
    listed = cli.lines("service", "ls", "--filter", f"name={service}", "--format", "{{json .}}")
    (row,) = [json.loads(line) for line in listed]
    assert isinstance(row, dict)
    return row


def states(cli: DockerCli, service: str) -> list[str]:
    """Return the state of every task, those of earlier attempts too, in its first word."""
    listed = cli.lines("service", "ps", "--format", "{{.CurrentState}}", service)
    return [line.split()[0] for line in listed]


def runs_of(cluster: TestCluster, service: str) -> dict[str, Any]:
    """Return what `berth service runs` tells a program."""
    found = json.loads(cluster.berth("service", "runs", service, "--format", "json").stdout)
    assert isinstance(found, dict)
    return found


def test_jobs_run_to_their_end_and_again(
    cli: DockerCli, cluster: TestCluster, images: ImageFactory
) -> None:
    image = images.finisher("1.0")
    created = cli(
        "service", "create", "--detach=false", "--name=sums", "--mode=replicated-job",
        "--replicas=5", "--max-concurrent=2", image,
    )  # fmt: skip
    assert "job complete" in created.stdout
    row = row_of(cli, "sums")
    assert (row["Mode"], row["Replicas"]) == ("replicated job", "0/2 (5/5 completed)")
    assert states(cli, "sums") == ["Complete"] * 5
    tasks = cluster.control.tasks("sums", only_wanted=False)
    assert sorted(task.slot for task in tasks) == [0, 1, 2, 3, 4]

    again = cli("service", "update", "--detach=false", "--force", "sums")
    assert "job complete" in again.stdout
    assert states(cli, "sums") == ["Complete"] * 10
    (service,) = json.loads(cli("service", "inspect", "sums").stdout)
    assert service["JobStatus"]["JobIteration"] == {"Index": 1}
    assert "job complete" in cli("service", "scale", "sums=3").stdout
    assert row_of(cli, "sums")["Replicas"] == "0/2 (3/3 completed)"

    everywhere = cli(
        "service", "create", "--detach=false", "--name=clean", "--mode=global-job", image
    )
    assert "job complete" in everywhere.stdout
    row = row_of(cli, "clean")
    assert (row["Mode"], row["Replicas"]) == ("global job", "0/0 (3/3 completed)")
    nodes = {task.node_name for task in cluster.control.tasks("clean", only_wanted=False)}
    assert nodes == {"host-1", "host-2", "host-3"}


def test_a_failing_job_is_tried_again_as_its_policy_says(
    newest: DockerCli, cluster: TestCluster, images: ImageFactory
) -> None:
    newest(
        "service", "create", "-d", "--name=doomed", "--mode=replicated-job",
        "--restart-max-attempts=2", "--restart-delay=200ms", images.crasher("1.0"),
    )  # fmt: skip
    cluster.wait_until(
        "the run is over", lambda: runs_of(cluster, "doomed")["runs"][0]["outcome"] == "failed"
    )
    assert states(newest, "doomed") == ["Failed"] * 3
    assert row_of(newest, "doomed")["Replicas"] == "0/1 (0/1 completed)"
    waiting = cluster.berth(
        "service", "create", "--name=doomed2", "--mode=replicated-job", "--replicas=2",
        "--restart-condition=none", images.crasher("1.0"), check=False,
    )  # fmt: skip
    assert waiting.exit_code != 0
    assert "run 0 failed: 0 of 2 slots completed" in waiting.output


def test_a_job_goes_on_under_the_next_leader_and_nothing_runs_twice(
    newest: DockerCli, cluster: TestCluster, images: ImageFactory
) -> None:
    newest(
        "service", "create", "-d", "--name=long", "--mode=replicated-job", "--replicas=24",
        "--max-concurrent=2", images.finisher("1.0"),
    )  # fmt: skip
    cluster.wait_until(
        "some have completed", lambda: cluster.control.service("long").completed_tasks >= 3
    )
    cluster.leader().kill()
    cluster.wait_until(
        "all have completed",
        lambda: cluster.control.service("long").completed_tasks == 24,
        timeout_s=120,
    )
    tasks = cluster.control.tasks("long", only_wanted=False)
    assert sorted(task.slot for task in tasks) == list(range(24))
    assert {task.attempt for task in tasks} == {1}
    assert len(cluster.containers("long", running_only=False)) == 24, "as the Engines tell"


def test_a_job_by_the_clock(newest: DockerCli, cluster: TestCluster, images: ImageFactory) -> None:
    refused = newest(
        "service", "create", "--name=tick", "--mode=replicated-job",
        f"--label={SCHEDULE_LABEL}=often", images.finisher("1.0"), check=False,
    )  # fmt: skip
    assert '"often" is not a cron expression' in refused.stderr
    # Nobody waits for the first of January: the client would be killed.
    newest(
        "service", "create", "--detach=false", "--name=tick", "--mode=replicated-job",
        f"--label={SCHEDULE_LABEL}=0 0 1 1 *", images.finisher("1.0"),
    )  # fmt: skip
    assert runs_of(cluster, "tick")["runs"] == []
    newest("service", "update", "--detach=false", "--force", "tick")
    (run,) = runs_of(cluster, "tick")["runs"]
    assert (run["cause"], run["completed"]) == ("forced", 1)

    newest(
        "service",
        "update",
        "--detach=false",
        f"--label-add={SCHEDULE_LABEL}=*/10 * * * * *",
        "tick",
    )
    cluster.wait_until(
        "a run that was due has completed",
        lambda: any(
            (run["cause"], run["outcome"]) == ("schedule", "completed")
            for run in runs_of(cluster, "tick")["runs"]
        ),
        timeout_s=90,
    )
    found = runs_of(cluster, "tick")
    assert found["runs"][0]["due_at"].endswith("0.000000Z")
    assert found["next_due_at"] > found["runs"][0]["due_at"]
    shown = cluster.berth("service", "runs", "tick").stdout
    assert "next due at" in shown
