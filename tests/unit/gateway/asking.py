"""Ask the Docker API in process: ASGI calls against a gateway on a fake control API."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

from prometheus_client import CollectorRegistry

from berth.client import ControlClient
from berth.clock import SystemClock
from gateway.app import docker_app
from gateway.config import GatewaySettings
from gateway.connect import open_gateway
from gateway.doors import local_door
from tests.fakes.control import FakeControl, serving

SETTINGS = GatewaySettings("s1", "1.2.3", "/run/berth.sock")


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def message(self):
        return self.json["message"]


@dataclass
class DockerApi:
    """The API, the fake behind it and its metrics."""

    app: object
    control: FakeControl
    registry: CollectorRegistry
    gateway: object
    version: str = "v1.41"

    async def __call__(self, method, path, body=None, *, api_version=None, headers=(), **query):
        """Send one request; `body` is JSON, or bytes as they are."""
        if body is None:
            content = b""
        elif isinstance(body, bytes):
            content = body
        else:
            content = json.dumps(body).encode()
        prefix = self.version if api_version is None else api_version
        sent = {"content-type": "application/json", **dict(headers)}
        query = {k: v if isinstance(v, str) else json.dumps(v) for k, v in query.items()}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": f"/{prefix}{path}" if prefix else path,
            "raw_path": path.encode(),
            "query_string": urlencode(query).encode(),
            "root_path": "",
            "headers": [(k.encode(), v.encode()) for k, v in sent.items()],
            "client": None,
            "server": None,
        }
        messages = []
        is_over = asyncio.Event()
        chunks = [{"type": "http.request", "body": content, "more_body": False}]

        async def receive():
            if chunks:
                return chunks.pop()
            await is_over.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            messages.append(message)

        await self.app(scope, receive, send)
        start = messages[0]
        return Answer(
            start["status"],
            {key.decode().lower(): value.decode() for key, value in start["headers"]},
            b"".join(message.get("body", b"") for message in messages[1:]),
        )


@asynccontextmanager
async def docker_api():
    """Yield a DockerApi on a fake cluster of two nodes."""
    control, registry = FakeControl(), CollectorRegistry()
    control.add_node("host-1")
    control.add_node("host-2")
    async with serving(control) as address:
        # Nobody leads: whoever answers waits for a leader itself, and its word is the last.
        client = ControlClient([address], repeats_refusals=False)
        gateway = open_gateway(SETTINGS, client, registry, SystemClock())
        try:
            app = local_door(docker_app(gateway))
            yield DockerApi(app, control, registry, gateway)
        finally:
            await gateway.client.close()


IMAGE = "app:1@sha256:" + "b" * 64
SPEC = {
    "Name": "web",
    "TaskTemplate": {"ContainerSpec": {"Image": IMAGE}},
    "Mode": {"Replicated": {"Replicas": 2}},
}


def with_api(test):
    """Run an async test with an API of its own."""

    def run():
        async def inner():
            async with docker_api() as api:
                await test(api)

        asyncio.run(inner())

    run.__name__ = test.__name__
    return run


async def web(api):
    answer = await api("POST", "/services/create", SPEC)
    assert answer.status == 201, answer.body
    api.control.run_all()
    return answer.json["ID"]
