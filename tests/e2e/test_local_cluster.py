"""`berth up` and `berth down` for real: everything starts, survives, and goes again."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import local_engine
from tests.cluster import DOCKER_CLIS, DockerCli
from tests.cluster.berth_cli import CliError, CliResult
from tests.cluster.waiting import wait_until
from tests.hosts import Lab

pytestmark = pytest.mark.e2e
_BERTH = str(Path(sys.executable).parent / "berth")


class LocalUser:
    """A user with a home, a work folder, and the Engine of a lab's host."""

    def __init__(self, home: Path, it: Lab) -> None:
        self.work_dir = home / "work"
        self.engine = it.hosts[0].engine
        self.subnet = str(it.network.subnet)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("BERTH_", "DOCKER_"))}
        self.env = {**kept, "HOME": str(home), "COLUMNS": "160"}

    def __call__(self, *argv: str, check: bool = True, **env: str) -> CliResult:
        done = subprocess.run(
            [_BERTH, *argv],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**self.env, **env},
            timeout=120,
        )
        result = CliResult(argv, done.returncode, done.stdout, done.stderr)
        if check and result.exit_code:
            raise CliError(result)
        return result

    def up_arguments(self) -> list[str]:
        return [
            *("up", "--work-dir", str(self.work_dir), "--schedulers", "2", "--agents", "2"),
            *("--docker", self.engine.url, "--insecure-registry", self.subnet),
        ]

    def up(self, *argv: str, check: bool = True, **env: str) -> CliResult:
        return self(*self.up_arguments(), *argv, check=check, **env)

    def down(self, *argv: str) -> CliResult:
        return self("down", "--work-dir", str(self.work_dir), *argv)

    def processes(self) -> dict[str, dict[str, Any]]:
        try:
            found = json.loads((self.work_dir / "cluster.json").read_text())
        except FileNotFoundError:
            return {}
        processes: dict[str, dict[str, Any]] = found["processes"]
        return processes

    def commands_that_run(self) -> list[str]:
        """Every process of the machine that has to do with the work folder."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(self.work_dir) in text and f"{path.parent.name}" != str(os.getpid()):
                found.append(text)
        return found

    def containers(self, *, all_: bool = True) -> list[dict[str, Any]]:
        client = self.engine.client()
        try:
            found: list[dict[str, Any]] = client.api.containers(
                all=all_, filters={"label": "berth.cluster"}
            )
            return found
        finally:
            client.close()


@pytest.fixture
def user(tmp_path: Path, one_host: Lab) -> Iterator[LocalUser]:
    it = LocalUser(tmp_path, one_host)
    yield it
    it.down("--purge")
    assert it.commands_that_run() == []
    assert it.containers() == []


def eventually(what: str, claim: Callable[[], object], timeout_s: float = 60.0) -> None:
    wait_until(what, claim, timeout_s)


def test_a_cluster_is_up_is_used_is_mended_and_is_down(user: LocalUser, one_host: Lab) -> None:
    said = user.up().stdout
    assert "The cluster is up." in said
    assert "export BERTH_SCHEDULER=127.0.0.1:" in said

    # Commands find it without any variable, and each node takes its share.
    image = one_host.images.sleeper("1.0")
    user("service", "create", "--name", "web", "--replicas", "4", image)
    nodes = [container["Labels"]["berth.node"] for container in user.containers(all_=False)]
    assert sorted(map(nodes.count, set(nodes))) == [2, 2]

    # What it prints is all that the docker command needs, and is no Engine for the next `up`.
    (host,) = re.findall(r"^ *export DOCKER_HOST=(\S+)$", said, re.MULTILINE)
    cli = DockerCli(next(iter(DOCKER_CLIS.values())), lambda: host, user.work_dir)
    assert cli.lines("service", "ls", "--format={{.Name}} {{.Replicas}}") == ["web 4/4"]
    assert local_engine.is_berth(host)
    assert not local_engine.is_berth(user.engine.url)
    again = user.up("--agents", "5").stdout
    assert "The cluster is up already." in again
    assert "--agents 5 changes nothing, the cluster has 2: end it first" in again

    # Once it says so, every scheduler is there: also the one that docker was pointed at.
    victim = user.processes()["scheduler-1"]
    os.kill(victim["pid"], signal.SIGKILL)
    assert "scheduler-1 had ended; starting it again" in user.up().stdout
    assert user.processes()["scheduler-1"]["pid"] != victim["pid"]
    assert cli.lines("service", "ls", "--format={{.Name}}") == ["web"]
    listed = json.loads(user("status", "--format", "json").stdout)["cluster"]["schedulers"]
    assert {each["name"] for each in listed} == {"scheduler-1", "scheduler-2"}

    # Down leaves no process and no container, and keeps the services.
    assert "removed 4 containers" in user.down().stdout
    assert user.commands_that_run() == []
    assert user.containers() == []
    assert "no cluster was up" in user.down().stdout

    user.up()
    eventually("the service is back", lambda: len(user.containers(all_=False)) == 4)


def test_purge_forgets_everything(user: LocalUser) -> None:
    user.up()
    user.down("--purge")
    assert not user.work_dir.exists()
    assert not (Path(user.env["HOME"]) / ".berth/context.toml").exists()


def test_an_up_that_fails_names_the_log_and_leaves_nothing(user: LocalUser, tmp_path: Path) -> None:
    broken = tmp_path / "etcd"
    broken.write_text(
        "#!/bin/sh\n[ $1 = --version ] && echo etcd Version: 3.6.1 && exit\n"
        "echo the disk is on fire; sleep 0.3; exit 1\n"
    )
    broken.chmod(0o755)
    result = user.up(check=False, ETCD_BIN=str(broken))
    assert result.exit_code != 0
    assert "etcd ended at once" in result.output
    assert "the disk is on fire" in result.output
    assert user.commands_that_run() == []
    assert user.processes() == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after", ["etcd", "scheduler-2"])
def test_an_interrupted_up_leaves_nothing(
    user: LocalUser, number: signal.Signals, after: str
) -> None:
    starting = subprocess.Popen(
        [_BERTH, *user.up_arguments()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=user.env,
    )
    with starting:
        eventually(f"{after} is started", lambda: after in user.processes())
        starting.send_signal(number)
        said, _ = starting.communicate(timeout=60)
    assert starting.returncode == 130, said
    assert "nothing is left" in said
    assert user.commands_that_run() == []


def test_taken_ports_are_passed_over(user: LocalUser) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # Then it is somebody's already.
            other.bind(("127.0.0.1", 7701))
            other.listen()
        user.up()
        assert "127.0.0.1:7701 " not in user("status").stdout


def test_in_the_foreground_ctrl_c_ends_the_cluster(user: LocalUser) -> None:
    running = subprocess.Popen(
        [_BERTH, *user.up_arguments(), "--foreground"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**user.env, "PYTHONUNBUFFERED": "1"},
    )
    with running:
        assert running.stdout is not None
        for line in running.stdout:
            if "Ctrl-C ends the cluster" in line:
                break
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
    assert running.returncode == 0
    assert user.commands_that_run() == []


@pytest.mark.skipif(Path("/sys/class/net/docker0").exists(), reason="docker0 is somebody's")
def test_a_private_engine_comes_and_goes(tmp_path: Path, one_host: Lab) -> None:
    user = LocalUser(tmp_path, one_host)
    user.work_dir = Path(f"/tmp/bu-{os.getpid()}")  # Sockets want short paths.
    absent = f"unix://{tmp_path}/absent.sock"
    arguments = ["up", "--work-dir", str(user.work_dir), "--schedulers", "1", "--agents", "1"]
    refused = user(*arguments, "--docker", absent, check=False)
    assert refused.exit_code != 0
    assert "--start-engine" in refused.output
    try:
        user(*arguments, "--docker", absent, "--start-engine")
        assert "unix://" + str(user.work_dir) in " ".join(user.processes()["node-1"]["argv"])
    finally:
        user.down("--purge")
    assert not user.work_dir.exists()
    assert not Path("/sys/class/net/docker0").exists()
    assert user.commands_that_run() == []
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    assert "berth up" not in rules
