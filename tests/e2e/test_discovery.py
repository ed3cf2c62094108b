"""What Docker's own tools find of a live cluster: Prometheus' discovery, Traefik's requests.

The Prometheus is Debian's, its configuration that of deploy/prometheus, with addresses put in.
"""

import contextlib
import ipaddress
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
import requests

from tests.cluster import DOCKER_CLIS, DockerCli, NotYetError, TestCluster
from tests.hosts import ImageFactory, Lab
from tests.hosts.prometheus import Prometheus

pytestmark = pytest.mark.e2e

DEPLOY = Path(__file__).parents[2] / "deploy" / "prometheus"
CONFIGURATION = DEPLOY / "prometheus-dockerswarm.yml"
SOCKET, PERIOD = "unix:///run/berth/docker.sock", "refresh_interval: 15s"
PORT = 18080


@pytest.fixture
def cli(cluster: TestCluster, tmp_path: Path) -> DockerCli:
    """A docker CLI, connected to a scheduler that does not lead."""
    program = DOCKER_CLIS.get("new") or DOCKER_CLIS["debian"]
    return DockerCli(program, lambda: cluster.standbys()[0].docker_host, tmp_path)


@pytest.fixture
def prometheus(cluster: TestCluster, lab3: Lab, tmp_path: Path) -> Iterator[Prometheus]:
    """Debian's Prometheus with the configuration under test, asking a standby each second."""
    text = CONFIGURATION.read_text("utf-8")
    assert text.count(SOCKET) == text.count(PERIOD) == 3
    text = text.replace(SOCKET, cluster.standbys()[0].docker_host)
    text = text.replace(PERIOD, "refresh_interval: 1s").replace("_interval: 15s", "_interval: 1s")
    config = tmp_path / "prometheus.yml"
    config.write_text(text.replace("rule_files:\n  - rules/*.yml\n", ""))
    it = Prometheus(lab3.network.address, tmp_path / "prometheus", lab3.processes)
    it.start_with(config)
    yield it
    it.stop()


def targets(prometheus: Prometheus, job: str) -> dict[str, tuple[str, dict[str, str]]]:
    """Return health and labels of a job's targets, by the URL that is scraped."""
    answer = requests.get(f"{prometheus.url}/api/v1/targets?state=active", timeout=10).json()
    return {
        each["scrapeUrl"]: (each["health"], each["labels"])
        for each in answer["data"]["activeTargets"]
        if each["scrapePool"] == job
    }


def create_metered(cli: DockerCli, images: ImageFactory, *flags: str) -> None:
    """Create the service `web`, whose tasks show a metric."""
    serve = "mkdir /w && echo shown 1 > /w/metrics && exec httpd -f -p 80 -h /w"
    cli("service", "create", "-q", "--detach=false", "--name=web", "--update-monitor=1s",
        "--stop-grace-period=1s", *flags, images.busybox(), "sh", "-c", serve)  # fmt: skip


def test_prometheus_finds_nodes_services_and_tasks(
    cluster: TestCluster, cli: DockerCli, prometheus: Prometheus, images: ImageFactory
) -> None:
    cli("network", "create", "--driver=overlay", "lan")
    create_metered(
        cli, images, "--replicas=2", "--network=lan", "--label=prometheus.scrape=true",
        "--label=prometheus.watch=true", f"--publish=mode=host,published={PORT},target=80",
    )  # fmt: skip
    cli("service", "create", "-q", "-d", "--name=silent", images.sleeper("1.0"))
    nodes = {task.node_name for task in cluster.running_tasks("web")}
    hosts = {agent.host.name: agent.host.address for agent in cluster.agents}
    published = {f"http://{hosts[name]}:{PORT}/metrics" for name in nodes}
    assert len(published) == 2

    for job, wanted in (
        ("berth-agent", {f"http://{address}:7703/metrics" for address in hosts.values()}),
        ("berth-workload", published),
        ("berth-service", published),
    ):

        def found(job: str = job, wanted: set[str] = wanted) -> bool:
            seen = targets(prometheus, job)
            if set(seen) != wanted or {health for health, _ in seen.values()} != {"up"}:
                raise NotYetError(f"{job}: {seen}")
            return True

        cluster.wait_until(f"{job} has its targets and all are up", found)
    named = {labels["node"] for _, labels in targets(prometheus, "berth-agent").values()}
    assert named == set(hosts)
    tasks = [labels for _, labels in targets(prometheus, "berth-workload").values()]
    assert {labels["node"] for labels in tasks} == nodes
    assert {(labels["service"], labels["slot"]) for labels in tasks} == {("web", "1"), ("web", "2")}


