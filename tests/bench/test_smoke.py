"""Every benchmark runs, small: so that none rots. No figure is judged here but for being one."""

import json
import subprocess
from pathlib import Path

import pytest

from bench.__main__ import BENCHES, Bench
from bench.growth import AGENTS, note_growth
from bench.plot import plot_svg
from bench.report import TARGETS, judge, write_report

TOP = Path(__file__).resolve().parents[2]


def run(bench: Bench, folder: Path) -> dict:
    """Run a benchmark in its quick form; return the line that it kept."""
    file = folder / "quick.jsonl"
    command = [*bench.command(is_quick=True), f"--save={file}"]
    done = subprocess.run(
        command, cwd=TOP, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return json.loads(file.read_text().splitlines()[-1])


def is_left_out(figure: str, args: dict) -> bool:
    """Tell whether a figure belongs to a step that the quick form passes over."""
    prefixes = {"loss_": "loss", "idle_": "idle", "create_": "create", "leader_kill_": "kill"}
    steps = {step for prefix, step in prefixes.items() if figure.startswith(prefix)}
    with_defaults = ("_default", "cut_berth_by_swarm")
    is_of_defaults = figure.endswith(with_defaults) and not args.get("defaults", True)
    return is_of_defaults or not steps <= set(args.get("steps", []))


@pytest.mark.etcd
@pytest.mark.parametrize("bench", BENCHES, ids=lambda bench: f"row {bench.rows} {bench.module}")
def test_a_benchmark_runs_and_keeps_its_figures(bench: Bench, tmp_path: Path) -> None:
    line = run(bench, tmp_path)
    figures = line["figures"]
    assert line["machine"]["cpus"] >= 1
    assert line["machine"]["python"].startswith("3.")
    wanted = {t.figure for t in TARGETS if t.row in bench.rows and t.bench == line["bench"]}
    wanted -= {name for name in wanted if is_left_out(name, line["args"])}
    steps = line["args"].get("steps", [])
    if "loss" not in steps:
        wanted = {name for name in wanted if not name.startswith("loss_")}
    if "idle" not in steps:
        wanted = {name for name in wanted if not name.startswith("idle_")}
    # Here fewer CLIs wait, and fewer tasks are placed.
    wanted = {name for name in wanted if "_50_" not in name and "_100000t_" not in name}
    assert wanted <= figures.keys()
    assert all(figures[name] > 0 for name in wanted if name.endswith(("_per_s", "_rss_mib")))


def test_every_row_is_measured_by_something() -> None:
    assert {row for bench in BENCHES for row in bench.rows} == {*range(1, 14)}
    assert {target.row for target in TARGETS} == {*range(1, 14)}


def test_the_report_says_what_was_missed_and_what_was_not_measured(tmp_path: Path) -> None:
    def line(nodes: int, rate: float) -> dict:
        return {
            "bench": "core",
            "args": {"services": 100},
            "machine": {"cpus": 2},
            "figures": {"nodes": nodes, "tasks_per_s": rate},
        }

    row1 = {rate: judge([line(10_000, rate)])[0].verdict for rate in (2e5, 5e5, 2e6)}
    assert row1 == {2e5: "MISSED", 5e5: "reached", 2e6: "aim reached"}
    assert judge([line(500, 2e6)])[0].verdict == "not measured"
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(line(10_000, 2e5)) + "\n" + json.dumps(line(10_000, 5e5)) + "\n")
    assert "500,000.00" in write_report(file)
    report = json.loads((tmp_path / "rows-report.json").read_text())
    assert report["rows"][0]["verdict"] == "reached"


def test_a_plot_has_a_line_for_each_series() -> None:
    picture = plot_svg("T & t", "x", "y", [("a", [(1, 2.0), (10, 3.0)]), ("b", [(1, 1.0)])])
    assert picture.count("<polyline") == 2
    assert "T &amp; t" in picture


@pytest.mark.parametrize(
    ("agents", "told"),
    [
        pytest.param(AGENTS, {"leader_growth": 4.0}, id="all of the row"),
        pytest.param(AGENTS[:2], {}, id="a part, which is not what the row asks for"),
        pytest.param((), {}, id="none"),
    ],
)
def test_growth_is_told_of_the_whole_row_alone(agents: tuple[int, ...], told: dict) -> None:
    found: dict[str, float] = {}
    points = [(count, 10.0 * 4 ** (number / 3)) for number, count in enumerate(agents)]
    note_growth(found, "leader", points)
    assert found == pytest.approx(told)
