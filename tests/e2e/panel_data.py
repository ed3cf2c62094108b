"""Write down what the panels of the dashboards show, so that somebody may draw it.

Duty: ask the live Prometheus each panel's queries over the same time, and write boards, panels,
their places and their series to a file.
Not here: drawing (deploy/dev/draw_panels.py), whether there is data at all (test_dashboards).
"""

import json
from pathlib import Path
from typing import Any

from tests.hosts import Prometheus


def write_panel_data(
    prometheus: Prometheus,
    dashboards: Path,
    variables: dict[str, str],
    last_s: float,
    target: Path,
) -> None:
    """Write the answers to all queries.

    Args:
        prometheus: that watches the cluster.
        dashboards: folder of the generated boards.
        variables: what stands for each variable in the queries.
        last_s: over how many seconds back from now.
        target: the file, JSON.
    """
    boards = []
    for path in sorted(dashboards.glob("*.json")):
        board = json.loads(path.read_text("utf-8"))
        panels = [
            _panel(prometheus, panel, variables, last_s)
            for panel in board["panels"]
            if panel["type"] != "row"
        ]
        boards.append({"name": path.stem, "title": board["title"], "panels": panels})
    target.write_text(json.dumps(boards), "utf-8")


def _panel(
    prometheus: Prometheus, panel: dict[str, Any], variables: dict[str, str], last_s: float
) -> dict[str, Any]:
    series = []
    for target in panel["targets"]:
        expression = target["expr"]
        for name, value in variables.items():
            expression = expression.replace(name, value)
        for labels, samples in prometheus.samples(expression, last_s):
            legend = target.get("legendFormat", "")
            for key, text in labels.items():
                legend = legend.replace("{{" + key + "}}", text)
            series.append({"legend": legend, "samples": samples})
    return {
        "title": panel["title"],
        "kind": panel["type"],
        "place": panel["gridPos"],
        "unit": panel["fieldConfig"]["defaults"].get("unit", "short"),
        "series": series,
    }
