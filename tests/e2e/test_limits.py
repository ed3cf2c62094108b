"""What a spec asks for is what the container really has: limits, user, files, templates."""

import json
from typing import Any

import pytest
import requests

from tests.cluster import TestCluster
from tests.e2e.asking import create, nodes_of
from tests.e2e.engines import cgroup_values, run_inside
from tests.hosts import Host, ImageFactory

pytestmark = pytest.mark.e2e

Box = tuple[Host, dict[str, Any]]

_MIB = 1024**2
_PERIOD_US = 100_000


@pytest.fixture
def box(cluster: TestCluster, images: ImageFactory, request: pytest.FixtureRequest) -> Box:
    """Run one container with the flags of the test's parameter: its host and its description."""
    create(cluster, "box", images.sleeper("1.0"), *request.param)
    cluster.wait_running("box", 1)
    ((host, container),) = cluster.containers("box")
    return host, container


def flags(*given: str) -> pytest.MarkDecorator:
    """Give these flags to `box`."""
    return pytest.mark.parametrize("box", [given], ids=[""], indirect=True)


@flags("--limit-cpu=0.5", "--limit-memory=64m", "--limit-pids=50", "--oom-score-adj=250")
def test_limits_are_in_the_cgroup_of_the_container(
    box: tuple[Host, dict[str, dict[str, int]]],
) -> None:
    pid = box[1]["State"]["Pid"]
    (memory,) = cgroup_values(pid, "memory", "memory.limit_in_bytes", "memory.max")
    assert int(memory) == 64 * _MIB
    (pids,) = cgroup_values(pid, "pids", "pids.max")
    assert int(pids) == 50
    cpu = " ".join(cgroup_values(pid, "cpu", "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.max"))
    assert cpu == f"{_PERIOD_US // 2} {_PERIOD_US}"
    with open(f"/proc/{pid}/oom_score_adj") as file:
        assert int(file.read()) == 250


@flags("--ulimit=nofile=123:456", "--user=nobody:nogroup", "--group=50", "--workdir=/tmp",
       "--hostname=crate", "--read-only", "--cap-drop=ALL", "--cap-add=CAP_NET_RAW",
       "--host=db:192.0.2.7", "--dns=192.0.2.53", "--dns-search=berth.test", "--init",
       "--sysctl=net.ipv4.ip_unprivileged_port_start=80", "--stop-signal=SIGINT",
       "--container-label=made=here", "--shm-size=8m")  # fmt: skip
def test_the_process_has_the_user_limits_and_files_that_it_was_given(
    box: Box,
) -> None:
    host, container = box
    pid, key = container["State"]["Pid"], str(container["Id"])

    def inside(command: str) -> str:
        return run_inside(host, key, "sh", "-c", command).strip()

    # The soft limit that an exec has is a race in runc until 1.1.12 (its issue 4195).
    wanted = {"Name": "nofile", "Soft": 123, "Hard": 456}
    assert container["HostConfig"]["Ulimits"] == [wanted]
    assert inside("ulimit -Hn") == "456"
    assert inside("id -u; id -g").split() == ["65534", "65534"]
    assert "50" in inside("id -G").split()
    assert inside("pwd; hostname").split() == ["/tmp", "crate"]
    assert "Read-only file system" in inside("touch /file")
    assert "192.0.2.7\tdb" in inside("cat /etc/hosts")
    resolver = inside("cat /etc/resolv.conf")
    assert "nameserver 192.0.2.53" in resolver
    assert "search berth.test" in resolver
    assert inside("cat /proc/sys/net/ipv4/ip_unprivileged_port_start") == "80"
    assert inside("cat /proc/1/comm") in ("docker-init", "tini")
    assert inside("df -m /dev/shm | tail -1").split()[1] == "8"
    with open(f"/proc/{pid}/status") as file:
        status = dict(line.split(":", 1) for line in file)
    assert int(status["CapBnd"], 16) == 1 << 13, "NET_RAW and nothing else"
    assert container["Config"]["StopSignal"] == "SIGINT"
    labels = container["Config"]["Labels"]
    assert labels["made"] == "here"


@flags("--env=SLOT={{.Task.Slot}}", "--env=WHERE={{.Node.Hostname}}", "--env=PLAIN=a=b",
       "--hostname={{.Service.Name}}-{{.Task.Slot}}",
       "--mount=type=tmpfs,target=/scratch,tmpfs-size=4194304,tmpfs-mode=1770",
       "--mount=type=volume,source=data-{{.Task.Slot}},target=/data",
       "--mount=type=volume,source=shared,target=/fixed,readonly")  # fmt: skip
def test_templates_and_mounts_are_filled_in_for_each_task(
    box: Box,
) -> None:
    host, container = box
    key = str(container["Id"])

    def inside(command: str) -> str:
        return run_inside(host, key, "sh", "-c", command).strip()

    assert inside("echo $SLOT $WHERE $PLAIN; hostname").split() == ["1", host.name, "a=b", "box-1"]
    labels = container["Config"]["Labels"]
    assert inside("echo $BERTH_TASK_ID") == labels["berth.task"]
    assert (
        inside("echo $BERTH_NODE_ID") == labels["berth.node"] == labels["com.docker.swarm.node.id"]
    )
    assert int(inside("echo $BERTH_EPOCH")) == int(labels["berth.epoch"]) >= 1
    scratch = inside("mount | grep ' /scratch '")
    assert "tmpfs" in scratch
    assert "size=4096k" in scratch
    assert "mode=1770" in scratch
    mounts = container["Mounts"]
    volumes = {mount["Destination"]: mount for mount in mounts if mount["Type"] == "volume"}
    assert volumes["/data"]["Name"] == "data-1"
    assert inside("echo kept > /data/file; cat /data/file") == "kept"
    assert volumes["/fixed"]["RW"] is False
    assert "Read-only file system" in inside("touch /fixed/file")


def test_arguments_and_entrypoint_replace_those_of_the_image(
    cluster: TestCluster, images: ImageFactory
) -> None:
    script = "echo $0 $1 > /tmp/said; exec sleep 3600"
    create(cluster, "box", images.sleeper("1.0"), "--entrypoint=/bin/sh -c",
           "--stop-grace-period=1s", args=[script, "one", "two words"])  # fmt: skip
    cluster.wait_running("box", 1)
    ((host, container),) = cluster.containers("box")
    assert container["Config"]["Entrypoint"] == ["/bin/sh", "-c"]
    assert container["Config"]["Cmd"] == [script, "one", "two words"]
    cluster.wait_until(
        "it has said its arguments",
        lambda: run_inside(host, container["Id"], "cat", "/tmp/said") == "one two words\n",
    )


def test_a_published_port_is_open_on_the_node_of_its_task_and_taken_once_a_node(
    cluster: TestCluster, images: ImageFactory
) -> None:
    image = images.web("1.0")
    create(cluster, "web", image, "--publish=8080:80", replicas=4)
    cluster.wait_until("three of four run", lambda: len(cluster.running_tasks("web")) == 3)
    assert nodes_of(cluster, "web") == ["host-1", "host-2", "host-3"]
    for agent in cluster.agents:
        assert requests.get(f"http://{agent.host.address}:8080/", timeout=30).text == "1.0\n"
    found = json.loads(cluster.berth("explain", "--format=json", "web").stdout)
    (port,) = [one for one in found["filters"] if one["forbids_alone"]]
    assert "8080" in port["name"]
    assert port["forbids_alone"] == 3
