"""The unmodified docker CLI, of today and Debian's, against a live cluster; docker-py too."""

import json
import time
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.cluster import DOCKER_CLIS, DockerCli, TestCluster
from tests.e2e.engines import running_processes
from tests.hosts import ImageFactory

pytestmark = pytest.mark.e2e

QUICK = ("--update-monitor=1s", "--rollback-monitor=1s", "--restart-delay=200ms")


@pytest.fixture
def newest(cluster: TestCluster, tmp_path: Path) -> DockerCli:
    """One docker CLI, connected to whichever scheduler comes first."""
    program = DOCKER_CLIS.get("new") or DOCKER_CLIS["debian"]
    return DockerCli(program, lambda: cluster.schedulers[0].docker_host, tmp_path)


def columns(cli: DockerCli, *argv: str) -> list[dict[str, str]]:
    """Return the rows of a listing."""
    return [json.loads(line) for line in cli.lines(*argv, "--format", "{{json .}}")]


def inspected(cli: DockerCli, *argv: str) -> dict[str, Any]:
    """Return the one object that an inspect command prints."""
    (found,) = json.loads(cli(*argv).stdout)
    assert isinstance(found, dict)
    return found


def slots_of(text: str, words: str) -> set[str]:
    """Return the slots of the service `talk` of which a line with these words was shown."""
    return {line.split(".")[1] for line in text.splitlines() if words in line}


def test_the_life_of_a_service(cli: DockerCli, cluster: TestCluster, images: ImageFactory) -> None:
    image, newer = images.sleeper("1.0"), images.sleeper("1.1")
    created = cli(
        "service", "create", "--detach=false", "--name=web", "--replicas=3", "--label=a=b",
        "--limit-memory=64m", *QUICK, image,
    )  # fmt: skip
    assert "overall progress: 3 out of 3 tasks" in created.stdout
    assert "converged" in created.stdout
    service_id = created.stdout.split()[0]
    assert len(cluster.running_tasks("web")) == 3

    (row,) = columns(cli, "service", "ls")
    assert (row["Name"], row["Replicas"], row["Image"]) == ("web", "3/3", image)
    tasks = columns(cli, "service", "ps", "web")
    assert sorted(task["Name"] for task in tasks) == ["web.1", "web.2", "web.3"]
    assert {task["Node"] for task in tasks} == {"host-1", "host-2", "host-3"}
    assert all(task["CurrentState"].startswith("Running") for task in tasks)

    service = inspected(cli, "service", "inspect", "web")
    container = service["Spec"]["TaskTemplate"]["ContainerSpec"]
    assert container["Image"] == f"{image}@{image.digest}", "the client itself has pinned the tag"
    assert service["ID"] == inspected(cli, "inspect", service_id)["ID"] == service_id
    pretty = cli("service", "inspect", "--pretty", "web").stdout
    assert "Service Mode:\tReplicated" in pretty
    assert "64MiB" in pretty
    task = cli.lines("service", "ps", "-q", "web")[0]
    assert inspected(cli, "inspect", task)["ServiceID"] == service_id

    before = running_processes(cluster, "web")
    assert "converged" in cli("service", "scale", "web=4").stdout
    assert before.items() <= running_processes(cluster, "web").items(), "scaling restarts nothing"
    cli("service", "update", "--detach", "--label-add=c=d", "web")
    assert before.items() <= running_processes(cluster, "web").items(), "nor do labels"

    updated = cli("service", "update", "--detach=false", f"--image={newer}", "web")
    assert "converged" in updated.stdout
    assert {task.image for task in cluster.running_tasks("web")} == {f"{newer}@{newer.digest}"}
    shown = columns(cli, "service", "ps", "web")
    assert {row["Image"] for row in shown} == {image, newer}, "ended tasks show what they ran"
    state = inspected(cli, "service", "inspect", "web")["UpdateStatus"]["State"]
    assert state == "completed"

    cli("service", "rollback", "--detach=false", "web")
    assert {task.image for task in cluster.running_tasks("web")} == {f"{image}@{image.digest}"}
    assert cli.lines("service", "rm", "web") == ["web"]
    assert columns(cli, "service", "ls") == []


