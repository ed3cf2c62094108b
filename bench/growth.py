"""Row 12: the CPU per task as nodes and tasks grow, with a plot.

    python -m bench.growth [--quick] [--core | --clusters] [--agents 1000,2000] [--save FILE]

The core alone at 1,000 to 10,000 nodes: 10,000 to 1,000,000 tasks of 20 services ("core"), and
10,000 and 100,000 services of one ("lone"), in two to four minutes; and a whole cluster with 1,000
to 10,000 agents, which is given 10,000 tasks and then 100,000. Each number of nodes has processes
of its own. The plot is written beside FILE, with what was left out as FILE has it of earlier runs.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.figures import save
from bench.plot import Line, plot_svg

NODES = (1000, 2000, 5000, 10_000)
TASKS = (10_000, 100_000, 1_000_000)
AGENTS = (1000, 2000, 5000, 10_000)
QUICK_NODES, QUICK_TASKS, QUICK_AGENTS = (100, 200), (1000, 2000), (10, 20)
QUICK_CLUSTER_TASKS = (200, 400)
_POINT = re.compile(r"(core|lone|leader)_us_per_task_(\d+)[na]_(\d+)t")


def figures_of(module: str, *flags: str) -> dict[str, float]:
    """Run a benchmark; return its figures."""
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as folder:
        file = Path(folder) / "one.jsonl"
        command = [sys.executable, "-m", module, *flags, f"--save={file}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        figures: dict[str, float] = json.loads(file.read_text())["figures"]
        return figures


def note_growth(found: dict[str, float], name: str, points: Sequence[tuple[int, float]]) -> None:
    """Tell by how much the last is above the first, where these are all that the row asks for."""
    if [size for size, _ in points] in map(list, (NODES, AGENTS, QUICK_NODES, QUICK_AGENTS)):
        found[f"{name}_growth"] = points[-1][1] / points[0][1]


def lines_of(found: Mapping[str, float]) -> list[Line]:
    """Return the lines of the plot: of each kind and number of tasks the CPU by nodes."""
    points: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for name, us in found.items():
        if match := _POINT.fullmatch(name):
            kind, nodes, tasks = match.groups()
            points.setdefault((kind, int(tasks)), []).append((int(nodes), us))
    return [(f"{kind}, {tasks:,} tasks", sorted(line)) for (kind, tasks), line in points.items()]


def measured_before(file: Path) -> dict[str, float]:
    """Return the newest figures of each name that are kept, for what is left out of this run."""
    figures: dict[str, float] = {}
    for text in file.read_text().splitlines() if file.exists() else ():
        line = json.loads(text)
        if line["bench"] == "growth" and not line["args"]["quick"]:
            figures |= line["figures"]
    return figures


def measure_core(
    found: dict[str, float], nodes: Sequence[int], tasks: Sequence[int], *, each: str
) -> None:
    """Measure the core: 20 services that have so many tasks in all, or as many services of one."""
    for total in tasks:
        points = []
        services, replicas = (20, total // 20) if each == "core" else (total, 1)
        for count in nodes:
            flags = (f"--services={services}", f"--replicas={replicas}", f"--nodes={count}")
            figures = figures_of("bench.core", *flags)
            us, times = figures["us_per_task"], figures["times_the_limit"]
            points.append((count, us))
            found[f"{each}_us_per_task_{count}n_{total}t"] = us
            found[f"{each}_times_the_limit_{count}n_{total}t"] = times
            words = f"{count:>7,} nodes {total:>9,} tasks {us:8.2f} us/task"
            print(f"{each}: {words}, {times:.1f} times the limit", flush=True)
        note_growth(found, f"{each}_{total}t", points)


def measure_clusters(found: dict[str, float], agents: Sequence[int], tasks: Sequence[int]) -> None:
    """Measure whole leaders by their number of agents: each is given all the tasks in turn."""
    points: dict[int, list[tuple[int, float]]] = {total: [] for total in tasks}
    replicas = ",".join(str(total // 20) for total in tasks)
    for count in agents:
        flags = ("--steps=dispatch", f"--agents={count}", f"--replicas={replicas}")
        figures = figures_of("bench.cluster", *flags)
        for total in tasks:
            for part in ("leader", "agents", "etcd"):
                us = figures[f"dispatch_{total}_{part}_us_per_task"]
                found[f"{part}_us_per_task_{count}a_{total}t"] = us
            rate = figures[f"dispatch_{total}_tasks_per_s"]
            found[f"tasks_per_s_{count}a_{total}t"] = rate
            us = found[f"leader_us_per_task_{count}a_{total}t"]
            points[total].append((count, us))
            words = f"{count:>6,} agents {total:>9,} tasks, leader {us:8.2f} us/task"
            print(f"cluster: {words}, {rate:,.0f} tasks/s", flush=True)
    for total, line in points.items():
        note_growth(found, f"leader_{total}t", line)


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--core", action="store_true", help="leave the clusters out")
    only.add_argument("--clusters", action="store_true", help="leave the core out")
    parser.add_argument("--agents", type=numbers, help="how many, by commas")
    parser.add_argument("--save", type=Path, help="Append the figures to this file, as JSON.")
    args = parser.parse_args()
    found: dict[str, float] = {}
    quick = args.quick
    if not args.clusters:
        nodes, tasks = (QUICK_NODES, QUICK_TASKS) if quick else (NODES, TASKS)
        measure_core(found, nodes, tasks, each="core")
        measure_core(found, nodes, tasks[:2], each="lone")
        middle = tasks[len(tasks) // 2]
        found["core_growth_10k_by_1k"] = found[f"core_{middle}t_growth"]
    if not args.core:
        agents = args.agents or (QUICK_AGENTS if quick else AGENTS)
        measure_clusters(found, agents, QUICK_CLUSTER_TASKS if quick else TASKS[:2])
    drawn = {} if quick or args.save is None else measured_before(args.save)
    save("growth", vars(args), found, {}, args.save)
    if args.save is not None:
        title = "CPU per task"
        picture = plot_svg(title, "nodes", "microseconds of CPU per task", lines_of(drawn | found))
        args.save.with_name("growth-quick.svg" if quick else "growth.svg").write_text(picture)


if __name__ == "__main__":
    main()
