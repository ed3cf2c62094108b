"""A Prometheus with the very files of deploy/prometheus, watching a test's cluster.

Duty: put the cluster's addresses and Engines into prometheus-docker.yml, and shorten its waits.
Not here: what must be seen (test_dashboards, test_alerts).
Invariant: expressions stay as they are, but for the one window in which a rollout must be idle;
only `for:` and the intervals are shortened.
"""

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.cluster import TestCluster
from tests.hosts import Prometheus

DEPLOY = Path(__file__).parents[2] / "deploy" / "prometheus"
CLUSTER = "main"  # As prometheus-docker.yml calls it.
IDLE_ROLLOUT_S = 12


@contextlib.contextmanager
def watched(cluster: TestCluster, folder: Path) -> Iterator[Prometheus]:
    """Run Prometheus beside the cluster as long as the `with` block."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_rules(folder / "rules")
    _write_targets(cluster, folder / "targets")
    config = folder / "prometheus.yml"
    config.write_text(_config(cluster), "utf-8")
    server = Prometheus(cluster.lab.network.address, folder, cluster.lab.processes)
    server.start_with(config)
    try:
        yield server
    finally:
        server.stop()


def _config(cluster: TestCluster) -> str:
    text = (DEPLOY / "prometheus-docker.yml").read_text("utf-8")
    text = text.replace("interval: 15s", "interval: 1s")
    found = re.search(r"^      - host: unix:///\S+\n(?:        .*\n)+", text, re.MULTILINE)
    assert found is not None, "prometheus-docker.yml names no Engine"
    engines = [
        re.sub(r"host: \S+", f"host: {agent.host.engine.url}", found[0]) for agent in cluster.agents
    ]
    return text.replace(found[0], "".join(engines))


def _write_rules(folder: Path) -> None:
    folder.mkdir()
    shutil.copy(DEPLOY / "rules" / "berth-recording.yml", folder)
    text = (DEPLOY / "rules" / "berth-alerts.yml").read_text("utf-8")
    text = re.sub(r"^( +for:) .*$", r"\1 2s", text, flags=re.MULTILINE)
    idle = "berth_placements_total[15m])) == 0"
    assert idle in text
    text = text.replace(idle, f"berth_placements_total[{IDLE_ROLLOUT_S}s])) == 0")
    (folder / "berth-alerts.yml").write_text(text, "utf-8")


def _write_targets(cluster: TestCluster, folder: Path) -> None:
    folder.mkdir()
    jobs = {
        "berth-scheduler": [each.http_address for each in cluster.schedulers],
        "berth-agent": [each.http_address for each in cluster.agents],
        "etcd": [member.url.removeprefix("http://") for member in cluster.etcds],
    }
    groups = [
        {"targets": addresses, "labels": {"job": job, "cluster": CLUSTER}}
        for job, addresses in jobs.items()
    ]
    (folder / "berth.json").write_text(json.dumps(groups), "utf-8")