def test_nodes(cli: DockerCli, cluster: TestCluster, images: ImageFactory) -> None:
    cli("service", "create", "-q", "--detach=false", "--name=web", "--replicas=3", *QUICK,
        images.sleeper("1.0"))  # fmt: skip
    nodes = columns(cli, "node", "ls")
    assert [node["Hostname"] for node in nodes] == ["host-1", "host-2", "host-3"]
    assert {node["Status"] for node in nodes} == {"Ready"}
    assert all(node["EngineVersion"] for node in nodes)
    assert "Availability:" in cli("node", "inspect", "--pretty", "host-1").stdout
    assert [row["Name"] for row in columns(cli, "node", "ps", "host-2")]

    cli("node", "update", "--label-add=zone=a", "--availability=drain", "host-2")
    spec = inspected(cli, "node", "inspect", "host-2")["Spec"]
    assert (spec["Labels"], spec["Availability"]) == ({"zone": "a"}, "drain")
    cluster.wait_until(
        "host-2 is empty and the service whole",
        lambda: (
            [task.node_name for task in cluster.running_tasks("web")].count("host-2") == 0
            and len(cluster.running_tasks("web")) == 3
        ),
    )
    cli("node", "update", "--label-rm=zone", "--availability=active", "host-2")
    assert inspected(cli, "node", "inspect", "host-2")["Spec"]["Labels"] == {}

    for argv, words in (
        (("node", "rm", "host-1"), "cannot be removed"),
        (("node", "promote", "host-1"), "cannot be promoted"),
        (("node", "inspect", "nosuch"), "nosuch"),
        (("node", "ps"), "no node"),
        (("swarm", "join-token", "worker"), "berth-agent"),
        (("swarm", "update", "--task-history-limit=3"), "berth cluster update"),
        (("swarm", "init"), "already"),
    ):
        refused = cli(*argv, check=False)
        assert refused.exit_code != 0, argv
        assert words in refused.stderr, argv


def test_info_and_version(cli: DockerCli, cluster: TestCluster) -> None:
    info = json.loads(cli("info", "--format", "{{json .}}").stdout)
    assert info["Swarm"]["ControlAvailable"] is True
    assert (info["Swarm"]["Nodes"], info["Swarm"]["Managers"]) == (3, len(cluster.schedulers))
    assert "Swarm: active" in cli("info").stdout
    version = json.loads(cli("version", "--format", "{{json .}}").stdout)
    assert version["Server"]["ApiVersion"] == "1.51"
    assert "Berth" in cli("version").stdout


def test_logs(cli: DockerCli, cluster: TestCluster, images: ImageFactory) -> None:
    cli("service", "create", "-q", "--detach=false", "--name=talk", "--replicas=2", *QUICK,
        images.talker("1.0"))  # fmt: skip
    cluster.wait_until(
        "both have written to both streams",
        lambda: (
            (said := cli("service", "logs", "--tail=20", "talk"))
            and slots_of(said.stdout, "| line") == slots_of(said.stderr, "| error") == {"1", "2"}
        ),
    )
    shown = cli("service", "logs", "--tail=3", "talk")
    assert {line.split("@")[0].rsplit(".", 1)[0] for line in shown.stdout.splitlines()} <= {
        "talk.1", "talk.2",
    }  # fmt: skip
    assert 1 <= len([*shown.stdout.splitlines(), *shown.stderr.splitlines()]) <= 6
    raw = cli("service", "logs", "--raw", "--tail=2", "talk").stdout.splitlines()
    assert all(line.split()[0] == "line" for line in raw)
    task = cli.lines("service", "ps", "-q", "--filter=name=talk.1", "talk")[0]
    one = cli("service", "logs", "--timestamps", "--tail=2", task)
    assert "talk.2" not in one.output
    moment = f"{time.time():.3f}"
    cluster.wait_until(
        "lines came since",
        lambda: "| line" in cli("service", "logs", f"--since={moment}", "talk").stdout,
    )
    following = cli.popen("service", "logs", "--follow", "--tail=0", "talk")
    try:
        assert following.stdout is not None
        seen: set[str] = set()  # One of the two may well be followed a second later.
        while seen != {"1", "2"}:
            line = following.stdout.readline()
            assert line, f"the client ended, having shown {seen}"
            seen |= slots_of(line, "| line")
    finally:
        following.kill()
        following.wait()
        if following.stdout is not None:
            following.stdout.close()
    # Nobody who stops following may end an agent.
    assert "| line" in cli("service", "logs", "--tail=20", "talk").stdout
    cluster.wait_nodes(3)


