"""The guide, typed from beginning to end on machines with a real systemd.

Every block of docs/operations.md is typed where it says; between sections what it promises is
looked for. What is typed otherwise than it stands there is in `guide.REPLACED`.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest

from tests.cluster import wait_until
from tests.hosts import Host, Lab, lab
from tests.machine.etcd import production_etcd
from tests.machine.image import TOP
from tests.machine.machine import Machine, booted
from tests.systemd.guide import MACHINES, blocks, typed, with_addresses

pytestmark = [pytest.mark.e2e, pytest.mark.systemd, pytest.mark.timeout(1800)]

SOURCE = ("berth", "scheduler", "nodeagent", "gateway", "cli", "deploy", "docs", "pyproject.toml",
          "README.md", "requirements.lock")  # fmt: skip
PROMETHEUS_UNIT = """[Service]
User=prometheus
StateDirectory=prometheus
ExecStart=/usr/bin/prometheus --config.file=/etc/prometheus/prometheus.yml \
 --storage.tsdb.path=/var/lib/prometheus
"""
REMOTE = r"""#!/bin/bash
# What scp and ssh do, to machines that are containers: scp FILE root@M:PATH, ssh root@M COMMAND...
unset DOCKER_HOST DOCKER_TLS_VERIFY DOCKER_CERT_PATH
target=$1; if [ "${0##*/}" = scp ]; then target=$2; fi
machine=${target%%:*} machine=${machine#root@}
read -r engine container <"${0%/*}/$machine"
case ${0##*/} in
scp) docker -H "$engine" exec -i "$container" \
    install -m "$(stat -c %a "$1")" /dev/stdin "${target#*:}" <"$1" ;;
ssh) shift; docker -H "$engine" exec "$container" bash -c "$*" ;;
esac
"""


class Me:
    """The operator's own machine: this one, with a folder and a home of its own."""

    def __init__(self, folder: Path, engines: dict[str, tuple[Host, Machine]]) -> None:
        self.folder, shims = folder / "work", folder / "bin"
        self.folder.mkdir()
        shims.mkdir()
        for name in ("scp", "ssh"):
            (shims / name).write_text(REMOTE, "utf-8")
            (shims / name).chmod(0o755)
        for name, (host, machine) in engines.items():
            (shims / name).write_text(f"{host.engine.url} {machine.container.id}\n", "utf-8")
        programs = (shims, Path(sys.executable).parent, production_etcd(), os.environ["PATH"])
        path = ":".join(map(str, programs))
        self._env = {"HOME": str(folder), "PATH": path}

    def __call__(self, commands: str) -> str:
        """Type commands; return what they said, both streams."""
        answer = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.folder,
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        assert answer.returncode == 0, f"{commands}\nexit code {answer.returncode}\n{answer.stdout}"
        return answer.stdout

    def rows(self, what: str) -> list[dict[str, str]]:
        """Return the rows of a listing of `berth`."""
        return [json.loads(line) for line in self(f"berth {what} --format json").splitlines()]


@pytest.fixture(scope="module")
def lab4() -> Iterator[Lab]:
    with lab(hosts=4) as it:
        yield it


def source_tree(target: Path, addresses: Sequence[str], subnet: str) -> Path:
    """Copy the source tree as somebody would unpack it, the lab's addresses in its examples."""
    target.mkdir()
    for name in SOURCE:
        copy = shutil.copytree if (TOP / name).is_dir() else shutil.copy
        copy(TOP / name, target / name)
    for path in (target / "deploy").rglob("*"):
        if path.suffix in (".toml", ".yml"):
            text = with_addresses(path.read_text("utf-8"), addresses)
            trust = f'insecure_registries = ["{subnet}"]'  # The lab's registry has no TLS.
            text = text.replace('#insecure_registries = ["registry.lan:5000", "10.0.0.0/8"]', trust)
            path.write_text(text, "utf-8")
    return target


def furnish(machine: Machine, name: str) -> None:
    """Bring what the guide takes for granted: a name, an Engine's socket, Prometheus' package."""
    machine(f"hostname {name} && ln -sf /engine/docker.sock /run/docker.sock")
    machine("useradd --system prometheus && install -d /etc/prometheus")
    machine.write("/etc/systemd/system/prometheus.service", PROMETHEUS_UNIT)


@pytest.fixture
def machines(lab4: Lab, tmp_path: Path) -> Iterator[dict[str, Machine]]:
    addresses = [host.address for host in lab4.hosts]
    tree = source_tree(tmp_path / "berth", addresses, str(lab4.network.subnet))
    programs = {path: f"/usr/local/bin/{path.name}" for path in production_etcd().iterdir()}
    for name in ("prometheus", "promtool"):
        programs[Path(shutil.which(name) or name)] = f"/usr/bin/{name}"
    with contextlib.ExitStack() as stack:
        found = {}
        for name, host in zip(MACHINES, lab4.hosts, strict=True):
            host.engine.socket_path.chmod(0o666)  # Its group has another number on the machine.
            found[name] = stack.enter_context(booted(host, {tree: "/root/berth", **programs}))
            furnish(found[name], name)
        yield found


