"""Row 12: the CPU per task as nodes and tasks grow, with a plot.

    python -m bench.growth [--quick] [--core] [--save FILE]

The core alone at 1,000 to 10,000 nodes and 10,000 to 1,000,000 tasks (two to four minutes), and a
whole cluster with 1,000 to 5,000 agents (not with --core), each in processes of its own. The plot
is written beside FILE.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.figures import save
from bench.plot import Line, plot_svg

NODES = (1000, 2000, 5000, 10_000)
TASKS = (10_000, 100_000, 1_000_000)
AGENTS = (1000, 2000, 5000)
QUICK_NODES, QUICK_TASKS, QUICK_AGENTS = (100, 200), (1000, 2000), (10, 20)


def figures_of(module: str, *flags: str) -> dict[str, float]:
    """Run a benchmark; return its figures."""
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as folder:
        file = Path(folder) / "one.jsonl"
        command = [sys.executable, "-m", module, *flags, f"--save={file}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        figures: dict[str, float] = json.loads(file.read_text())["figures"]
        return figures


def measure_clusters(found: dict[str, float], *, is_quick: bool) -> list[tuple[float, float]]:
    """Return the whole leader's CPU per task by its number of agents; note it in `found`."""
    leader: list[tuple[float, float]] = []
    for agents in QUICK_AGENTS if is_quick else AGENTS:
        share = 20 if is_quick else 2500
        flags = ("--steps=dispatch", f"--agents={agents}", f"--replicas={share}")
        figures = figures_of("bench.cluster", *flags)
        us = figures["dispatch_leader_us_per_task"]
        leader.append((agents, us))
        found[f"leader_us_per_task_{agents}a"] = us
        found[f"agents_us_per_task_{agents}a"] = figures["dispatch_agents_us_per_task"]
        print(f"cluster: {agents:>6,} agents, leader {us:8.2f} us/task", flush=True)
    return leader


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--core", action="store_true", help="leave the clusters out")
    parser.add_argument("--save", type=Path, help="Append the figures to this file, as JSON.")
    args = parser.parse_args()
    nodes, tasks = (QUICK_NODES, QUICK_TASKS) if args.quick else (NODES, TASKS)
    found: dict[str, float] = {}
    lines: list[Line] = []
    for total in tasks:
        points = []
        for count in nodes:
            replicas = total // 20
            flags = ("--services=20", f"--replicas={replicas}", f"--nodes={count}")
            figures = figures_of("bench.core", *flags)
            us = figures["us_per_task"]
            points.append((count, us))
            found[f"core_us_per_task_{count}n_{total}t"] = us
            found[f"core_times_the_limit_{count}n_{total}t"] = figures["times_the_limit"]
            print(
                f"core: {count:>7,} nodes {total:>9,} tasks {us:8.2f} us/task,"
                f" {figures['times_the_limit']:.1f} times the limit",
                flush=True,
            )
        lines.append((f"core, {total:,} tasks", points))
    middle = tasks[len(tasks) // 2]
    by_nodes = [found[f"core_us_per_task_{count}n_{middle}t"] for count in nodes]
    found["core_growth_10k_by_1k"] = by_nodes[-1] / by_nodes[0]
    if not args.core:
        lines.append(("whole leader", measure_clusters(found, is_quick=args.quick)))
    save("growth", vars(args), found, {}, args.save)
    if args.save is not None:
        title = "The leader's CPU per task"
        picture = plot_svg(title, "nodes", "microseconds of CPU per task", lines)
        args.save.with_name("growth-quick.svg" if args.quick else "growth.svg").write_text(picture)


if __name__ == "__main__":
    main()
