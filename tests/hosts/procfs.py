"""Read from /proc which processes exist and which host of a lab they belong to.

Duty: identify a process for good (PID and start time), and find every process of a host.
Not here: ending them (ledger, host), starting them (processes).
Invariant: a process is called the same only if PID *and* start time agree, so a PID that the
kernel has given to somebody else is never signalled.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_SESSION_FIELD = 3  # Field 6 of /proc/PID/stat, counted after the command's closing bracket.
_START_TIME_FIELD = 19  # Field 22.


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process that cannot be mistaken for a later one with the same PID."""

    pid: int
    started_ticks: int


def _stat_fields(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat after the command, or None if there is no process."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def identify(pid: int) -> ProcessIdentity | None:
    """Return who runs as `pid` now; None for nobody or for a zombie."""
    fields = _stat_fields(pid)
    if fields is None or fields[0] in "ZX":
        return None
    return ProcessIdentity(pid, int(fields[_START_TIME_FIELD]))


def is_running(process: ProcessIdentity) -> bool:
    """Tell whether that very process still runs (a zombie does not)."""
    return identify(process.pid) == process


def namespace_inode(path: str) -> int | None:
    """Return the inode of a namespace file such as /run/netns/NAME; None if there is none."""
    try:
        return os.stat(path).st_ino
    except OSError:
        return None


def _is_in_netns(pid: int, inodes: frozenset[int]) -> bool:
    inode = namespace_inode(f"/proc/{pid}/ns/net")
    return inode is not None and inode in inodes


def _is_in_cgroup(pid: int, names: frozenset[str]) -> bool:
    try:
        lines = (_PROC / str(pid) / "cgroup").read_text().splitlines()
    except OSError:
        return False
    return any(names.intersection(line.split(":", 2)[2].split("/")) for line in lines)


def find_processes(
    netns_inodes: frozenset[int], cgroups: frozenset[str]
) -> frozenset[ProcessIdentity]:
    """Find all that run in one of the network namespaces or below one of the cgroups.

    An Engine, its containerd and its shims are found by the namespace they were started in;
    containers, which have namespaces of their own, by the cgroup that their Engine puts them into.
    """
    found = set()
    for entry in os.listdir(_PROC):
        if not entry.isdigit():
            continue
        pid = int(entry)
        if _is_in_netns(pid, netns_inodes) or _is_in_cgroup(pid, cgroups):
            identity = identify(pid)
            if identity is not None:
                found.add(identity)
    return frozenset(found)


def find_sessions(leaders: Iterable[ProcessIdentity]) -> frozenset[ProcessIdentity]:
    """Find the given session leaders and all that is left of their sessions.

    The kernel does not give a PID away while a session still bears it, so a member is recognised
    by that number unless somebody else, started later, leads under it now.
    """
    by_pid = {leader.pid: leader for leader in leaders}
    found = set()
    for entry in os.listdir(_PROC):
        fields = _stat_fields(int(entry)) if entry.isdigit() else None
        if fields is None or fields[0] in "ZX":
            continue
        session = int(fields[_SESSION_FIELD])
        leader = by_pid.get(session)
        if leader is None or identify(session) not in (None, leader):
            continue
        started_ticks = int(fields[_START_TIME_FIELD])
        if started_ticks >= leader.started_ticks:
            found.add(ProcessIdentity(int(entry), started_ticks))
    return frozenset(found)


def mounts_below(folder: Path) -> list[str]:
    """List the mount points at or below `folder`, deepest first."""
    prefix = str(folder.resolve())
    points = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4].replace("\\040", " ")
        if point == prefix or point.startswith(prefix + "/"):
            points.append(point)
    return sorted(points, reverse=True)
