"""Write down all that a lab puts into the machine, and take it out again.

Duty: one append-only file per lab, written *before* the thing is made; `clean` undoes all of it.
Not here: making the things (netns, processes, engine).
Invariants: `clean` is the only way down, for a lab that ends well and for one whose owner was
killed; it may be cut short and run again; it touches nothing that the file does not name.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.hosts.errors import LabError
from tests.hosts.procfs import (
    ProcessIdentity,
    find_processes,
    find_sessions,
    identify,
    is_running,
    mounts_below,
    namespace_inode,
)

FILE_NAME = "lab.jsonl"
NETNS_FOLDER = "/run/netns"
_CGROUP_ROOT = Path("/sys/fs/cgroup")
_SHIM_SOCKETS = Path("/run/containerd/s")
_KILL_TIMEOUT_S = 60.0


def run_tool(*argv: str) -> str:
    """Run a system tool to its end and return what it printed.

    Raises:
        LabError: it failed; the message holds the command and what it said.
    """
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise LabError(f"{' '.join(argv)}: exit code {done.returncode}: {said}")
    return done.stdout


@dataclass(slots=True)
class Records:
    """What one ledger says, by kind, in the order written."""

    owner: ProcessIdentity | None = None
    processes: list[ProcessIdentity] = field(default_factory=list)
    namespaces: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    rules: list[list[str]] = field(default_factory=list)
    cgroups: list[str] = field(default_factory=list)


class Ledger:
    """The record file of one lab. Threads may share it."""

    def __init__(self, work_dir: Path) -> None:
        self.work_dir = work_dir
        self.path = work_dir / FILE_NAME
        self._lock = threading.Lock()

    def open(self) -> None:
        """Begin the file with who owns the lab: this process."""
        owner = identify(os.getpid())
        assert owner is not None
        self._append("owner", [owner.pid, owner.started_ticks])

    def add_process(self, pid: int) -> None:
        """Record a process just started; one that has ended already needs no record."""
        identity = identify(pid)
        if identity is not None:
            self._append("process", [identity.pid, identity.started_ticks])

    def add_netns(self, name: str) -> None:
        """Record a network namespace about to be made."""
        self._append("netns", name)

    def add_link(self, name: str) -> None:
        """Record a network link about to be made."""
        self._append("link", name)

    def add_rule(self, rule: list[str]) -> None:
        """Record an iptables rule (chain and match) about to be inserted."""
        self._append("rule", rule)

    def add_cgroup(self, name: str) -> None:
        """Record a top-level cgroup that an Engine will make."""
        self._append("cgroup", name)

    def _append(self, kind: str, value: Any) -> None:
        with self._lock, self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "value": value}) + "\n")


def read_records(work_dir: Path) -> Records:
    """Read a lab's ledger; an unfinished last line (its writer was killed) is left out."""
    records = Records()
    try:
        lines = (work_dir / FILE_NAME).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return records
    for line in lines:
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        match entry["kind"], entry["value"]:
            case "owner", [pid, started_ticks]:
                records.owner = ProcessIdentity(pid, started_ticks)
            case "process", [pid, started_ticks]:
                records.processes.append(ProcessIdentity(pid, started_ticks))
            case "netns", name:
                records.namespaces.append(name)
            case "link", name:
                records.links.append(name)
            case "rule", rule:
                records.rules.append(rule)
            case "cgroup", name:
                records.cgroups.append(name)
            case _:
                raise LabError(f"{work_dir / FILE_NAME}: unknown record {line}")
    return records


