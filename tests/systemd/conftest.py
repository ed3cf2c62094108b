"""The machine of these tests: install.sh has put a scheduler and an agent on it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from berth.certificates import create_authority, issue
from berth.clock import SystemClock
from berth.entropy import SystemEntropy
from berth.wire.tls import Role
from scheduler.store.sealing import create_key_file
from tests.cluster import wait_until
from tests.hosts import Lab, free_port
from tests.machine.machine import Machine, booted
from tests.systemd.asking import AGENT, INSTALL, SCHEDULER, nodes


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory, one_host: Lab) -> Path:
    """A folder with an authority, certificates and a sealing key."""
    folder = tmp_path_factory.mktemp("keys")
    make_keys(folder, one_host.hosts[0].address)
    return folder


@pytest.fixture(scope="session")
def machine(one_host: Lab, keys: Path) -> Iterator[Machine]:
    """A machine on which install.sh has put a scheduler and an agent, beside an etcd elsewhere."""
    host, ip = one_host.hosts[0], one_host.network.address
    etcd = start_etcd(one_host, ip)
    host.engine.socket_path.chmod(0o666)  # Its group has another number on the machine.
    with booted(host, {keys: "/keys"}) as it:
        it(f"{INSTALL} --scheduler --agent")
        settings(it, host.address, etcd, str(one_host.network.subnet))
        it("systemctl start berth.target")
        it.wait_active(SCHEDULER, AGENT)
        yield it
        it(f"systemctl stop berth.target {AGENT} {SCHEDULER}")
    with contextlib.closing(host.engine.client()) as client:
        for container in client.containers.list(all=True, filters={"label": "berth.service"}):
            container.remove(force=True)


def make_keys(folder: Path, address: str) -> None:
    ports = {"clock": SystemClock(), "entropy": SystemEntropy()}
    authority = create_authority(folder, **ports)
    issue(authority, Role.SCHEDULER, "scheduler", [address], folder, **ports)
    issue(authority, Role.AGENT, "agent", [address], folder, **ports)
    issue(authority, Role.AGENT, "other", [address], folder, **ports)
    issue(authority, Role.CLIENT, "operator", [], folder, **ports)
    create_key_file(folder / "sealing.key", ports["entropy"])


def start_etcd(lab: Lab, ip: str) -> str:
    client, peer = (f"http://{ip}:{free_port(ip)}" for _ in range(2))
    lab.processes.start(
        ["etcd", f"--data-dir={lab.work_dir / 'etcd-systemd'}",
         f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
         f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
         f"--initial-cluster=default={peer}"]
    )  # fmt: skip
    return client


def settings(machine: Machine, ip: str, etcd: str, subnet: str) -> None:
    """Edit the installed examples as an operator would, and put the keys where units look."""
    machine("cp /keys/{ca,scheduler,agent}.crt /keys/{scheduler,agent}.key /etc/berth/tls/")
    machine("install -m 0600 /keys/sealing.key /etc/berth/sealing.key")
    machine("groupadd --system deployers && usermod -aG deployers berth")
    edits = {
        "scheduler": [
            f's|^endpoints = .*|endpoints = ["{etcd}"]|',
            f's|^#advertise = .*|advertise = "{ip}"|',
            f's|^#insecure_registries = .*|insecure_registries = ["{subnet}"]|',
            's|^#docker_socket = |docker_socket = |',
            's|^#docker_socket_group = .*|docker_socket_group = "deployers"|',
        ],
        "agent": [
            f's|^scheduler = .*|scheduler = ["{ip}:7701"]|',
            's|^#docker = .*|docker = "unix:///engine/docker.sock"|',
            's|^#node_name = .*|node_name = "machine"|',
        ],
    }  # fmt: skip
    for name, lines in edits.items():
        for line in lines:
            machine(f"sed -i '{line}' /etc/berth/{name}.toml")
        machine(f"/opt/berth/bin/berth-{name} --config /etc/berth/{name}.toml --check-config")
    machine.write(
        "/root/.berth/context.toml",
        f'scheduler = ["{ip}:7701"]\n[tls]\nca_file = "/keys/ca.crt"\n'
        'cert_file = "/keys/operator.crt"\nkey_file = "/keys/operator.key"\n',
    )


@pytest.fixture
def service(machine: Machine, one_host: Lab) -> Iterator[str]:
    """A service with one task, on the machine, whatever other nodes there are."""
    image = one_host.images.sleeper("1.0")
    machine.wait_active(SCHEDULER, AGENT)
    wait_until("the node is ready", lambda: "Ready" in nodes(machine))
    here = "--constraint node.hostname==machine"
    machine(f"berth service create --name steady {here} {image}")
    yield "steady"
    machine.wait_active(SCHEDULER, AGENT)
    machine("berth service rm steady")