def test_a_file_that_is_written_is_a_machine_that_is_scraped(
    cluster: TestCluster, lab3: Lab, tmp_path: Path
) -> None:
    """The variant whose targets are files, as it is: Prometheus is not told, nor restarted."""
    shutil.copytree(DEPLOY / "rules", tmp_path / "rules")
    text = (DEPLOY / "prometheus-file.yml").read_text("utf-8")
    config = tmp_path / "prometheus.yml"
    config.write_text(text.replace("_interval: 15s", "_interval: 1s"), "utf-8")
    machines = [agent.http_address for agent in cluster.agents]

    def add(name: str, addresses: list[str]) -> None:
        group = {"targets": addresses, "labels": {"job": "berth-agent", "cluster": "main"}}
        unfinished = tmp_path / "targets" / f"{name}.part"
        unfinished.write_text(json.dumps([group]), "utf-8")
        unfinished.rename(unfinished.with_suffix(".json"))

    (tmp_path / "targets").mkdir()
    add("first", machines[:2])
    it = Prometheus(lab3.network.address, tmp_path, lab3.processes)
    it.start_with(config)
    try:
        for known in (machines[:2], machines):
            cluster.wait_until(
                f"{known} are scraped",
                lambda known=known: (
                    {each["instance"] for each, _ in it.query('up{job="berth-agent"} == 1')}
                    == set(known)
                ),
            )
            add("second", machines[2:])
        rules = requests.get(f"{it.url}/api/v1/rules", timeout=10).json()["data"]["groups"]
        assert {group["name"] for group in rules} == {"berth", "berth-recording"}
    finally:
        it.stop()


def test_what_traefik_asks_makes_backends(
    cluster: TestCluster, cli: DockerCli, images: ImageFactory
) -> None:
    """The calls of its swarm provider, in its order, and what it takes from each answer."""
    cli("network", "create", "--driver=overlay", "lan")
    create_metered(
        cli, images, "--replicas=3", "--network=lan", f"--publish={PORT}:80",
        "--label=traefik.http.services.web.loadbalancer.server.port=80",
    )  # fmt: skip
    with contextlib.closing(docker.DockerClient(cluster.standbys()[0].docker_host)) as client:
        api = client.api
        assert api.version()["ApiVersion"]
        (service,) = api.services()
        assert service["Spec"]["Labels"]["traefik.http.services.web.loadbalancer.server.port"]
        assert service["Spec"]["EndpointSpec"]["Mode"] == "vip"
        networks = {each["Id"]: each["Name"] for each in api.networks(filters={"scope": "swarm"})}
        wanted = {"service": service["ID"], "desired-state": "running"}
        tasks = api.tasks(filters=wanted)
        nodes = {task["NodeID"]: api.inspect_node(task["NodeID"]) for task in tasks}
    hosts = {agent.host.name: agent.host.address for agent in cluster.agents}
    for node in nodes.values():
        assert node["Status"]["Addr"] == hosts[node["Description"]["Hostname"]]
    at = [each for each in service["Endpoint"]["VirtualIPs"] if networks[each["NetworkID"]]]
    assert {each["Addr"] for each in at} == {f"{address}/32" for address in hosts.values()}
    assert [port["PublishedPort"] for port in service["Endpoint"]["Ports"]] == [PORT]

    real = {
        each["Config"]["Labels"]["berth.task"]: each["NetworkSettings"]["Networks"]["lan"]
        for _, each in cluster.containers("web")
    }
    assert len(tasks) == 3
    for task in tasks:
        assert task["Status"]["State"] == "running"
        assert task["Status"]["Err"].startswith("per-node bridge: lan (")
        (attachment,) = task["NetworksAttachments"]
        assert networks[attachment["Network"]["ID"]] == "lan"
        (address,) = attachment["Addresses"]
        assert str(ipaddress.ip_interface(address).ip) == real[task["ID"]]["IPAddress"]
        (port,) = task["Status"]["PortStatus"]["Ports"]
        assert (port["TargetPort"], port["PublishedPort"]) == (80, PORT)
