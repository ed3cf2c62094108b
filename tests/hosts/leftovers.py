"""Name what a lab left in the machine."""

import os
import subprocess
from pathlib import Path

from tests.hosts.ledger import Records
from tests.hosts.procfs import find_processes, find_sessions, mounts_below


def leftovers(folder: Path, records: Records) -> list[str]:
    """Name everything in the machine that a lab's records speak of."""
    left = [f"process {p.pid}" for p in find_sessions(records.processes)]
    left += [f"process {p.pid}" for p in find_processes(frozenset(), frozenset(records.cgroups))]
    left += [f"netns {n}" for n in records.namespaces if Path("/run/netns", n).exists()]
    left += [f"link {n}" for n in records.links if Path("/sys/class/net", n).exists()]
    rules = subprocess.run(["iptables", "-w", "-S"], capture_output=True, text=True).stdout
    left += [f"rule {rule}" for rule in records.rules if f" {rule[2]} " in rules]
    left += cgroups_named(frozenset(records.cgroups))
    left += mounts_below(folder)
    left += [str(folder)] if folder.exists() else []
    return left


def cgroups_named(names: frozenset[str], root: Path = Path("/sys/fs/cgroup")) -> list[str]:
    """Name the cgroups of these names in every hierarchy.

    Other labs' containers come and go while this looks: `os.walk` passes over a folder that has
    gone since it was listed, which `Path.glob` raises.
    """
    return [
        os.path.join(folder, name)
        for folder, below, _ in os.walk(root)
        for name in names.intersection(below)
    ]
