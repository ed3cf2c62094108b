"""Portainer on a live cluster: what its server and its pages ask, and what they need."""

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster import TestCluster
from tests.e2e.engines import running_processes
from tests.e2e.portainer import (
    Portainer,
    filters,
    network_form,
    portainer,
    service_config,
    service_form,
)
from tests.hosts import ImageFactory

pytestmark = pytest.mark.e2e


@pytest.fixture
def its(cluster: TestCluster) -> Iterator[Portainer]:
    """A Portainer connected to a scheduler that does not lead."""
    with portainer(cluster.standbys()[0].docker_host) as it:
        yield it


def create(its: Portainer, image: str, name: str = "web") -> str:
    assert its.post("/networks/create", network_form("lan")).status_code == 201
    created = its.post("/services/create", service_form(name, image, "lan"))
    assert created.status_code == 201, created.text
    service_id: str = created.json()["ID"]
    return service_id


def test_its_server_takes_a_snapshot_of_a_swarm(
    its: Portainer, cluster: TestCluster, images: ImageFactory
) -> None:
    """The sequence of its Go client; it gives the whole environment up at the first failure."""
    create(its, images.sleeper("1.0"))
    cluster.wait_running("web", 2)
    ping = its.get("/_ping")
    assert ping.status_code == 200
    assert "Portainer-Agent" not in ping.headers, "then it would speak another protocol"
    assert ping.headers["api-version"]

    info = its.json("/info", is_server=True)
    assert info["Swarm"]["ControlAvailable"] is True
    assert info["Swarm"]["NodeID"], "without one it takes the environment for a lone Engine"
    assert info["Swarm"]["Cluster"]["ID"], "with the node's ID it names volumes"
    assert info["NCPU"] > 0
    assert info["MemTotal"] > 0
    services = its.json("/services", is_server=True)
    assert [each["Spec"]["Name"] for each in services] == ["web"]
    nodes = its.json("/nodes", is_server=True)
    assert all(node["Description"]["Resources"]["NanoCPUs"] > 0 for node in nodes)
    assert all(node["Description"]["Resources"]["MemoryBytes"] > 0 for node in nodes)
    assert its.json("/containers/json", is_server=True, all=1) == []
    assert its.json("/images/json", is_server=True) == []
    assert its.json("/volumes", is_server=True)["Volumes"] == []
    networks = its.json("/networks", is_server=True)
    assert {each["Id"]: each["Name"] for each in networks}
    version = its.json("/version", is_server=True)
    assert not any("podman" in each["Name"].lower() for each in version["Components"])
    usage = its.json("/system/df")
    assert set(usage) >= {"LayersSize", "Images", "Containers", "Volumes"}
    gone = its.get("/containers/0123456789ab/json", is_server=True)
    assert (gone.status_code, "No such container" in gone.json()["message"]) == (404, True)


def test_its_pages_show_services_tasks_nodes_and_logs(
    its: Portainer, cluster: TestCluster, images: ImageFactory
) -> None:
    service_id = create(its, images.talker("1.0"), "talk")
    cluster.wait_running("talk", 2)
    (service,) = its.json("/services", filters=filters(name=["talk"]))
    assert (service["ID"], service["Version"]["Index"] > 0) == (service_id, True)
    assert service["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"] == ["COLOUR=red"]
    assert service["Spec"]["TaskTemplate"]["Resources"]["Limits"]["NanoCPUs"] == 500_000_000
    assert service["Spec"]["Mode"]["Replicated"]["Replicas"] == 2
    assert not service["Endpoint"].get("VirtualIPs"), "as of a Swarm where it publishes nothing"

    nodes = {node["ID"]: node for node in its.json("/nodes")}
    for node in nodes.values():
        assert node["Version"]["Index"] > 0
        assert node["Spec"]["Role"] == "worker"
        assert node["Description"]["Platform"]["OS"] == "linux"
        assert node["Status"]["State"] == "ready"
    tasks = its.json("/tasks", filters=filters(service=["talk"], desired_state=["running"]))
    assert len(tasks) == 2
    for task in tasks:
        assert task["ServiceID"] == service_id
        assert task["NodeID"] in nodes
        assert task["Status"]["ContainerStatus"]["ContainerID"]
        assert its.json(f"/tasks/{task['ID']}")["Spec"]["ContainerSpec"]["Image"]
        assert task["CreatedAt"] <= task["UpdatedAt"]

    networks = {each["Id"]: each for each in its.json("/networks")}
    attached = service["Spec"]["TaskTemplate"]["Networks"][0]["Target"]
    assert (networks[attached]["Name"], networks[attached]["Scope"]) == ("lan", "swarm")
    assert networks[attached]["Attachable"] is True
    assert its.json("/networks", filters=filters(scope=["swarm"]))

    plugins = its.json("/info")["Plugins"]
    assert "json-file" in plugins["Log"], "what its form lets users choose from"
    assert "local" in plugins["Volume"]
    assert {"bridge", "overlay"} & set(plugins["Network"])
    assert its.json("/plugins") == []
    assert its.json("/swarm")["ID"]
    assert its.json("/images/json", all=0) == []
    assert its.json("/containers/json", all="true", filters=filters(label=["a=b"])) == []
    assert its.json("/volumes", filters=filters(dangling=["true"]))["Volumes"] == []

    def logged() -> bool:
        logs = its.get(
            f"/services/{service_id}/logs", stdout="true", stderr="true", timestamps="true",
            since=0, tail=20,
        )  # fmt: skip
        assert logs.status_code == 200
        # Its page cuts eight bytes off each line, so a frame must be one line.
        texts = [line[8:] for line in logs.content.splitlines(keepends=True)]
        return bool(texts) and all(text[:2] == b"20" and text[-1:] == b"\n" for text in texts)

    cluster.wait_until("lines are shown", logged)
    one = its.get(f"/tasks/{tasks[0]['ID']}/logs", stdout="true", stderr="true", tail=5)
    assert one.status_code == 200
    now = int(time.time())
    events = its.get("/events", since=now - 86400, until=now)
    assert events.status_code == 200
    for line in events.text.splitlines():
        assert {"Type", "Action", "Actor", "time"} <= set(json.loads(line))


