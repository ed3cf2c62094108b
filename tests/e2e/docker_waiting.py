"""The requests of a docker CLI that creates a service and waits for it, without the CLI.

Duty: the same requests in the same order and as often (docker/cli, `service create`), over a real
socket, so that many clients fit on a small machine. Not here: what is asked of them (the tests).
Invariant: an answer that is no success ends the client with an AssertionError that shows it.
"""

import asyncio
import json
from typing import Any
from urllib.parse import quote

PERIOD_S = 0.2  # The CLI's.
API = "/v1.51"


class WaitingClient:
    """Creates one service of one task and asks for it until it runs, as `--detach=false` does."""

    def __init__(self, docker_host: str, name: str, image: str) -> None:
        self._socket = docker_host.removeprefix("unix://")
        self._name = name
        self._image = image
        self.asked = 0

    async def run(self) -> list[int]:
        """Return how many tasks ran at each look, up to the one that saw the service converged."""
        reader, writer = await asyncio.open_unix_connection(self._socket, limit=2**22)
        try:
            await self._ask(reader, writer, "GET", "/_ping", raw=True)
            created = await self._ask(reader, writer, "POST", "/services/create", self._spec())
            seen: list[int] = []
            while True:
                tasks = await self._look(reader, writer, created["ID"])
                seen.append(sum(task["Status"]["State"] == "running" for task in tasks))
                if seen[-1] == 1:
                    return seen
                await asyncio.sleep(PERIOD_S)
        finally:
            writer.close()

    async def _look(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: str
    ) -> list[dict[str, Any]]:
        found = await self._ask(reader, writer, "GET", f"/services/{service}")
        assert found["Spec"]["Name"] == self._name
        wanted = {"service": {service: True}, "_up-to-date": {"true": True}}
        path = f"/tasks?filters={quote(json.dumps(wanted))}"
        tasks: list[dict[str, Any]] = await self._ask(reader, writer, "GET", path)
        assert {task["ServiceID"] for task in tasks} <= {service}
        nodes = await self._ask(reader, writer, "GET", "/nodes")
        assert all(node["Status"]["State"] == "ready" for node in nodes)
        return tasks

    def _spec(self) -> dict[str, Any]:
        return {
            "Name": self._name,
            "TaskTemplate": {"ContainerSpec": {"Image": self._image}},
            "Mode": {"Replicated": {"Replicas": 1}},
        }

    async def _ask(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bool = False,
    ) -> Any:
        text = b"" if body is None else json.dumps(body).encode()
        writer.write(
            f"{method} {'' if raw else API}{path} HTTP/1.1\r\nHost: api.moby.localhost\r\n"
            "User-Agent: Docker-Client/28.5.2 (linux)\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(text)}\r\n\r\n".encode()
            + text
        )
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        answer = await self._body(reader, head)
        self.asked += 1
        assert head.startswith((b"http/1.1 200", b"http/1.1 201")), (path, head, answer)
        return answer if raw else json.loads(answer)

    async def _body(self, reader: asyncio.StreamReader, head: bytes) -> bytes:
        if b"transfer-encoding: chunked" not in head:
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            return await reader.readexactly(length)
        pieces = []
        while size := int(await reader.readuntil(b"\r\n"), 16):
            pieces.append((await reader.readexactly(size + 2))[:-2])
        await reader.readexactly(2)
        return b"".join(pieces)
