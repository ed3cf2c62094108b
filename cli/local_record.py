"""What `berth up` started, written down so that `berth down` can end exactly that.

Duty: the record file of a local cluster, the lock that lets one command at a time change it, and
the folders beside it.
Not here: starting and ending processes (cli.local_processes), deciding what to start
(cli.local_plan).
Invariants (tests/unit/cli/test_local_record.py): the record is replaced whole or not at all; a
process is written down by PID *and* start time, so a stranger that got its PID is never signalled.
"""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from berth.errors import ConfigError, ConflictError

RECORD_NAME = "cluster.json"
_LOCK_NAME = "lock"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """One program of the cluster: how it was started, and which process it is."""

    name: str
    kind: str
    """"engine", "etcd", "scheduler" or "agent"."""
    argv: tuple[str, ...]
    env: Mapping[str, str]
    log: str
    pid: int = 0
    started_ticks: int = 0


@dataclass(slots=True)
class LocalCluster:
    """A local cluster as its record file describes it."""

    docker_url: str = ""
    etcd_urls: tuple[str, ...] = ()
    scheduler_addresses: tuple[str, ...] = ()
    nodes: int = 0
    cluster_id: str = ""
    """Kept over `down`, since containers bear it as a label."""
    firewall_rules: list[list[str]] = field(default_factory=list)
    """Rules added for a private Engine: table, chain, match."""
    links: list[str] = field(default_factory=list)
    """Network links that a private Engine made."""
    processes: dict[str, ProcessRecord] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Folders:
    """Where a local cluster lives."""

    work_dir: Path

    @classmethod
    def default(cls, env: Mapping[str, str] = os.environ) -> "Folders":
        """Return the user's own: `$XDG_DATA_HOME/berth`, else `~/.local/share/berth`."""
        base = env.get("XDG_DATA_HOME")
        return cls((Path(base) if base else Path.home() / ".local/share") / "berth")

    @property
    def logs(self) -> Path:
        """One log per program."""
        return self.work_dir / "logs"

    @property
    def tls(self) -> Path:
        """The cluster's own certificate authority and what it issued."""
        return self.work_dir / "tls"

    @property
    def key_file(self) -> Path:
        """The key that seals registry credentials, configs and secrets in etcd."""
        return self.work_dir / "sealing.key"

    @property
    def etcd(self) -> Path:
        """Data of the etcd that we start."""
        return self.work_dir / "etcd"

    @property
    def sockets(self) -> Path:
        """Where schedulers serve Docker's API, one socket each."""
        return self.work_dir / "run"

    @property
    def engine(self) -> Path:
        """Everything of a private Engine."""
        return self.work_dir / "engine"

    def agent(self, name: str) -> Path:
        """State of one agent: its identity and its journal."""
        return self.work_dir / "agents" / name

    @property
    def task_files(self) -> Path:
        """Configs and secrets of all nodes' tasks: in memory, so not below the work folder."""
        digest = hashlib.sha256(str(self.work_dir.absolute()).encode()).hexdigest()
        return Path("/dev/shm", f"berth-{digest[:12]}")  # noqa: S108 - the agent makes it its own

    @property
    def record(self) -> Path:
        """The record file."""
        return self.work_dir / RECORD_NAME


@contextlib.contextmanager
def locked(folders: Folders) -> Iterator[None]:
    """Let nobody else change the local cluster meanwhile.

    Raises:
        ConflictError: another `berth up` or `berth down` is at it.
        ConfigError: the work folder cannot be used.
    """
    try:
        folders.work_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (folders.work_dir / _LOCK_NAME).open("w")
    except OSError as error:
        raise ConfigError(
            f'work folder "{folders.work_dir}" cannot be used ({error.strerror}): '
            "name another with --work-dir"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(
                f'another `berth up` or `berth down` works on "{folders.work_dir}": wait for it'
            ) from None
        yield


def remove_lock(folders: Folders) -> None:
    """Remove the lock's file, and the work folder if nothing else is in it; for its holder."""
    (folders.work_dir / _LOCK_NAME).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # The user keeps something of his own there.
        folders.work_dir.rmdir()


def load_record(folders: Folders) -> LocalCluster:
    """Return what is written down; an empty record where nothing is.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        found = json.loads(folders.record.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return LocalCluster()
    except (OSError, ValueError) as error:
        raise _unreadable(folders, str(error)) from error
    try:
        return _from_json(found)
    except (KeyError, TypeError) as error:
        raise _unreadable(folders, f"{type(error).__name__}: {error}") from error


def save_record(folders: Folders, cluster: LocalCluster) -> None:
    """Replace the record file."""
    text = json.dumps({"version": _VERSION, **asdict(cluster)}, indent=2)
    unfinished = folders.record.with_suffix(".new")
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(folders.record)


def _from_json(found: dict[str, Any]) -> LocalCluster:
    if found.pop("version") != _VERSION:
        raise KeyError(f"this version of berth writes version {_VERSION}")
    processes = {
        name: ProcessRecord(**{**record, "argv": tuple(record["argv"])})
        for name, record in found.pop("processes").items()
    }
    cluster = LocalCluster(**found, processes=processes)
    cluster.etcd_urls = tuple(cluster.etcd_urls)
    cluster.scheduler_addresses = tuple(cluster.scheduler_addresses)
    return cluster


def _unreadable(folders: Folders, why: str) -> ConfigError:
    return ConfigError(
        f'"{folders.record}" cannot be read ({why}): end the processes that `ps` shows with '
        f'"{folders.work_dir}" in their command line, then remove that file'
    )