def test_its_pages_change_services(
    its: Portainer, cluster: TestCluster, images: ImageFactory
) -> None:
    service_id = create(its, images.sleeper("1.0"))
    cluster.wait_running("web", 2)
    before = running_processes(cluster, "web")

    def read(**params: object) -> Any:
        return its.json(f"/services/{service_id}", **params)

    # Scaling, and then a change that it made on what it had read before.
    stale = read()
    config = service_config(stale)
    config["Mode"]["Replicated"]["Replicas"] = 3
    scaled = its.post(f"/services/{service_id}/update", config, version=stale["Version"]["Index"])
    assert (scaled.status_code, "Warnings" in scaled.json()) == (200, True)
    cluster.wait_running("web", 3)
    assert before.items() <= running_processes(cluster, "web").items(), "scaling restarts nothing"
    late = its.post(f"/services/{service_id}/update", config, version=stale["Version"]["Index"])
    assert (late.status_code, "update out of sequence" in late.json()["message"]) == (500, True)

    # An environment variable, and back.
    service = read()
    config = service_config(service)
    config["TaskTemplate"]["ContainerSpec"]["Env"] = ["COLOUR=blue"]
    version = service["Version"]["Index"]
    assert its.post(f"/services/{service_id}/update", config, version=version).status_code == 200
    cluster.wait_update("web", "completed")
    assert read()["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"] == ["COLOUR=blue"]
    service = read()
    back = its.post(
        f"/services/{service_id}/update", service_config(service),
        version=service["Version"]["Index"], rollback="previous",
    )  # fmt: skip
    assert back.status_code == 200
    cluster.wait_update("web", "rollback_completed")
    assert read()["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"] == ["COLOUR=red"]

    # "Update the service", with its switch "re-pull image": defaults come back explicit.
    before = running_processes(cluster, "web")
    service = read(insertDefaults="true")
    spec = service["Spec"]
    spec["TaskTemplate"]["ForceUpdate"] += 1
    container = spec["TaskTemplate"]["ContainerSpec"]
    container["Image"] = container["Image"].split("@sha")[0]
    assert its.json(f"/distribution/{container['Image']}/json")["Descriptor"]["digest"]
    version = service["Version"]["Index"]
    assert its.post(f"/services/{service_id}/update", spec, version=version).status_code == 200
    cluster.wait_until(
        "all are new",
        lambda: (
            len(running_processes(cluster, "web")) == 3
            and not running_processes(cluster, "web").items() & before.items()
        ),
    )
    assert its.delete(f"/services/{service_id}").status_code == 200
    assert its.get(f"/services/{service_id}").status_code == 404
    assert its.delete("/networks/lan").status_code == 204


def test_its_pages_change_nodes_configs_and_secrets(its: Portainer) -> None:
    (node,) = (n for n in its.json("/nodes") if n["Description"]["Hostname"] == "host-2")
    spec = {"Name": "", "Role": "worker", "Availability": "drain", "Labels": {"zone": "a"}}
    path, version = f"/nodes/{node['ID']}/update", node["Version"]["Index"]
    assert its.post(path, spec, version=version).status_code == 200
    found = its.json(f"/nodes/{node['ID']}")["Spec"]
    assert (found["Availability"], found["Labels"]) == ("drain", {"zone": "a"})

    data = base64.b64encode("grün".encode()).decode()
    for kind in ("configs", "secrets"):
        made = its.post(f"/{kind}/create", {"Name": "it", "Data": data, "Labels": {}})
        assert made.status_code == 201, made.text
        (listed,) = its.json(f"/{kind}")
        assert (listed["ID"], listed["Spec"]["Name"]) == (made.json()["ID"], "it")
        shown = its.json(f"/{kind}/{listed['ID']}")["Spec"]
        assert shown.get("Data") == (data if kind == "configs" else None)
        assert its.delete(f"/{kind}/{listed['ID']}").status_code == 204
