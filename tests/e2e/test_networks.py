"""Networks that end at a node are told of wherever somebody looks, and hold nobody up."""

import json

import pytest

from tests.cluster import DockerCli, TestCluster
from tests.e2e.asking import task_rows
from tests.hosts import ImageFactory

pytestmark = pytest.mark.e2e

NOTE = "per-node bridge: lan (it does not reach tasks on other nodes)"
QUICK = ("--update-monitor=1s", "--restart-delay=200ms")


def errors(cli: DockerCli, *argv: str) -> set[str]:
    """Return what stands in the ERROR column of a listing of tasks."""
    return {json.loads(line)["Error"] for line in cli.lines(*argv, "--format", "{{json .}}")}


def test_a_per_node_bridge_is_told_in_the_answer_and_in_ps(
    cli: DockerCli, cluster: TestCluster, images: ImageFactory
) -> None:
    sleeper = images.sleeper("1.0")
    cli("network", "create", "--driver=overlay", "lan")
    waited = cli(
        "service", "create", "--detach=false", "--name=web", "--replicas=2", "--network=lan",
        *QUICK, sleeper,
    )  # fmt: skip
    assert "converged" in waited.stdout, "a note is no failure"
    assert "2 out of 2 tasks" in waited.stdout
    assert 'network "lan" is a bridge on each node' in waited.stderr
    assert errors(cli, "service", "ps", "--no-trunc", "web") == {f'"{NOTE}"'}
    (cut,) = errors(cli, "service", "ps", "web")
    assert cut.startswith('"per-node bridge: lan'), "its column is narrow"
    assert {row["Error"] for row in task_rows(cluster, "web", "--no-trunc")} == {NOTE}
    assert "converged" in cli("service", "scale", "web=3").stdout

    updated = cli("service", "update", "--detach=false", "--args=sleep 1d", "web")
    assert "converged" in updated.stdout
    assert 'network "lan" is a bridge on each node' in updated.stderr
    running = ("--filter=desired-state=running", "web")
    assert errors(cli, "service", "ps", "--no-trunc", *running) == {f'"{NOTE}"'}
    cli("service", "update", "--detach=false", "--network-rm=lan", "web")
    assert errors(cli, "service", "ps", *running) == {""}


def test_what_really_fails_is_told_instead(
    cli: DockerCli, cluster: TestCluster, images: ImageFactory
) -> None:
    cli("network", "create", "--driver=overlay", "lan")
    cli("service", "create", "--detach", "--name=bad", "--network=lan", "--restart-condition=none",
        images.crasher("1.0"))  # fmt: skip
    cluster.wait_until(
        "the crash is told",
        lambda: any("non-zero exit" in said for said in errors(cli, "service", "ps", "bad")),
    )
    assert not any("per-node" in said for said in errors(cli, "service", "ps", "bad"))
