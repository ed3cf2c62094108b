"""The Docker API on a real leader, in process: gateway, control, decisions, and a model of etcd.

Duty: send any request and see its answer; tell what the cluster holds; bring it back to its start.
Not here: what is sent (broken_requests), what must hold of answers (test_docker_requests).
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from berth.answer_memory import AnswerMemory
from berth.client import ControlClient
from berth.clock import SystemClock
from gateway.app import docker_app
from gateway.config import GatewaySettings
from gateway.connect import open_gateway
from gateway.doors import local_door
from scheduler.control.in_process import OwnCalls
from tests.unit.gateway.asking import Answer
from tests.unit.scheduler.control.harness import leading, serving

DIGEST = "sha256:" + "b" * 64
IMAGE = f"app:1@{DIGEST}"
WEB: dict[str, Any] = {
    "Name": "web",
    "TaskTemplate": {"ContainerSpec": {"Image": IMAGE}},
    "Mode": {"Replicated": {"Replicas": 1}},
}
SEED = (
    ("/networks/create", {"Name": "lan", "Driver": "overlay"}),
    ("/configs/create", {"Name": "conf", "Data": "eA=="}),
    ("/secrets/create", {"Name": "pw", "Data": "eA=="}),
    ("/services/create", WEB),
)
"""What the cluster holds at the start, beside a node called n1."""
_LISTS = ("services", "networks", "configs", "secrets", "nodes")


class DockerDoor:
    """Sends requests to one scheduler, which leads."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        query: bytes = b"",
        headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", b"application/json"),),
    ) -> Answer:
        """Send one request; hang up as soon as the answer has begun, for it may be endless."""
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1", "method": method, "scheme": "http", "path": path,
            "raw_path": b"", "query_string": query, "root_path": "", "headers": list(headers),
            "client": None, "server": None,
        }  # fmt: skip
        messages: list[Any] = []
        has_begun = asyncio.Event()
        to_send = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, object]:
            if to_send:
                return to_send.pop()
            await has_begun.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            messages.append(message)
            if message["type"] == "http.response.body":
                has_begun.set()

        await self._app(scope, receive, send)
        head = messages[0]
        return Answer(
            head["status"],
            {key.decode().lower(): value.decode() for key, value in head["headers"]},
            b"".join(message.get("body", b"") for message in messages[1:]),
        )

    async def contents(self) -> dict[str, Any]:
        """Return what users have given the cluster, with the versions that changes raise."""
        found = {}
        for kind in _LISTS:
            listed = (await self.ask("GET", f"/{kind}")).json
            found[kind] = sorted(
                (
                    {key: each.get(key) for key in ("ID", "Id", "Name", "Spec", "Labels")}
                    | {"Version": each.get("Version")}
                    for each in listed
                ),
                key=str,
            )
        return found

    async def version_of(self, path: str) -> int:
        """Return the version of an object that an update must name."""
        found = await self.ask("GET", path)
        assert found.status == 200, found.body
        version: int = found.json["Version"]["Index"]
        return version

    async def start_anew(self) -> None:
        """Remove all that there is, and put in what there was at the start."""
        for kind in ("services", "networks", "configs", "secrets"):
            for each in (await self.ask("GET", f"/{kind}")).json:
                await self.ask("DELETE", f"/{kind}/{each.get('ID', each.get('Id'))}")
        for path, body in SEED:
            made = await self.ask("POST", path, json.dumps(body).encode())
            assert made.status == 201, made.body


@asynccontextmanager
async def docker_door() -> AsyncIterator[DockerDoor]:
    """Yield a door to a cluster that holds what `SEED` says and one node."""
    async with AsyncExitStack() as stack:
        stack.enter_context(capture_logs())
        led = await stack.enter_async_context(leading(SystemClock()))
        scheduler = await stack.enter_async_context(serving("s1"))
        scheduler.leads(led)
        scheduler.knows(scheduler)
        led.join("n1")
        calls = OwnCalls(scheduler.forwarder, scheduler.service)
        client = ControlClient.over(calls, SystemClock(), AnswerMemory())
        gateway = open_gateway(
            GatewaySettings("s1", "1.2.3"), client, CollectorRegistry(), SystemClock()
        )
        events = asyncio.ensure_future(gateway.events.run())
        stack.callback(events.cancel)
        door = DockerDoor(local_door(docker_app(gateway)))
        await door.start_anew()
        yield door
