"""The table at the end: the newest figure of every row beside what it must reach.

`python -m bench.report bench/results/rows.jsonl` prints it, and writes it as JSON beside the file.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Target:
    """One figure of one row: where it is found, and what it must reach."""

    row: int
    what: str
    bench: str
    figure: str
    must: float
    aim: float
    agents: int = 0
    """Or nodes; 0 = whatever the run had."""
    is_upper: bool = False
    """True where less is better."""
    services: int = 0


@dataclass(frozen=True)
class Verdict:
    row: int
    what: str
    figure: float | None
    must: float
    aim: float
    verdict: str


def _up(*parts: Any, **more: Any) -> Target:
    return replace(Target(*parts, **more), is_upper=True)


TARGETS = (
    Target(1, "core, groups of 1,000, tasks/s", "core", "tasks_per_s", 3e5, 1e6, 10_000, services=100),
    Target(2, "core, services of one, tasks/s", "core", "tasks_per_s", 2e4, 6e4, 10_000, services=20_000),
    Target(2, "the same, 100,000 nodes", "core", "tasks_per_s", 8e3, 2e4, 100_000),
    Target(3, "100,000 tasks on 2,000 agents, tasks/s", "cluster", "dispatch_tasks_per_s", 1e4, 3e4, 2000),
    Target(3, "the same per second of CPU of all parts", "cluster", "dispatch_tasks_per_cpu_s", 5e3, 1.5e4, 2000),
    Target(4, "100,000 tasks on 10,000 agents, tasks/s", "cluster", "dispatch_tasks_per_s", 4e3, 1.5e4, 10_000),
    Target(5, "services of one replica, running/s", "cluster", "create_tasks_per_s", 500, 1500),
    _up(6, "idle leader, 2,000 agents, % of a core", "cluster", "idle_leader_cpu_percent", 10, 5, 2000),
    _up(6, "the same, MiB", "cluster", "idle_leader_rss_mib", 250, 250, 2000),
    _up(6, "idle leader, 10,000 agents, % of a core", "cluster", "idle_leader_cpu_percent", 35, 20, 10_000),
    _up(6, "the same, MiB", "cluster", "idle_leader_rss_mib", 700, 700, 10_000),
    _up(7, "take-over beyond the lease's TTL, s", "cluster", "take_over_beyond_ttl_s", 2, 0.7, 2000),
    _up(8, "loss of 1 of 2,000 nodes beyond lost_after, s", "cluster", "loss_killed_beyond_lost_after_s", 1, 0.2, 2000),
    _up(8, "loss of 1 of 10,000 nodes beyond lost_after, s", "cluster", "loss_killed_beyond_lost_after_s", 1, 0.2, 10_000),
    _up(8, "the same, its agent frozen, s", "cluster", "loss_frozen_beyond_lost_after_s", 1, 0.2, 10_000),
    _up(9, "loop's stall p99 during row 3, ms", "cluster", "dispatch_stall_p99_ms", 20, 5, 2000),
    _up(9, "loop's stall p99 during row 4, ms", "cluster", "dispatch_stall_p99_ms", 20, 5, 10_000),
    _up(9, "loop's stall p99 during row 5, ms", "cluster", "create_stall_p99_ms", 20, 5),
    _up(10, "50 replicas on 5 Engines, Berth / docker run", "engines", "start_berth_by_limit", 1.3, 1.1),
    _up(10, "the same, Berth / Swarm at its best", "engines", "start_berth_by_swarm", 1, 1),
    _up(10, "the same, no flags, Berth / Swarm", "engines", "start_berth_by_swarm_default", 1, 1),
    _up(11, "rolling update of 50, Berth / Swarm", "engines", "update_berth_by_swarm", 0.5, 0.33),
    _up(11, "power off, all run, Berth / Swarm, defaults", "engines", "cut_berth_by_swarm", 0.5, 0.33),
    _up(11, "the same, both notice after 3 s", "engines", "cut_tuned_berth_by_swarm", 0.5, 0.33),
    _up(11, "leader killed, next service, Berth / Swarm", "engines", "leader_kill_berth_by_swarm", 0.5, 0.33),
    _up(13, "leader's CPU a waiting CLI, of 50, %", "waiting", "leader_50_cpu_percent_a_cli", 1, 0.5),
    _up(13, "follower's CPU a waiting CLI, of 50, %", "waiting", "follower_50_cpu_percent_a_cli", 1, 0.5),
    _up(12, "the core's CPU per task, 10k / 1k nodes", "growth", "core_growth_10k_by_1k", 2, 1),
    _up(12, "the whole leader's, 10k / 1k agents", "growth", "leader_100000t_growth", 2, 1),
)  # fmt: skip


def newest(lines: list[Mapping[str, Any]], target: Target) -> float | None:
    """Return the target's figure in the newest run that has it."""
    for line in reversed(lines):
        figures, args = line["figures"], line["args"]
        size = figures.get("agents", figures.get("nodes", 0))
        fits = line["bench"] == target.bench and target.agents in (0, size)
        if fits and target.services in (0, args.get("services")) and target.figure in figures:
            return float(figures[target.figure])
    return None


def judge(lines: list[Mapping[str, Any]]) -> list[Verdict]:
    found = []
    for target in TARGETS:
        figure = newest(lines, target)
        if figure is None:
            verdict = "not measured"
        else:
            sign = -1 if target.is_upper else 1
            reaches = [sign * figure >= sign * bound for bound in (target.must, target.aim)]
            verdict = "aim reached" if reaches[1] else "reached" if reaches[0] else "MISSED"
        found.append(Verdict(target.row, target.what, figure, target.must, target.aim, verdict))
    return found


def write_report(file: Path) -> str:
    """Return the table; write the same as JSON to `report.json` beside `file`."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    verdicts = judge(lines)
    machine = lines[-1]["machine"] if lines else {}
    report = {"machine": machine, "rows": [asdict(verdict) for verdict in verdicts]}
    file.with_name(f"{file.stem}-report.json").write_text(json.dumps(report, indent=1) + "\n")
    text = [f"{'row':>3}  {'what':<48}{'figure':>12}{'must':>10}{'aim':>10}  verdict"]
    for it in verdicts:
        figure = "-" if it.figure is None else f"{it.figure:,.2f}"
        text.append(
            f"{it.row:>3}  {it.what:<48}{figure:>12}{it.must:>10,g}{it.aim:>10,g}  {it.verdict}"
        )
    return "\n".join(text)


if __name__ == "__main__":
    print(write_report(Path(sys.argv[1])))