class Promises:
    """What must hold after a section; looked up by its heading."""

    def __init__(self, me: Me, machines: dict[str, Machine]) -> None:
        self.me, self.machines = me, machines
        self.before_restore: dict[str, str] = {}
        self.by_heading = {
            "1. etcd": self.etcd_is_whole,
            "4. Settings": self.services_are_active,
            "5. You": self.web_runs,
            "6. Prometheus and Grafana": self.everything_is_scraped,
            "Add a node": lambda: self.nodes_are("m1", "m2", "m3", "m4"),
            "Maintenance of a machine": lambda: self.nodes_are("m1", "m2", "m3", "m4"),
            "Upgrade": self.services_are_active,
            "Replace a scheduler": self.m4_serves,
            "Remove a node": lambda: self.nodes_are("m1", "m2", "m3"),
            "Back up": self.note_containers,
            "Restore etcd": self.containers_ran_on,
        }

    def etcd_is_whole(self) -> None:
        told = self.machines["m2"]("etcdctl endpoint health --cluster")
        assert told.count("is healthy") == 3, told

    def services_are_active(self) -> None:
        for name in ("m1", "m2", "m3"):
            self.machines[name].wait_active("berth-scheduler", "berth-agent", "berth.target")

    def nodes_are(self, *names: str) -> None:
        wanted = [(name, "Ready", "Active") for name in names]
        wait_until(
            f"{names} are ready and active, and nobody else is there",
            lambda: (
                [(n["Hostname"], n["Status"], n["Availability"]) for n in self.me.rows("node ls")]
                == wanted
            ),
            describe=lambda: self.me("berth node ls"),
        )

    def web_runs(self) -> None:
        self.nodes_are("m1", "m2", "m3")
        wait_until("web runs", lambda: self.me.rows("service ls")[0]["Replicas"] == "3/3")

    def everything_is_scraped(self) -> None:
        ask = "promtool query instant http://127.0.0.1:9090 '{}'"
        m1 = self.machines["m1"]
        wait_until(
            "nine targets are up",
            lambda: m1(ask.format("up == 1"), check=False).count("=>") == 9,
            90,
            describe=lambda: m1(ask.format("up"), check=False),
        )
        boards = m1("cat /var/lib/grafana/berth/*.json | grep -c gridPos")
        assert int(boards) > 40
        assert "path: /var/lib/grafana/berth" in m1("cat /etc/grafana/provisioning/dashboards/*")

    def m4_serves(self) -> None:
        self.machines["m4"].wait_active("berth-scheduler")
        assert self.machines["m3"].unit("berth-scheduler", "ActiveState") == "inactive"

    def note_containers(self) -> None:
        self.before_restore = {t["ID"]: t["Node"] for t in self.running()}
        assert len(self.before_restore) == 3

    def containers_ran_on(self) -> None:
        self.web_runs()
        assert {task["ID"]: task["Node"] for task in self.running()} == self.before_restore

    def running(self) -> list[dict[str, str]]:
        tasks = self.me.rows("service ps web")
        return [task for task in tasks if task["CurrentState"].startswith("Running")]


def test_every_command_of_the_guide_does_what_it_says(
    lab4: Lab, machines: dict[str, Machine], tmp_path: Path
) -> None:
    hosts = dict(zip(MACHINES, lab4.hosts, strict=True))
    addresses = [host.address for host in lab4.hosts]
    folder = tmp_path / "me"
    folder.mkdir()
    me = Me(folder, {name: (hosts[name], machines[name]) for name in MACHINES})
    promises = Promises(me, machines)
    image = lab4.images.web("1.0")
    todo = blocks()
    headings = {block.heading for block in todo}
    assert promises.by_heading.keys() <= headings, promises.by_heading.keys() - headings
    for block, following in pairwise([*todo, None]):
        assert block is not None
        commands = typed(block, addresses, str(image))
        print(f"{time.strftime('%X')} {block.heading}, on {block.where}:\n{commands}", flush=True)

        def on(name: str, commands: str = commands) -> str:
            if name == "me":
                return me(commands)
            who = f"export NAME={name} ADDRESS={hosts[name].address}"
            return machines[name](f"set -euo pipefail; {who}\n{commands}")

        with ThreadPoolExecutor(len(block.where)) as pool:
            list(pool.map(on, block.where))
        if following is None or following.heading != block.heading:
            promises.by_heading.get(block.heading, lambda: None)()
