"""`docker stack deploy` of a compose file as people write them, until `stack rm`."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import DOCKER_CLIS, DockerCli, TestCluster
from tests.e2e.engines import running_processes
from tests.hosts import Engine, ImageFactory

pytestmark = pytest.mark.e2e

PORT = 18081


def shop(images: ImageFactory) -> dict[str, Any]:
    """Return a compose file: a front that is published, a store beside it, one of a kind a node."""
    soon = {"parallelism": 1, "monitor": "1s", "order": "stop-first", "failure_action": "rollback"}
    return {
        "version": "3.8",
        "services": {
            "front": {
                "image": images.web("1.0"),
                "depends_on": ["store"],
                "environment": {"STORE": "store", "SLOT": "{{.Task.Slot}}"},
                "ports": [f"{PORT}:80"],
                "networks": {"default": {}, "backend": {"aliases": ["shop"]}},
                "healthcheck": {
                    "test": ["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1/"],
                    "interval": "500ms",
                    "timeout": "5s",
                    "retries": 5,
                },
                "labels": {"of.the": "container"},
                "stop_grace_period": "2s",
                "deploy": {
                    "replicas": 2,
                    "labels": {"of.the": "service"},
                    "update_config": soon,
                    "rollback_config": {"parallelism": 0, "monitor": "1s"},
                    "restart_policy": {"condition": "on-failure", "delay": "1s", "max_attempts": 9},
                    "resources": {
                        "limits": {"cpus": "0.5", "memory": "64M"},
                        "reservations": {"memory": "16M"},
                    },
                    "placement": {
                        "constraints": ["node.hostname != host-3"],
                        "preferences": [{"spread": "node.labels.zone"}],
                        "max_replicas_per_node": 1,
                    },
                },
            },
            "store": {
                "image": images.sleeper("1.0"),
                "networks": ["backend"],
                "volumes": ["data:/data", {"type": "tmpfs", "target": "/scratch"}],
                "deploy": {"placement": {"constraints": ["node.hostname == host-1"]}},
            },
            "everywhere": {"image": images.sleeper("1.0"), "deploy": {"mode": "global"}},
        },
        "networks": {"backend": {"driver": "overlay", "attachable": True, "labels": {"a": "b"}}},
        "volumes": {"data": {"labels": {"c": "d"}}},
    }


def bridges(engine: Engine) -> set[str]:
    """Return the bridges that an agent has made on an Engine."""
    with contextlib.closing(engine.client()) as client:
        return {each.name for each in client.networks.list(filters={"label": "berth.network"})}


def said_in(engine: Engine, container_id: str, *argv: str) -> str:
    """Run a command in a container; return what it said."""
    with contextlib.closing(engine.client()) as client:
        code, output = client.containers.get(container_id).exec_run(list(argv))
    text: str = output.decode()
    assert code == 0, text
    return text


def rows(cli: DockerCli, *argv: str) -> list[dict[str, str]]:
    """Return the rows of a listing."""
    return [json.loads(line) for line in cli.lines(*argv, "--format", "{{json .}}")]


def test_a_whole_stack_comes_changes_and_goes(
    cli: DockerCli, cluster: TestCluster, images: ImageFactory, tmp_path: Path
) -> None:
    compose, path = shop(images), tmp_path / "compose.yml"
    path.write_text(json.dumps(compose))

    def deploy(*flags: str) -> str:
        return cli("stack", "deploy", *flags, "-c", str(path), "shop").stderr

    deploy()
    for name, count in (("front", 2), ("store", 1), ("everywhere", 3)):
        cluster.wait_running(f"shop_{name}", count)

    # What is told of it.
    assert [(row["Name"], row["Services"]) for row in rows(cli, "stack", "ls")] == [("shop", "3")]
    listed = {row["Name"]: row["Replicas"] for row in rows(cli, "stack", "services", "shop")}
    assert listed["shop_front"].startswith("2/2")
    assert (listed["shop_store"], listed["shop_everywhere"]) == ("1/1", "3/3")
    assert len(rows(cli, "stack", "ps", "shop")) == 6
    networks = {row["Name"]: row["Scope"] for row in rows(cli, "network", "ls")}
    assert (networks["shop_default"], networks["shop_backend"]) == ("swarm", "swarm")
    (backend,) = json.loads(cli("network", "inspect", "shop_backend").stdout)
    assert (backend["Driver"], backend["Attachable"], backend["Labels"]["a"]) == (
        "overlay", True, "b",
    )  # fmt: skip

    # What runs: where it may, with what it asked for, and with names where its neighbours are.
    host, store = cluster.containers("shop_store")[0]
    assert host.name == "host-1"
    mounts = {each["Destination"]: each["Type"] for each in store["Mounts"]}
    assert mounts["/data"] == "volume"
    fronts = {at.name: each for at, each in cluster.containers("shop_front")}
    assert set(fronts) == {"host-1", "host-2"}
    front = fronts["host-1"]
    assert front["HostConfig"]["Memory"] == 64 * 2**20
    assert front["Config"]["Labels"]["of.the"] == "container"
    assert set(front["NetworkSettings"]["Networks"]) == {"shop_default", "shop_backend"}
    assert bridges(host.engine) == {"shop_default", "shop_backend"}
    address = store["NetworkSettings"]["Networks"]["shop_backend"]["IPAddress"]
    for name in ("store", "shop_store", "tasks.shop_store"):
        assert address in said_in(host.engine, front["Id"], "nslookup", name, "127.0.0.11")
    page = said_in(host.engine, store["Id"], "wget", "-q", "-O", "-", "http://shop/")
    assert page == "1.0\n", "by the alias that the file gives it"

    # Deploying the same again restarts nothing; less of it with --prune removes what is gone.
    before = running_processes(cluster, "shop_front") | running_processes(cluster, "shop_store")
    warned = deploy()  # The client tells warnings of updates, and keeps those of creates to itself.
    assert 'network "shop_backend" is a bridge on each node' in warned
    assert f"port {PORT}/tcp is published in host mode" in warned
    refused = cli("network", "rm", "shop_backend", check=False)
    assert refused.exit_code != 0
    assert "in use by the services shop_front, shop_store" in refused.stderr
    del compose["services"]["everywhere"]
    compose["services"]["front"]["deploy"]["replicas"] = 1
    path.write_text(json.dumps(compose))
    deploy("--prune")
    cluster.wait_until("one is left", lambda: len(cluster.containers("shop_front")) == 1)
    cluster.wait_until("it is pruned", lambda: not cluster.containers("shop_everywhere"))
    after = running_processes(cluster, "shop_front") | running_processes(cluster, "shop_store")
    assert after.items() <= before.items()

    cli("stack", "rm", "shop")
    assert rows(cli, "stack", "ls") == []
    assert not [row for row in rows(cli, "network", "ls") if row["Name"].startswith("shop_")]
    cluster.wait_until("all containers are gone", lambda: not cluster.containers())
    cluster.wait_until(
        "all bridges are gone",
        lambda: not any(bridges(agent.host.engine) for agent in cluster.agents),
    )


def test_a_compose_file_is_shown_as_it_is_read(images: ImageFactory, tmp_path: Path) -> None:
    """It needs no cluster; Debian's client does not know the command."""
    if "new" not in DOCKER_CLIS:
        pytest.skip("the client of today is not installed")
    path = tmp_path / "compose.yml"
    path.write_text(json.dumps(shop(images)))
    cli = DockerCli(DOCKER_CLIS["new"], lambda: "unix:///nowhere.sock", tmp_path)
    assert "max_replicas_per_node: 1" in cli("stack", "config", "-c", str(path)).stdout
