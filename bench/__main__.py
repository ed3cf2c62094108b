"""Run the benchmarks one after the other, keep their figures, show them in a table: `make bench`.

    python -m bench [--row N] [--quick] [--list]

Each line of bench/results/*.jsonl is one run: what was measured, with which arguments, on what
machine, the figures and the raw samples. Compare figures of one run with each other, not those of
two machines. docs/performance.md says what the rows are.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.report import write_report

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Bench:
    """One command; `rows` of docs/performance.md are what it measures."""

    rows: tuple[int, ...]
    title: str
    module: str
    flags: str
    quick: str
    """The same in a few seconds."""

    def command(self, *, is_quick: bool) -> list[str]:
        flags = self.quick if is_quick else self.flags
        return [sys.executable, "-m", self.module, *flags.split()]


BENCHES = (
    Bench(
        (1,), "the core: groups of 1,000 on 10,000 nodes", "bench.core",
        "--nodes 10000 --services 100 --replicas 1000", "--nodes 300 --services 5 --replicas 100",
    ),
    Bench(
        (2,), "the core: services of one task on 10,000 nodes", "bench.core",
        "--nodes 10000 --services 20000 --replicas 1", "--nodes 300 --services 100 --replicas 1",
    ),
    Bench(
        (2,), "the core: services of one task on 100,000 nodes", "bench.core",
        "--nodes 100000 --services 10000 --replicas 1", "--nodes 600 --services 100 --replicas 1",
    ),
    Bench(
        (3, 6, 8, 9), "a cluster of 2,000 agents: idle, 100,000 tasks, loss of a node",
        "bench.cluster", "--agents 2000 --steps idle,dispatch,loss --limit",
        "--agents 20 --steps idle,dispatch,loss --limit --services 4 --replicas 100 --idle-s 2",
    ),
    Bench(
        (4, 6, 8, 9), "a cluster of 10,000 agents: idle, 100,000 tasks, loss of a node",
        "bench.cluster", "--agents 10000 --steps idle,dispatch,loss --limit",
        "--agents 40 --steps idle,dispatch --limit --services 4 --replicas 100 --idle-s 2",
    ),
    Bench(
        (5,), "1,000 services of one replica, 16 clients", "bench.cluster",
        "--agents 100 --steps create --singles 1000", "--agents 10 --steps create --singles 50",
    ),
    Bench(
        (7,), "take-over after kill -9 with 100,000 tasks and 2,000 agents", "bench.cluster",
        "--agents 2000 --steps dispatch,take-over",
        "--agents 20 --steps dispatch,take-over --services 4 --replicas 100",
    ),
    Bench(
        (10,), "50 replicas on five real Engines, beside bare commands and Docker Swarm",
        "bench.engines", "--steps start --rounds 4",
        "--steps start --hosts 2 --replicas 4 --rounds 1 --no-defaults",
    ),
    Bench(
        (11,), "update, loss of a machine, loss of the leader on five real Engines, beside Swarm",
        "bench.engines", "--steps update,kill,cut --rounds 3",
        "--steps update,cut --hosts 3 --replicas 6 --rounds 1 --losses 1 --no-defaults",
    ),
    Bench(
        (13,), "docker CLIs that wait, on the leader and on a follower", "bench.waiting", "",
        "--clis 1,5 --agents 5 --replicas 2 --seconds 2 --rest-s 1",
    ),
    Bench((12,), "growth with nodes and tasks", "bench.growth", "", "--quick"),
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--row", type=int, help="only what measures this row")
    parser.add_argument("--quick", action="store_true", help="small sizes, for a first look")
    parser.add_argument("--list", action="store_true", help="show the commands and end")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where figures are kept")
    args = parser.parse_args()
    chosen = [it for it in BENCHES if args.row is None or args.row in it.rows]
    if not chosen:
        parser.error(f"nothing here measures row {args.row}; see --list")
    args.results.mkdir(parents=True, exist_ok=True)
    file = args.results / ("quick.jsonl" if args.quick else "rows.jsonl")
    failed = []
    for bench in chosen:
        command = bench.command(is_quick=args.quick)
        rows = ", ".join(map(str, bench.rows))
        print(f"\n=== row {rows}: {bench.title}\n{' '.join(command)}", flush=True)
        if args.list:
            continue
        if subprocess.run([*command, f"--save={file}"], check=False).returncode != 0:
            failed.append(bench.title)
    if not args.list and file.exists():
        print(f"\n{write_report(file)}")
    if failed:
        print(f"failed: {'; '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