def test_failures_are_told_and_exit_codes_tell_them(
    cli: DockerCli, images: ImageFactory, cluster: TestCluster
) -> None:
    image = images.sleeper("1.0")
    cli("service", "create", "-q", "--detach=false", "--name=web", *QUICK, image)
    for argv, words in (
        (("service", "create", "-d", "--name=web", image), "already exists"),
        (("service", "create", "-d", "--name=bad name", image), "is not a name"),
        (("service", "create", "-d", "--constraint=nonsense", image), "constraint"),
        (("service", "inspect", "nosuch"), "nosuch"),
        (("service", "rm", "nosuch"), "nosuch"),
        (("service", "logs", "nosuch"), "nosuch"),
        (("service", "scale", "nosuch=2"), "nosuch"),
        (("service", "rollback", "-d", "web"), "previous"),
        (("config", "inspect", "nosuch"), "nosuch"),
        (("run", "--rm", "busybox"), "docker service create"),
    ):
        refused = cli(*argv, check=False, stdin="x")
        assert refused.exit_code != 0, argv
        assert words in refused.stderr, argv

    crasher = images.crasher("1.0")
    paused = cli(
        "service",
        "update",
        "--detach=false",
        f"--image={crasher}",
        "web",
        check=False,
    )
    assert paused.exit_code != 0
    assert "update paused" in paused.output
    errors = [row["Error"] for row in columns(cli, "service", "ps", "--no-trunc", "web")]
    assert any("non-zero exit (1)" in error for error in errors)
    cli("service", "update", "--detach=false", "--rollback", "web")
    cluster.wait_running("web", 1)


def test_why_a_task_waits_is_shown_while_the_client_waits(
    newest: DockerCli, images: ImageFactory
) -> None:
    creating = newest.popen(
        "service", "create", "--detach=false", "--name=far", "--constraint=node.labels.zone==x",
        *QUICK, images.sleeper("1.0"),
    )  # fmt: skip
    assert creating.stdout is not None
    try:
        said = ""
        while "no suitable node" not in said:
            line = creating.stdout.readline()
            assert line, f"the client ended: {said}"
            said += line
        assert (
            "no suitable node" in columns(newest, "service", "ps", "--no-trunc", "far")[0]["Error"]
        )
        newest("node", "update", "--label-add=zone=x", "host-3")
        rest, _ = creating.communicate(timeout=60)
        assert creating.returncode == 0
        assert "converged" in rest
    finally:
        creating.kill()
        creating.wait()
        creating.stdout.close()


