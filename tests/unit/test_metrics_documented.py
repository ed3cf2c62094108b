"""docs/metrics.md lists exactly the metrics that the programs have, with their types and labels."""

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from berth.clock import SystemClock
from berth.reload import ReloadMetrics
from gateway.metrics import GatewayMetrics
from nodeagent.metrics import AgentMetrics
from scheduler.metrics import SchedulerMetrics
from scheduler.store.port import StoreHealth, StoreState

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
ROW = re.compile(
    r"^\| `(?P<name>[a-z_]+)` \| (?P<type>[a-z]+) \| (?P<labels>[^|]*)\| (?P<unit>[^|]*)\|"
)
UNITS = {"_seconds": "seconds", "_bytes": "bytes", "_bytes_total": "bytes"}


class Nobody:
    local = None


def scheduler_registry():
    registry = CollectorRegistry()
    metrics = SchedulerMetrics(registry)
    health = StoreHealth(StoreState.OK, SystemClock().timestamp())
    metrics.watch(Nobody(), lambda: health)
    ReloadMetrics(registry, SystemClock())
    return registry


def docker_registry():
    registry = CollectorRegistry()
    GatewayMetrics(registry)
    return registry


def agent_registry():
    registry = CollectorRegistry()
    AgentMetrics(registry)
    ReloadMetrics(registry, SystemClock())
    return registry


def metrics_in_code(registry):
    """Return name -> (type, labels), as a scrape shows them."""
    found = {}
    for collector in set(registry._names_to_collectors.values()):
        labels = getattr(collector, "_labelnames", ())
        is_wrapper = isinstance(collector, MetricWrapperBase)
        for family in collector.collect() if is_wrapper else collector.describe():
            if not is_wrapper:
                labels = tuple(sorted({key for sample in family.samples for key in sample.labels}))
            name, kind = family.name, family.type
            if kind == "counter":
                name += "_total"
            if kind == "info":
                name, kind = f"{name}_info", "gauge"
                (sample,) = family.samples
                labels = tuple(sample.labels)
            found[name] = (kind, tuple(sorted(labels)))
    return found


def metrics_on_page(section):
    text = PAGE.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    rows = [match for line in text.splitlines() if (match := ROW.match(line))]
    found = {
        row["name"]: (row["type"], tuple(sorted(re.findall(r"`([a-z_]+)`", row["labels"]))))
        for row in rows
    }
    assert len(found) == len(rows), "a metric is listed twice"
    return found, {row["name"]: row["unit"].strip() for row in rows}


@pytest.mark.parametrize(
    ("section", "make_registry"),
    [
        pytest.param("Scheduler", scheduler_registry, id="scheduler"),
        pytest.param("Docker API", docker_registry, id="docker"),
        pytest.param("Agent", agent_registry, id="agent"),
    ],
)
def test_page_and_code_agree(section, make_registry):
    on_page, units = metrics_on_page(section)
    in_code = metrics_in_code(make_registry())
    assert on_page == in_code
    for name, unit in units.items():
        ending = next((word for end, word in UNITS.items() if name.endswith(end)), "")
        assert unit == ending, f"{name}: its unit is said to be {unit!r}"


def test_every_name_has_the_prefix_that_dashboards_expect():
    registries = (scheduler_registry(), docker_registry(), agent_registry())
    names = {name for registry in registries for name in metrics_in_code(registry)}
    assert all(name.startswith(("berth_", "swarm_manager_")) for name in names)
