"""What a panel of a dashboard is, and how one becomes Grafana's JSON.

Duty: the small language in which deploy.grafana.boards describes dashboards, and its translation by
grafana-foundation-sdk: sizes, units, thresholds, legends, variables, links.
Not here: which panels there are (boards), writing files (build).
Invariant: every panel has a description; a test demands it of the files too.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model

GREEN, YELLOW, RED = "green", "yellow", "red"
TAG = "berth"
_SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
_STAT_HEIGHT, _GRAPH_HEIGHT = 4, 8

Steps = tuple[tuple[float | None, str], ...]
"""Colours from a value on, the first from None (anything less)."""


def bad_above(warning: float, critical: float | None = None) -> Steps:
    """Return steps for a value that should be small."""
    steps: Steps = ((None, GREEN), (warning, YELLOW if critical is not None else RED))
    return steps if critical is None else (*steps, (critical, RED))


def bad_below(least: float) -> Steps:
    """Return steps for a value that should be large."""
    return ((None, RED), (least, GREEN))


NEUTRAL: Steps = ((None, GREEN),)


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression, and the name of each of its series."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `unit` is Grafana's: "s", "short", "bytes", "ops", "percentunit"."""

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    steps: Steps = NEUTRAL
    is_stat: bool = False
    is_stacked: bool = False
    width: int = 8

    def to_builder(self) -> "stat.Panel | timeseries.Panel":
        """Return it in the library's form."""
        return self._stat() if self.is_stat else self._graph()

    def _stat(self) -> stat.Panel:
        values = common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False)
        panel = (
            stat.Panel()
            .color_mode(common_model.BigValueColorMode.BACKGROUND_SOLID)
            .graph_mode(common_model.BigValueGraphMode.AREA)
            .reduce_options(values)
            .height(_STAT_HEIGHT)
        )
        self._dress(panel)
        return panel

    def _graph(self) -> timeseries.Panel:
        legend = (
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(common_model.LegendDisplayMode.LIST)
            .placement(common_model.LegendPlacement.BOTTOM)
        )
        tooltip = common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.MULTI)
        panel = (
            timeseries.Panel()
            .legend(legend)
            .tooltip(tooltip)
            .fill_opacity(30 if self.is_stacked else 8)
            .axis_soft_min(0)
            .height(_GRAPH_HEIGHT)
        )
        if self.is_stacked:
            panel.stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL))
        if len(self.steps) > 1:
            line = common_model.GraphTresholdsStyleMode.DASHED
            panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(line))
        self._dress(panel)
        return panel

    def _dress(self, panel: "stat.Panel | timeseries.Panel") -> None:
        steps = [model.Threshold(value, color) for value, color in self.steps]
        absolute = model.ThresholdsMode.ABSOLUTE
        panel.title(self.title).description(self.description).unit(self.unit).span(self.width)
        panel.datasource(_SOURCE)
        panel.thresholds(dashboard.ThresholdsConfig().mode(absolute).steps(steps))
        for number, query in enumerate(self.queries):
            target = prometheus.Dataquery().expr(query.expression).ref_id(chr(ord("A") + number))
            panel.with_target(target.legend_format(query.legend or "__auto").datasource(_SOURCE))


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of a dashboard: the values of a label; "All" matches its absence too."""

    name: str
    label: str
    query: str
    description: str


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading. Their widths add up to full lines of 24."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard; its file is named after its uid."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = field(default=())

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All panels, in order."""
        return tuple(panel for row in self.rows for panel in row.panels)

    def to_json(self) -> str:
        """Return the file that Grafana reads."""
        links = dashboard.DashboardLink("Berth").type(model.DashboardLinkType.DASHBOARDS)
        board = (
            dashboard.Dashboard(self.title)
            .uid(self.uid)
            .description(self.description)
            .tags([TAG])
            .time("now-1h", "now")
            .refresh("10s")
            .timezone("browser")
            .tooltip(model.DashboardCursorSync.CROSSHAIR)
            .link(links.tags([TAG]).as_dropdown(True).keep_time(True).include_vars(True))
            .with_variable(_datasource())
        )
        for variable in self.variables:
            board.with_variable(_choice(variable))
        for row in self.rows:
            board.with_row(dashboard.Row(row.title))
            for panel in row.panels:
                board.with_panel(panel.to_builder())
        built: Any = board.build()
        for number, made in enumerate(built.panels, start=1):
            made.id_val = number
        return json.dumps(built, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _datasource() -> dashboard.DatasourceVariable:
    return dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")


def _choice(variable: Variable) -> dashboard.QueryVariable:
    everything = model.VariableOption(text="All", value="$__all", selected=True)
    return (
        dashboard.QueryVariable(variable.name)
        .label(variable.label)
        .description(variable.description)
        .query({"query": variable.query, "refId": variable.name})
        .datasource(_SOURCE)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(everything)
    )