def test_global_services_and_drifting_options(newest: DockerCli, images: ImageFactory) -> None:
    newest("service", "create", "-q", "--detach=false", "--name=all", "--mode=global", *QUICK,
           "--env=A=1", "--mount=type=tmpfs,target=/scratch", "--stop-grace-period=3s",
           "--health-cmd=true", "--host=me:10.0.0.9", "--ulimit=nofile=100:200",
           images.sleeper("1.0"))  # fmt: skip
    (row,) = columns(newest, "service", "ls")
    assert (row["Mode"], row["Replicas"]) == ("global", "3/3")
    spec = inspected(newest, "service", "inspect", "all")["Spec"]
    container = spec["TaskTemplate"]["ContainerSpec"]
    assert container["Env"] == ["A=1"]
    assert container["StopGracePeriod"] == 3_000_000_000
    assert container["Hosts"] == ["10.0.0.9 me"]
    assert container["Ulimits"] == [{"Name": "nofile", "Soft": 100, "Hard": 200}]
    assert container["Mounts"] == [{"Type": "tmpfs", "Target": "/scratch"}]


def test_a_stack_is_deployed_again_without_restarts_and_removed(
    newest: DockerCli, cluster: TestCluster, images: ImageFactory, tmp_path: Path
) -> None:
    compose = tmp_path / "compose.yml"
    document = {
        "version": "3.8",
        "services": {
            "a": {"image": images.sleeper("1.0"), "deploy": {"replicas": 2}},
            "b": {"image": images.web("1.0"), "environment": {"X": "1"}, "ports": ["18099:80"]},
        },
    }
    compose.write_text(json.dumps(document))
    newest("stack", "deploy", "--detach=true", "-c", str(compose), "app")
    cluster.wait_running("app_a", 2)
    cluster.wait_running("app_b", 1)
    before = running_processes(cluster, "app_a") | running_processes(cluster, "app_b")
    assert [row["Name"] for row in columns(newest, "stack", "ls")] == ["app"]
    assert {row["Name"] for row in columns(newest, "stack", "services", "app")} == {
        "app_a",
        "app_b",
    }
    assert len(columns(newest, "stack", "ps", "app")) == 3
    assert "app_default" in newest("network", "ls").stdout

    newest("stack", "deploy", "--detach=true", "-c", str(compose), "app")
    after = running_processes(cluster, "app_a") | running_processes(cluster, "app_b")
    assert after == before
    newest("stack", "rm", "app")
    assert columns(newest, "stack", "ls") == []
    assert "app_default" not in newest("network", "ls").stdout


def test_docker_py_scales_and_labels_without_restarting_anything(
    cluster: TestCluster, images: ImageFactory
) -> None:
    client = docker.DockerClient(base_url=cluster.schedulers[0].docker_host)
    try:
        service = client.services.create(
            images.sleeper("1.0"), name="py", mode=docker.types.ServiceMode("replicated", 2),
            env=["A=1"], mounts=["data:/data:rw"], labels={"a": "b"},
        )  # fmt: skip
        cluster.wait_running("py", 2)
        before = running_processes(cluster, "py")
        service.reload()
        service.scale(3)
        cluster.wait_running("py", 3)
        service.reload()
        service.update(labels={"a": "c"})
        time.sleep(1.0)  # In which something would be restarted.
        assert before.items() <= running_processes(cluster, "py").items()
        found = client.services.list(filters={"label": "a=c"})
        assert [each.name for each in found] == ["py"]
        assert len(service.tasks({"desired-state": "running"})) == 3
        assert len(client.nodes.list()) == 3
        service.remove()
        with pytest.raises(docker.errors.NotFound):
            client.services.get("py")
    finally:
        client.close()


def test_a_client_notices_nothing_of_a_new_leader(
    newest: DockerCli, cluster: TestCluster, images: ImageFactory
) -> None:
    newest("service", "create", "-q", "--detach=false", "--name=web", *QUICK, images.sleeper("1.0"))
    leader = cluster.leader()
    host = next(each for each in cluster.schedulers if each is not leader).docker_host
    follower = DockerCli(newest._program, lambda: host, newest._config)
    leader.kill()
    assert [row["Name"] for row in columns(follower, "service", "ls")] == ["web"]
    assert "converged" in follower("service", "scale", "web=2").stdout
