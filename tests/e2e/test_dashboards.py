"""Every panel of every dashboard returns data while services roll out and a node dies."""

import json
import os
import re
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest

from tests.cluster import NotYetError, TestCluster
from tests.e2e.asking import QUICK_RESTART, QUICK_UPDATE, create
from tests.e2e.panel_data import write_panel_data
from tests.e2e.watching import CLUSTER, watched
from tests.hosts import ImageFactory, LabError, Prometheus

pytestmark = pytest.mark.e2e

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"
VARIABLES = {
    "$__rate_interval": "20s",
    '"$cluster"': f'"{CLUSTER}"',
    '"$node"': '".*"',
    '"$service"': '"web|loop"',
}


def one_of_each(cluster: TestCluster) -> dict[str, str]:
    """Return the variables with a single node, the one that will die, and a single service."""
    victim = cluster.agents[-1].http_address
    return {**VARIABLES, '"$node"': f'"{victim}"', '"$service"': '"web"'}


def choices() -> dict[str, str]:
    """Return the query by which each variable offers its values: name -> label_values(...)."""
    found = {}
    for path in sorted(FOLDER.glob("*.json")):
        for variable in json.loads(path.read_text("utf-8"))["templating"]["list"]:
            if variable["type"] == "query":
                found[variable["name"]] = variable["query"]["query"]
    return found


def offered(prometheus: Prometheus, query: str) -> set[str]:
    """Return the values that Grafana offers for a variable."""
    match = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
    assert match is not None, query
    series = prometheus.query(match[1].replace('"$cluster"', f'"{CLUSTER}"'))
    return {labels[match[2]] for labels, _ in series}


def queries(variables: Mapping[str, str] = VARIABLES) -> list[tuple[str, str]]:
    """Return (panel, expression) of all dashboards, with the variables chosen as a user would."""
    found = []
    for path in sorted(FOLDER.glob("*.json")):
        for panel in json.loads(path.read_text("utf-8"))["panels"]:
            for target in panel.get("targets", ()):
                expression = target["expr"]
                for name, value in variables.items():
                    expression = expression.replace(name, value)
                assert "$" not in expression, expression
                found.append((f"{path.stem}: {panel['title']} {target['refId']}", expression))
    return found


def hurt(cluster: TestCluster, images: ImageFactory) -> None:
    """Roll a service out, let another crash, and lose a node."""
    create(cluster, "web", images.web("1.0"), *QUICK_UPDATE, "--container-label=prometheus.port=80",
           replicas=3)  # fmt: skip
    create(cluster, "loop", images.crasher("1.0"), *QUICK_RESTART)
    cluster.wait_running("web", 3)
    cluster.berth("service", "update", "--detach", f"--image={images.web('1.1')}", "web")
    cluster.wait_update("web", "completed")
    cluster.power_off(cluster.agents[-1].name)
    cluster.wait_node(cluster.agents[-1].name, "down")
    cluster.wait_running("web", 3)


def test_every_panel_returns_data(
    cluster: TestCluster, images: ImageFactory, tmp_path: Path
) -> None:
    began = time.monotonic()
    with watched(cluster, tmp_path / "prometheus") as prometheus:
        # A rate shows nothing of what was over before the first scrape, which discovery and a busy
        # machine may hold up until the node that is to die has pulled its last image.
        cluster.wait_until("all agents are scraped", lambda: scraped(cluster, prometheus))
        hurt(cluster, images)
        for chosen in (VARIABLES, one_of_each(cluster)):
            asked = queries(chosen)
            assert len(asked) > 70
            cluster.wait_until(
                "every panel shows data", partial(shows, prometheus, asked, began), every_s=1
            )
        values = {name: offered(prometheus, query) for name, query in choices().items()}
        assert values["cluster"] == {CLUSTER}
        assert cluster.agents[0].http_address in values["node"]
        assert "web" in values["service"]
        cluster.wait_until(
            "the lost node is counted", lambda: counted_lost(prometheus, began) >= 1, every_s=1
        )
        if "BERTH_PANEL_DATA" in os.environ:  # make pictures
            live_on(cluster, images)
            target = Path(os.environ["BERTH_PANEL_DATA"])
            seconds = time.monotonic() - began
            write_panel_data(prometheus, FOLDER, VARIABLES, seconds, target)
        # A dead Engine's containers stay in sight until it answers again: maybe more than three.
        found = dict.fromkeys(("service", "node", "slot", "cluster"))
        for labels, _ in prometheus.query('up{job="berth-workload", service="web"} == 1'):
            assert found.keys() <= labels.keys()


def live_on(cluster: TestCluster, images: ImageFactory) -> None:
    """Give the pictures something to show: changes of size and more rollouts, for a minute."""
    cluster.power_on(cluster.agents[-1].name)
    cluster.wait_node(cluster.agents[-1].name, "ready")
    for version, replicas in (("1.2", 8), ("1.3", 6), ("1.4", 9)):
        cluster.berth("service", "scale", "--detach", f"web={replicas}")
        cluster.wait_running("web", replicas)
        time.sleep(5)
        cluster.berth("service", "update", "--detach", f"--image={images.web(version)}", "web")
        cluster.wait_update("web", "completed")
        time.sleep(5)


def scraped(cluster: TestCluster, prometheus: Prometheus) -> bool:
    """Tell whether Prometheus has looked at every agent's pulls."""
    found = {labels["instance"] for labels, _ in prometheus.query("berth_agent_pull_seconds_count")}
    return found >= {agent.http_address for agent in cluster.agents}


def counted_lost(prometheus: Prometheus, began: float) -> float:
    """How many losses of nodes were scraped so far; a scrape may lag the loss by its interval."""
    found = prometheus.query_range("sum(berth_nodes_lost_total)", time.monotonic() - began)
    return max(found[0][1]) if found else 0.0


def shows(prometheus: Prometheus, asked: list[tuple[str, str]], began: float) -> bool:
    """Tell whether all queries return numbers; raise with those that do not."""
    last_s = time.monotonic() - began
    empty, wrong = [], []
    for panel, expression in asked:
        try:
            if not prometheus.query_range(expression, last_s):
                empty.append(f"{panel}: {expression}")
        except LabError as error:
            wrong.append(f"{panel}: {error}")
    assert not wrong, "\n".join(wrong)
    if empty:
        raise NotYetError("no data for\n" + "\n".join(empty))
    return True
