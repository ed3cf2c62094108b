"""What Portainer sends, written after its own sources (2.x): its server and its pages.

Duty: the requests, with the parameters and the bodies that it really uses.
Not here: what it needs of the answers (tests/e2e/test_portainer.py).

Its server asks through Docker's Go client, versioned. Its pages go through the server's proxy,
which cuts the version off every path and puts credentials into X-Registry-Auth as padded base64.
"""

import base64
import contextlib
import copy
import json
from collections.abc import Iterator
from typing import Any

import docker
import requests

_SERVER_VERSION = "1.51"


class Portainer:
    """A Portainer that has this scheduler as its environment."""

    def __init__(self, docker_host: str) -> None:
        self._http = docker.APIClient(docker_host, timeout=30)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def get(self, path: str, *, is_server: bool = False, **params: object) -> requests.Response:
        """Ask as one of its pages, or as its server."""
        return self._ask("GET", path, is_server=is_server, params=params)

    def json(self, path: str, *, is_server: bool = False, **params: object) -> Any:
        """Return what is answered; it must be JSON and no refusal."""
        answer = self.get(path, is_server=is_server, **params)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        assert answer.headers["content-type"] == "application/json", path
        return answer.json()

    def post(self, path: str, body: object, **params: object) -> requests.Response:
        """Send a change as one of its pages."""
        auth = base64.b64encode(b'{"username":"","password":"","serveraddress":"docker.io"}')
        headers = {"X-Registry-Auth": auth.decode(), "version": "1.29"}
        return self._ask("POST", path, params=params, json=body, headers=headers)

    def delete(self, path: str) -> requests.Response:
        """Remove something."""
        return self._ask("DELETE", path)

    def _ask(
        self, method: str, path: str, *, is_server: bool = False, **options: Any
    ) -> requests.Response:
        prefix = f"/v{_SERVER_VERSION}" if is_server else ""
        return self._http.request(
            method, f"{self._http.base_url}{prefix}{path}", timeout=30, **options
        )


@contextlib.contextmanager
def portainer(docker_host: str) -> Iterator[Portainer]:
    """Yield a Portainer while the `with` block runs."""
    it = Portainer(docker_host)
    try:
        yield it
    finally:
        it.close()


def filters(**wanted: list[str]) -> str:
    """Return the parameter `filters`; "_" of a key stands for "-"."""
    return json.dumps({key.replace("_", "-"): values for key, values in wanted.items()})


def service_form(name: str, image: str, network: str) -> dict[str, Any]:
    """Return what its page "Create service" sends when little was filled in."""
    return {
        "Name": name,
        "TaskTemplate": {
            "ContainerSpec": {
                "Mounts": [], "Image": image, "Env": ["COLOUR=red"], "Labels": {},
                "Configs": [], "Secrets": [],
            },
            "Placement": {"Constraints": [], "Preferences": []},
            "Resources": {"Limits": {"NanoCPUs": 0.5 * 1e9}, "Reservations": {}},
            "RestartPolicy": {
                "Condition": "any", "Delay": 5000000000, "MaxAttempts": 0, "Window": 0,
            },
        },
        "Mode": {"Replicated": {"Replicas": 2}},
        "EndpointSpec": {"Ports": []},
        "Labels": {},
        "Networks": [{"Target": network}],
        "UpdateConfig": {
            "Parallelism": 1, "Delay": 0, "FailureAction": "pause", "Order": "stop-first",
            "Monitor": 1000000000,
        },
    }  # fmt: skip


def network_form(name: str) -> dict[str, Any]:
    """Return what its page "Create network" sends."""
    return {
        "Name": name, "Driver": "overlay", "IPAM": {"Driver": "default", "Config": []},
        "Internal": False, "Attachable": True, "CheckDuplicate": True, "EnableIPv6": False,
        "Labels": {}, "Options": {}, "Scope": "swarm",
    }  # fmt: skip


def service_config(service: dict[str, Any]) -> dict[str, Any]:
    """Return what it sends to update a service that it has read: not all of the spec."""
    spec = copy.deepcopy(service["Spec"])
    return {
        "Name": spec.get("Name", ""),
        "Labels": spec.get("Labels", {}),
        "TaskTemplate": spec.get("TaskTemplate", {}),
        "Mode": spec.get("Mode", {}),
        "UpdateConfig": spec.get("UpdateConfig", {}),
        "Networks": spec.get("Networks", []),
        "EndpointSpec": spec.get("EndpointSpec", {}),
    }
