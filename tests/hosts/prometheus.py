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
from tests.hosts.ports import free_port
from tests.hosts.processes import Processes, ProcessHandle

_START_TIMEOUT_S = 60.0


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
        self.start_with(config_path)

    def start_with(self, config_path: Path) -> None:
        """Start it with a configuration of the caller's, and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
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
        found = self._ask("query", expression, {})
        return [(item["metric"], float(item["value"][1])) for item in found]

    def query_range(
        self, expression: str, last_s: float, step_s: int = 1
    ) -> list[tuple[dict[str, str], list[float]]]:
        """Evaluate an expression over the last seconds, as a graph does; NaN is no value.

        Raises:
            LabError: Prometheus refused the expression; the message says why.
        """
        return [
            (labels, [value for _, value in samples])
            for labels, samples in self.samples(expression, last_s, step_s)
        ]

    def samples(
        self, expression: str, last_s: float, step_s: int = 1
    ) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
        """Do as `query_range`, and return (time, value) of each sample.

        Raises:
            LabError: Prometheus refused the expression; the message says why.
        """
        now = time.time()
        span = {"start": f"{now - last_s}", "end": f"{now}", "step": f"{step_s}s"}
        found = self._ask("query_range", expression, span)
        series = [
            (item["metric"], [(at, float(text)) for at, text in item["values"] if text != "NaN"])
            for item in found
        ]
        return [(labels, samples) for labels, samples in series if samples]

    def alerts(self) -> list[dict[str, Any]]:
        """Return all alerts that are pending or firing, with their annotations."""
        answer = requests.get(f"{self.url}/api/v1/alerts", timeout=10)
        found: list[dict[str, Any]] = answer.json()["data"]["alerts"]
        return found

    def _ask(self, kind: str, expression: str, span: Mapping[str, str]) -> list[dict[str, Any]]:
        parameters = {"query": expression, **span}
        answer = requests.get(f"{self.url}/api/v1/{kind}", params=parameters, timeout=30)
        body: Any = answer.json()
        if body["status"] != "success":
            raise LabError(f"{expression}: {body['error']}")
        result: list[dict[str, Any]] = body["data"]["result"]
        return result

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/-/ready", timeout=2).status_code == 200
        except requests.RequestException:
            return False
