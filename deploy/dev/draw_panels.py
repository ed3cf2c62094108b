"""Draw what the dashboards' panels showed in a test run: one picture per dashboard.

    make pictures

Duty: from the file that tests/e2e/panel_data.py wrote to PNG files in docs/pictures.
Not here: asking Prometheus. matplotlib has an environment of its own: nothing of Berth needs it.
"""

import io
import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from pictured import FILE_NAME, listing
from PIL import Image

DASHBOARDS = Path(__file__).parents[1] / "grafana" / "dashboards"
_COLUMNS = 24
_WIDTH_IN = 11.0
_ROW_IN = 0.26
_DPI = 115
_COLOURS = 24
_LINES_MAX = 4
_UNITS = {"s": "s", "ops": "1/s", "Bps": "B/s", "d": "days", "percentunit": "%"}


def main(data: Path, folder: Path) -> None:
    """Draw every dashboard of `data` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for board in json.loads(data.read_text("utf-8")):
        _draw(board, folder / f"{board['name']}.png")
    text = listing(DASHBOARDS.glob("*.json"))
    (folder / FILE_NAME).write_text(text, "utf-8")


def _draw(board: dict[str, Any], target: Path) -> None:
    panels = _without_gaps(board["panels"])
    rows = max(place["y"] + place["h"] for place, _ in panels) + 2
    figure = plt.figure(figsize=(_WIDTH_IN, rows * _ROW_IN))
    figure.suptitle(board["title"], x=0.02, y=1 - 0.6 / rows, ha="left", fontsize=13, weight="bold")
    for place, panel in panels:
        left, width = place["x"] / _COLUMNS, place["w"] / _COLUMNS
        top, height = (place["y"] + 2) / rows, place["h"] / rows
        inner = (left + 0.035, 1 - top - height + 1.3 / rows, width - 0.045, height - 2.6 / rows)
        axes = figure.add_axes(inner)
        axes.set_title(panel["title"], loc="left", fontsize=8)
        if panel["kind"] == "stat":
            _stat(axes, panel)
        else:
            _graph(axes, panel)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=_DPI)
    plt.close(figure)
    # Few colours make small files: all pictures together stay below 300 KB.
    Image.open(drawn).convert("RGB").quantize(_COLOURS).save(target, optimize=True)


def _without_gaps(panels: list[dict[str, Any]]) -> list[tuple[dict[str, int], dict[str, Any]]]:
    """Return the panels with their places, moved up where rows of headings were left out."""
    moved = {}
    free = 0
    for top in sorted({panel["place"]["y"] for panel in panels}):
        moved[top] = free
        free += max(panel["place"]["h"] for panel in panels if panel["place"]["y"] == top)
    return [({**panel["place"], "y": moved[panel["place"]["y"]]}, panel) for panel in panels]


def _stat(axes: Axes, panel: dict[str, Any]) -> None:
    axes.axis("off")
    last = panel["series"][0]["samples"][-1][1] if panel["series"] else 0.0
    factor = 100 if panel["unit"] == "percentunit" else 1
    text = f"{last * factor:.4g} {_UNITS.get(panel['unit'], '')}".strip()
    axes.text(0.02, 0.4, text, fontsize=17, va="center", color="#1f6f43")


def _graph(axes: Axes, panel: dict[str, Any]) -> None:
    factor = 100 if panel["unit"] == "percentunit" else 1
    ends = [samples[-1][0] for one in panel["series"] if (samples := one["samples"])]
    # Of many lines those that were never off zero tell nothing, and hide the others.
    told = [one for one in panel["series"] if any(value for _, value in one["samples"])]
    for one in told if len(panel["series"]) > _LINES_MAX else panel["series"]:
        times = [at - max(ends) for at, _ in one["samples"]]
        values = [value * factor for _, value in one["samples"]]
        axes.plot(times, values, linewidth=1.1, label=one["legend"])
    axes.tick_params(labelsize=6, length=2)
    axes.grid(visible=True, linewidth=0.3)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.set_ylabel(_UNITS.get(panel["unit"], ""), fontsize=6)
    if axes.get_lines():
        axes.legend(fontsize=5.5, loc="upper left", ncols=2, framealpha=0.6)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
