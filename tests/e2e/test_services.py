"""Services through the `berth` command and the Python client: create, look, scale, remove."""

import asyncio
import json

import pytest

from berth.client import ControlClient
from berth.errors import AlreadyExistsError, NotFoundError, OutOfSequenceError
from berth.model.service import ContainerSpec, ModeKind, ServiceMode, ServiceSpec, TaskSpec
from tests.cluster import TestCluster
from tests.e2e.asking import create, inspect_service, nodes_of, rows, task_rows, wait_error
from tests.e2e.engines import running_processes
from tests.hosts import ImageFactory

pytestmark = pytest.mark.e2e


def containers_of(cluster: TestCluster, service_id: str) -> list[str]:
    """List its containers, ended ones too; a namesake of an earlier test may have left some."""
    label = "com.docker.swarm.service.id"
    found = [each for _, each in cluster.containers("web", running_only=False)]
    return [each["Id"] for each in found if each["Config"]["Labels"][label] == service_id]


def test_a_service_is_created_listed_scaled_and_removed(
    cluster: TestCluster, images: ImageFactory
) -> None:
    image = images.sleeper("1.0")
    created = cluster.berth(
        "service", "create", "--name=web", "--replicas=3", "--update-monitor=1s", image
    )
    assert "3 of 3 tasks running" in created.stdout, "create waits until the service has converged"
    assert nodes_of(cluster, "web") == ["host-1", "host-2", "host-3"], "it is spread over the nodes"
    assert len(running_processes(cluster, "web")) == 3

    (row,) = rows(cluster, "service", "ls")
    assert (row["Name"], row["Mode"], row["Replicas"]) == ("web", "replicated", "3/3")
    assert created.stdout.startswith(row["ID"])

    before = running_processes(cluster, "web")
    cluster.berth("service", "scale", "--detach", "web=5")
    cluster.wait_running("web", 5)
    after = running_processes(cluster, "web")
    assert before.items() <= after.items(), "scaling up touches nothing that runs"
    cluster.berth("service", "scale", "--detach", "web=1")
    (kept,) = cluster.wait_running("web", 1)
    assert kept.slot == 1, "scaling down keeps the lowest slot where nodes are equally loaded"
    cluster.wait_until("one container runs", lambda: len(cluster.containers("web")) == 1)

    cluster.berth("service", "update", "--env-add=A=1", "web")
    service_id = created.stdout.split()[0]
    assert len(containers_of(cluster, service_id)) >= 2, "what was replaced is kept for its logs"
    assert cluster.berth("service", "rm", "web").stdout == "web\n"
    cluster.wait_until("no container is left", lambda: not containers_of(cluster, service_id))
    assert rows(cluster, "service", "ls") == []
    gone = cluster.berth("service", "inspect", "web", check=False)
    assert gone.exit_code == 1
    assert 'service "web"' in gone.stderr


def test_tables_are_for_people_and_json_for_programs(
    cluster: TestCluster, images: ImageFactory
) -> None:
    image = images.sleeper("1.0")
    create(cluster, "web", image, "--label=tier=front", replicas=2)
    cluster.wait_running("web", 2)

    table = cluster.berth("service", "ps", "web").stdout.splitlines()
    assert table[0].split()[:4] == ["ID", "NAME", "IMAGE", "NODE"]
    assert [line.split()[1] for line in table[1:]] == ["web.1", "web.2"]
    assert all("Running" in line for line in table[1:])
    tasks = task_rows(cluster, "web")
    assert {task["Name"] for task in tasks} == {"web.1", "web.2"}
    assert all(task["CurrentState"].startswith("Running") for task in tasks)

    service = inspect_service(cluster, "web")
    assert service["spec"]["labels"] == {"tier": "front"}
    assert service["spec"]["task"]["container"]["image"] == f"{image}@{image.digest}"
    assert "Tier: front" in cluster.berth("service", "inspect", "--pretty", "web").stdout

    nodes = rows(cluster, "node", "ls")
    assert [(node["Hostname"], node["Status"]) for node in nodes] == [
        ("host-1", "Ready"), ("host-2", "Ready"), ("host-3", "Ready"),
    ]  # fmt: skip
    name = tasks[0]["Node"]
    on_node = [row["Name"] for row in rows(cluster, "node", "ps", name)]
    assert tasks[0]["Name"] in on_node
    (node,) = json.loads(cluster.berth("node", "inspect", name).stdout)
    assert node["node"]["description"]["hostname"] == name
    assert node["node"]["description"]["engine_version"]

    status = cluster.berth("status").stdout
    assert cluster.leader().name in status
    assert "3 ready" in status
    assert "2 of 2 running" in status


def test_explain_tells_where_tasks_run_and_what_would_help_those_that_wait(
    cluster: TestCluster, images: ImageFactory
) -> None:
    create(cluster, "web", images.sleeper("1.0"), "--constraint=node.labels.zone==a", replicas=2)
    assert "constraint" in wait_error(cluster, "web", "constraint")["Error"]
    found = json.loads(cluster.berth("explain", "--format=json", "web").stdout)
    assert (found["nodes_total"], found["nodes_fitting"]) == (3, 0)
    (constraint,) = [one for one in found["filters"] if one["forbids_alone"]]
    assert constraint["forbids_alone"] == 3
    assert constraint["admits_if_dropped"] == 3
    assert "zone" in constraint["words"]
    assert "0 of 3 nodes fit" in cluster.berth("explain", "web").stdout

    cluster.berth("node", "update", "--label-add=zone=a", "host-2")
    cluster.wait_running("web", 2)
    assert nodes_of(cluster, "web") == ["host-2", "host-2"], "a label places what waits for it"
    task = task_rows(cluster, "web", "--no-trunc")[0]
    story = cluster.berth("explain", task["ID"]).stdout
    assert "host-2" in story
    assert "running" in story