def kill_all(
    netns: list[str], cgroups: list[str], recorded: list[ProcessIdentity] | None = None
) -> None:
    """End by SIGKILL every process of these namespaces and cgroups, and the recorded
    sessions.

    Looks again until nothing is found, since a process may start another while it is ended.

    Raises:
        LabError: something still runs after a minute.
    """
    inodes = frozenset(
        inode for name in netns if (inode := namespace_inode(f"{NETNS_FOLDER}/{name}")) is not None
    )
    deadline = time.monotonic() + _KILL_TIMEOUT_S
    while True:
        alive = set(find_processes(inodes, frozenset(cgroups)))
        alive |= find_sessions(recorded or ())
        alive = {process for process in alive if process.pid != os.getpid()}
        if not alive:
            return
        if time.monotonic() > deadline:
            pids = sorted(process.pid for process in alive)
            raise LabError(f"processes {pids} still run {_KILL_TIMEOUT_S:g} s after SIGKILL")
        # Oldest first: an Engine ends before it can restart what it sees dying.
        for process in sorted(alive, key=lambda process: process.started_ticks):
            if is_running(process):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.02)


def unmount_below(folder: Path) -> None:
    """Detach every mount at or below `folder`; nothing may run there any more."""
    for point in mounts_below(folder):
        # A point may have gone with the one that was mounted over it.
        subprocess.run(["umount", "--lazy", point], capture_output=True, check=False)


def remove_shim_sockets(folder: Path) -> None:
    """Remove the sockets that containerd's shims of this folder's Engines left in /run.

    A shim removes its own when it ends; one that was killed cannot.
    """
    for path in folder.glob("**/io.containerd.runtime.v2.task/moby/*/address"):
        socket = Path(path.read_text().removeprefix("unix://"))
        if socket.parent == _SHIM_SOCKETS:
            socket.unlink(missing_ok=True)


def remove_cgroups(names: list[str]) -> None:
    """Remove these top-level cgroups from every hierarchy; they must hold no process."""
    for name in names:
        # cgroup v2 has the one hierarchy; v1 has one folder per controller.
        for top in [_CGROUP_ROOT / name, *_CGROUP_ROOT.glob(f"*/{name}")]:
            for folder, _, _ in os.walk(top, topdown=False):
                _remove_cgroup(Path(folder))


def _remove_cgroup(folder: Path) -> None:
    deadline = time.monotonic() + 30.0
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:  # The last process of it is gone, but the kernel has not settled yet.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def clean(work_dir: Path) -> None:
    """Take everything that a lab's ledger names out of the machine, and remove its folder.

    Of several at work on the same lab, one does it and the others wait until it is done.
    """
    try:
        file = (work_dir / FILE_NAME).open("rb")
    except FileNotFoundError:
        return
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if work_dir.exists():
            _take_out(work_dir, read_records(work_dir))


def memory_folder(work_dir: Path) -> Path:
    """Return the folder in memory (tmpfs) that belongs to a work folder; it goes with that."""
    digest = hashlib.sha256(str(work_dir).encode()).hexdigest()
    return Path("/dev/shm", f"{work_dir.name}-{digest[:8]}")


def _delete_link(name: str) -> None:
    """Remove a link; its other end's namespace, which went before, may take it along meanwhile."""
    link = Path("/sys/class/net", name)
    if link.exists():
        try:
            run_tool("ip", "link", "delete", name)
        except LabError:
            if link.exists():
                raise


def _take_out(work_dir: Path, records: Records) -> None:
    kill_all(records.namespaces, records.cgroups, records.processes)
    remove_shim_sockets(work_dir)
    unmount_below(work_dir)
    for name in records.namespaces:
        if Path(NETNS_FOLDER, name).exists():
            run_tool("ip", "netns", "delete", name)
    for name in reversed(records.links):
        _delete_link(name)
    for rule in records.rules:
        if subprocess.run(["iptables", "-w", "-C", *rule], capture_output=True).returncode == 0:
            run_tool("iptables", "-w", "-D", *rule)
    remove_cgroups(records.cgroups)
    shutil.rmtree(memory_folder(work_dir), ignore_errors=True)
    for path in work_dir.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    shutil.rmtree(work_dir)  # The ledger goes last, so that a clean-up cut short can be repeated.
