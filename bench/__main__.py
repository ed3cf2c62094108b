"""Run all benchmarks one after the other and keep their figures: `make bench`.

Each line of bench/results/*.jsonl is one run: what was measured, with which arguments, on what
machine, and the figures. Compare figures of one run with each other, not those of two machines.
"""

import argparse
import subprocess
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results"

FULL = (
    ("placement engine", ["-m", "bench.placement"]),
    ("store: commits and load", ["bench/store.py"]),
    (
        "whole scheduler: 500 agents, 100,000 tasks in 20 services, take-over",
        ["-m", "bench.cluster", "--agents=500", "--services=20", "--replicas=5000"],
    ),
    (
        "whole scheduler: 1,000 services of one replica, 16 clients",
        ["-m", "bench.cluster", "--agents=100", "--services=1000", "--replicas=1"],
    ),
)
QUICK = (
    ("placement engine", ["-m", "bench.placement", "--nodes=1000", "--seconds=0.2"]),
    (
        "whole scheduler: 50 agents, 5,000 tasks in 5 services, take-over",
        ["-m", "bench.cluster", "--agents=50", "--services=5", "--replicas=1000", "--idle-s=3"],
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="Small sizes, for a first look.")
    args = parser.parse_args()
    failed = []
    for title, command in QUICK if args.quick else FULL:
        print(f"\n=== {title} ===", flush=True)
        save = [f"--save={RESULTS / 'cluster.jsonl'}"] if "bench.cluster" in command else []
        if subprocess.run([sys.executable, *command, *save], check=False).returncode != 0:
            failed.append(title)
    if failed:
        raise SystemExit(f"failed: {'; '.join(failed)}")


if __name__ == "__main__":
    main()