def test_every_scheduler_takes_every_request(cluster: TestCluster, images: ImageFactory) -> None:
    image = images.sleeper("1.0")
    for number, scheduler in enumerate(cluster.schedulers, start=1):
        only = {"BERTH_SCHEDULER": scheduler.grpc_address}
        name = f"web{number}"
        cluster.berth("service", "create", "-d", f"--name={name}", image, env=only)
        cluster.berth("service", "update", "-d", "--label-add=by=us", name, env=only)
        listed = cluster.berth("service", "ls", "--format=json", env=only).stdout
        assert len(listed.splitlines()) == number, f"{scheduler.name} knows all of them"
        told = json.loads(cluster.berth("cluster", "info", "--format=json", env=only).stdout)
        assert told["leader_name"] == cluster.leader().name
        assert {each["name"] for each in told["schedulers"]} == {
            each.name for each in cluster.schedulers
        }
    for number in (1, 2, 3):
        cluster.wait_running(f"web{number}", 1)


def test_all_faults_of_a_spec_are_told_at_once_and_nothing_changes(
    cluster: TestCluster, images: ImageFactory
) -> None:
    image = images.sleeper("1.0")
    create(cluster, "web", image)
    cluster.wait_running("web", 1)
    version = inspect_service(cluster, "web")["version"]
    before = running_processes(cluster, "web")

    bad_flags = ("--constraint=zone=a", "--ulimit=nosuch=1:2", "--mount=type=tmpfs,target=relative")
    refused = cluster.berth("service", "create", "--name=bad name", *bad_flags, image, check=False)
    assert refused.exit_code == 1
    for path in ("name", "constraints[0]", "ulimits[0]", "mounts[0]"):
        assert path in refused.stderr, "every fault is told, each with its path"
    update = cluster.berth(
        "service", "update", "--constraint-add=zone=a", "--limit-memory=1k", "web", check=False
    )
    assert update.exit_code == 1
    for path in ("constraints[0]", "limits.memory_bytes"):
        assert path in update.stderr

    assert [row["Name"] for row in rows(cluster, "service", "ls")] == ["web"]
    assert inspect_service(cluster, "web")["version"] == version
    assert running_processes(cluster, "web") == before


def test_a_name_is_taken_once_and_unknown_things_are_named(
    cluster: TestCluster, images: ImageFactory
) -> None:
    image = images.sleeper("1.0")
    create(cluster, "web", image)
    again = cluster.berth("service", "create", "-d", "--name=web", image, check=False)
    assert again.exit_code == 1
    assert 'service "web" exists' in again.stderr or "already" in again.stderr
    for argv in (("service", "rm", "nosuch"), ("service", "ps", "nosuch"), ("explain", "nosuch")):
        unknown = cluster.berth(*argv, check=False)
        assert unknown.exit_code == 1, argv
        assert "nosuch" in unknown.stderr, argv


def test_scaling_and_labels_restart_nothing_and_the_spec_version_counts_specs(
    cluster: TestCluster, images: ImageFactory
) -> None:
    create(cluster, "web", images.sleeper("1.0"), replicas=2)
    cluster.wait_running("web", 2)
    first = inspect_service(cluster, "web")
    before = running_processes(cluster, "web")
    cluster.berth("service", "update", "-d", "--label-add=tier=front", "web")
    cluster.berth("service", "scale", "-d", "web=3")
    cluster.wait_running("web", 3)
    second = inspect_service(cluster, "web")
    assert second["version"] > first["version"]
    assert second["template_version"] == first["template_version"]
    assert before.items() <= running_processes(cluster, "web").items()
    cluster.berth("service", "scale", "-d", "web=3")
    assert inspect_service(cluster, "web")["template_version"] == first["template_version"]


def test_a_dry_run_tells_the_plan_and_changes_nothing(
    cluster: TestCluster, images: ImageFactory
) -> None:
    planned = cluster.berth(
        "service", "create", "--dry-run", "--name=web", "--replicas=3", images.sleeper("1.0")
    )
    assert "3" in planned.stdout
    assert rows(cluster, "service", "ls") == []


def test_the_python_client_does_what_the_command_does(
    cluster: TestCluster, images: ImageFactory
) -> None:
    image = images.sleeper("1.0")
    spec = ServiceSpec(
        name="api",
        mode=ServiceMode(ModeKind.REPLICATED, replicas=2),
        task=TaskSpec(container=ContainerSpec(image=image)),
    )
    addresses = [scheduler.grpc_address for scheduler in cluster.schedulers]

    async def use() -> None:
        async with ControlClient(addresses, tls=cluster.tls) as client:
            created = await client.create_service(spec)
            view = await client.get_service("api")
            assert view.id == created.id
            assert view.spec.task.container.image == f"{image}@{image.digest}"
            with pytest.raises(AlreadyExistsError):
                await client.create_service(spec)
            await client.update_service("api", view.spec, version=view.version)
            with pytest.raises(OutOfSequenceError):
                await client.update_service("api", view.spec, version=view.version + 7)
            assert (await client.resolve_image(image)).digest == image.digest
            await client.remove_service("api")
            with pytest.raises(NotFoundError):
                await client.get_service("api")

    asyncio.run(use())
    assert rows(cluster, "service", "ls") == []
