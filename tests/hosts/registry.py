"""Run an image registry that every host of a lab can reach.

Duty: Debian's docker-registry with a folder and an address of its own, open or with a password.
Not here: what is in it (images).
Invariant: it keeps its port over stop and start, so that references to it stay true.
"""

import json
import time
from pathlib import Path

import requests

from tests.hosts.errors import LabError
from tests.hosts.ledger import run_tool
from tests.hosts.ports import free_port
from tests.hosts.processes import Processes, ProcessHandle

_START_TIMEOUT_S = 60.0


class Registry:
    """A registry; with `user` and `password`, it asks everybody for them."""

    def __init__(
        self,
        ip: str,
        folder: Path,
        processes: Processes,
        user: str | None = None,
        password: str | None = None,
    ) -> None:
        assert (user is None) == (password is None), "give both user and password, or neither"
        self.address = f"{ip}:{free_port(ip)}"
        self.user = user
        self.password = password
        self._folder = folder
        self._processes = processes
        self._process: ProcessHandle | None = None

    @property
    def url(self) -> str:
        """The base of its HTTP API."""
        return f"http://{self.address}"

    @property
    def auth(self) -> tuple[str, str] | None:
        """User and password as `requests` wants them."""
        if self.user is None or self.password is None:
            return None
        return self.user, self.password

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        config_path = self._folder / "config.json"
        config_path.write_text(json.dumps(self._config(), indent=2))  # JSON is YAML.
        self._process = self._processes.start(
            ["docker-registry", "serve", str(config_path)], self._folder / "registry.log"
        )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if not self._process.is_running or time.monotonic() > deadline:
                raise LabError(f"registry {self.address} is down; its log: {self._process.log()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it; the images stay for the next start."""
        if self._process is not None:
            self._process.stop()

    def _config(self) -> dict[str, object]:
        config: dict[str, object] = {
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {
                "filesystem": {"rootdirectory": str(self._folder / "data")},
                "delete": {"enabled": True},
            },
            "http": {"addr": self.address, "secret": "lab"},
        }
        if self.user is not None and self.password is not None:
            line = run_tool("htpasswd", "-n", "-b", "-B", self.user, self.password)
            path = self._folder / "htpasswd"
            path.write_text(line.strip() + "\n")
            config["auth"] = {"htpasswd": {"realm": "lab", "path": str(path)}}
        return config

    def _answers(self) -> bool:
        try:
            answer = requests.get(f"{self.url}/v2/", auth=self.auth, timeout=2)
        except requests.RequestException:
            return False
        return answer.status_code == 200
