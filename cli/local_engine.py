"""The Docker Engine of a local cluster: the machine's, or a private one.

Duty: find out whether an Engine answers and what it offers, say how to start a private one, give
its containers a way out, remove a cluster's containers.
Not here: starting and ending dockerd (cli.local_cluster), running tasks (the agents).
Invariants: a private Engine lives in the work folder alone; its firewall rules and its bridge are
recorded before they are made, and only what was not there before is removed.
"""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import docker
import requests
from docker.errors import DockerException

from berth.errors import ConfigError, UnavailableError, UpstreamError
from cli.local_record import Folders, LocalCluster

SYSTEM_URL: Final = "unix:///var/run/docker.sock"
CLUSTER_LABEL: Final = "berth.cluster"
_BRIDGE: Final = "docker0"
_ADDRESSES: Final = "10.214.0.0/16"
"""Of all networks of a private Engine: so that its few rules are right for each of them."""
_FOLDER_CHARACTERS_MAX: Final = 60  # A socket's path may have 107; containerd's lie deeper.
_PING_TIMEOUT_S: Final = 3.0
_CALL_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What an Engine has to share."""

    version: str
    cpus: int
    memory_bytes: int


def is_berth(url: str) -> bool:
    """Tell whether it is no Engine that answers at `url`, but a scheduler of Berth."""
    if url.startswith("unix://"):
        return b"server: berth/" in _ping(url.removeprefix("unix://")).lower()
    try:
        address = f"http://{url.partition('://')[2]}/_ping"
        found = requests.get(address, timeout=_PING_TIMEOUT_S).headers.get("Server", "")
    except (requests.RequestException, ValueError):
        return False
    return found.startswith("Berth/")


def answers(url: str) -> bool:
    """Tell whether an Engine answers at `url`."""
    if url.startswith("unix://"):
        return b" 200 " in _ping(url.removeprefix("unix://")).partition(b"\r\n")[0]
    try:
        with _client(url, _PING_TIMEOUT_S) as client:
            return bool(client.ping())
    except (DockerException, requests.RequestException):
        return False


def _ping(path: str) -> bytes:
    """Return how the socket at `path` answers a ping; nothing where it does not."""
    # Not by the docker package: a client whose first request fails leaves its socket open.
    answer = b""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PING_TIMEOUT_S)
        try:
            connection.connect(path)
            connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")
            while b"\r\n\r\n" not in answer and (more := connection.recv(4096)):
                answer += more
        except OSError:
            return b""
    return answer


def facts(url: str) -> EngineFacts:
    """Ask the Engine what it has.

    Raises:
        UpstreamError: it does not answer, or refuses.
    """
    try:
        with _client(url, _CALL_TIMEOUT_S) as client:
            info: dict[str, Any] = client.info()
    except (DockerException, requests.RequestException) as error:
        raise UpstreamError(f"the Docker Engine at {url} does not answer: {error}") from error
    return EngineFacts(str(info["ServerVersion"]), int(info["NCPU"]), int(info["MemTotal"]))


def remove_containers(url: str, cluster_id: str) -> int:
    """Remove the containers of one cluster, running or not, and the bridges of its networks.

    Returns how many containers there were. Their named volumes stay: they are the user's data.

    Raises:
        UpstreamError: the Engine does not answer, or refuses.
    """
    wanted = {"label": f"{CLUSTER_LABEL}={cluster_id}"}
    removed = 0
    try:
        with _client(url, _CALL_TIMEOUT_S) as client:
            for found in client.api.containers(all=True, quiet=True, filters=wanted):
                client.api.remove_container(found["Id"], force=True, v=True)
                removed += 1
            for network in client.api.networks(filters=wanted):
                client.api.remove_network(network["Id"])
    except (DockerException, requests.RequestException) as error:
        raise UpstreamError(
            f"the Docker Engine at {url} did not remove the cluster's containers: {error}"
        ) from error
    return removed


@contextmanager
def _client(url: str, timeout_s: float) -> Iterator[Any]:
    with closing(docker.DockerClient(base_url=url, timeout=timeout_s)) as client:
        yield client


# --- A private Engine


def private_url(folders: Folders) -> str:
    """Return where the private Engine of this work folder listens."""
    return f"unix://{folders.engine / 'docker.sock'}"


def private_command(folders: Folders, insecure_registries: tuple[str, ...]) -> list[str]:
    """Write the private Engine's settings; return the command that starts it.

    Raises:
        UnavailableError: there is no dockerd, or we may not start one.
        ConfigError: the work folder's path is too long for sockets.
    """
    program = shutil.which("dockerd")
    if program is None:
        raise UnavailableError(
            "there is no dockerd on PATH: install Docker (Debian: apt-get install docker.io)"
        )
    if os.geteuid() != 0:
        raise UnavailableError(
            "a private Engine needs root: run `berth up` as root, or start Docker and omit "
            "--start-engine"
        )
    folder = folders.engine
    if len(str(folder)) > _FOLDER_CHARACTERS_MAX:
        raise ConfigError(
            f'"{folder}" is too long for the sockets of an Engine: choose a --work-dir of at most '
            f"{_FOLDER_CHARACTERS_MAX - len('/engine')} characters"
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o711)
    config = {
        "data-root": str(folder / "data"),
        "exec-root": str(folder / "exec"),
        "pidfile": str(folder / "docker.pid"),
        "hosts": [private_url(folders)],
        "insecure-registries": list(insecure_registries),
        "default-address-pools": [{"base": _ADDRESSES, "size": 24}],
        # Its rules would outlive it; `firewall_rules` are few and are taken back.
        "iptables": False,
    }
    config_path = folder / "daemon.json"
    config_path.write_text(json.dumps(config, indent=2), encoding="utf-8")
    return [program, "--config-file", str(config_path)]


def remove_leftovers(folders: Folders) -> None:
    """Remove what a killed private Engine left that would keep the next one from starting."""
    for leftover in ("docker.pid", "docker.sock", "exec/containerd/containerd.pid"):
        (folders.engine / leftover).unlink(missing_ok=True)


def note_links(cluster: LocalCluster) -> None:
    """Record the bridge that the private Engine is about to make, unless it is there already."""
    if not Path("/sys/class/net", _BRIDGE).exists():
        cluster.links = [_BRIDGE]


def firewall_rules() -> list[list[str]]:
    """Return the rules by which the containers of a private Engine reach the world."""
    mark = ["-m", "comment", "--comment", "berth up"]
    away = ["-s", _ADDRESSES, "!", "-d", _ADDRESSES]
    return [
        ["nat", "POSTROUTING", *away, *mark, "-j", "MASQUERADE"],
        ["filter", "FORWARD", "-s", _ADDRESSES, *mark, "-j", "ACCEPT"],
        ["filter", "FORWARD", "-d", _ADDRESSES, *mark, "-j", "ACCEPT"],
    ]


def insert_rules(rules: list[list[str]]) -> bool:
    """Add these rules; False where this machine has no iptables that works."""
    return all(_iptables("-I", rule) for rule in rules)


def remove_network(cluster: LocalCluster) -> None:
    """Take the private Engine's rules and links out of the machine."""
    for rule in cluster.firewall_rules:
        _iptables("-D", rule)
    for link in cluster.links:
        subprocess.run(["ip", "link", "delete", link], capture_output=True, check=False)
    cluster.firewall_rules, cluster.links = [], []


def _iptables(verb: str, rule: list[str]) -> bool:
    table, chain, *match = rule
    argv = ["iptables", "-w", "-t", table, verb, chain, *match]
    try:
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def remove_runtime_files(folders: Folders) -> None:
    """Remove what a private Engine that has ended leaves: sockets, mounts, its exec folder."""
    _unmount_below(folders.engine)
    shutil.rmtree(folders.engine / "exec", ignore_errors=True)
    for name in ("docker.sock", "docker.pid"):
        (folders.engine / name).unlink(missing_ok=True)


def _unmount_below(folder: Path) -> None:
    prefix = f"{folder.resolve()}/"
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [line.split()[4].replace("\\040", " ") for line in lines]
    for point in sorted((point for point in points if point.startswith(prefix)), reverse=True):
        subprocess.run(["umount", "--lazy", point], capture_output=True, check=False)
