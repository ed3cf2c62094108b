"""How a benchmark tells its figures: a table for people, a line of JSON for the record.

A line holds what was measured, with which arguments, when, on what machine with which versions, the
figures, and the raw samples that they come from.
"""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("grpcio", "protobuf", "numpy", "berth")


@cache
def machine() -> dict[str, Any]:
    """Return what the figures depend on besides the code: hardware, kernel, versions."""
    cpu = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    memory_kib = Path("/proc/meminfo").read_text().split()[1]
    return {
        "cpu": cpu,
        "cpus": os.cpu_count(),
        "memory_gib": round(int(memory_kib) / 2**20, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "etcd": _first_line(["etcd", "--version"]),
        "commit": _first_line(["git", "rev-parse", "--short", "HEAD"]),
        **{name: _version(name) for name in PACKAGES},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _first_line(command: list[str]) -> str:
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return found.stdout.splitlines()[0] if found.stdout else ""


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the smallest sample that `share` of all do not exceed; 0 without samples."""
    ordered = sorted(samples)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


def save(
    bench: str,
    args: Mapping[str, Any],
    figures: Mapping[str, float],
    samples: Mapping[str, Sequence[float]],
    file: Path | None,
) -> None:
    """Print the figures; append them to `file` as one line of JSON."""
    for name, value in figures.items():
        print(f"{name:32} {value:14,.2f}", flush=True)
    if file is None:
        return
    line = {
        "bench": bench,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "args": {name: value for name, value in args.items() if not isinstance(value, Path)},
        "machine": machine() | {"load_1min": os.getloadavg()[0]},
        "figures": {name: round(value, 4) for name, value in figures.items()},
        "samples": {name: [round(v, 5) for v in values] for name, values in samples.items()},
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as out:
        out.write(json.dumps(line) + "\n")
