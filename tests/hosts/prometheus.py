"""Run a Prometheus that scrapes what a test or the demo names, and ask it.

Duty: a server with a folder and an address of its own, static targets, instant queries.
Not here: what is scraped; rules and dashboards (deploy/).
"""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

from tests.hosts.errors import LabError
from tests.hosts.processes import Processes, ProcessHandle
from tests.hosts.registry import free_port

_START_TIMEOUT_S = 30.0


class Prometheus:
    """A Prometheus server of a lab."""

    def __init__(self, ip: str, folder: Path, processes: Processes) -> None:
        self.address = f"{ip}:{free_port(ip)}"
        self._folder = folder
        self._processes = processes
        self._process: ProcessHandle | None = None

    @property
    def url(self) -> str:
        """The base of its HTTP API and its page."""
        return f"http://{self.address}"

    def start(
        self, targets: Mapping[str, Sequence[str]], interval_s: int = 1, rules: Sequence[Path] = ()
    ) -> None:
        """Start it and wait until it answers.

        Args:
            targets: addresses (`host:port`, each with a /metrics) by job name.
            interval_s: seconds between two scrapes, and between two looks at the rules.
            rules: rule files to load.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        config = {
            "global": {
                "scrape_interval": f"{interval_s}s",
                "evaluation_interval": f"{interval_s}s",
            },
            "rule_files": [str(path.resolve()) for path in rules],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": list(addresses)}]}
                for job, addresses in targets.items()
            ],
        }
        config_path = self._folder / "prometheus.json"
        config_path.write_text(json.dumps(config, indent=2))  # JSON is YAML.
        self._process = self._processes.start(
            [
                "prometheus",
                f"--config.file={config_path}",
                f"--storage.tsdb.path={self._folder / 'data'}",
                f"--web.listen-address={self.address}",
            ],
            self._folder / "prometheus.log",
        )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if not self._process.is_running or time.monotonic() > deadline:
                raise LabError(f"Prometheus {self.address} is down; log: {self._process.log()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.stop()

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Evaluate a PromQL expression now; return labels and value of each series.

        Raises:
            LabError: Prometheus refused the expression; the message says why.
        """
        answer = requests.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=10)
        body: Any = answer.json()
        if body["status"] != "success":
            raise LabError(f"{expression}: {body['error']}")
        return [(item["metric"], float(item["value"][1])) for item in body["data"]["result"]]

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/-/ready", timeout=2).status_code == 200
        except requests.RequestException:
            return False
