import asyncio
import grp
import json
import os
import socket
import stat
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter

from berth.errors import ConfigError
from berth.process import (
    Health,
    Readiness,
    Supervisor,
    listener_address,
    open_listener,
    serve_observability,
)


async def get(address: str, path: str) -> tuple[int, str]:
    if address.startswith("unix:"):
        reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
    else:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    raw = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    head, _, body = raw.partition("\r\n\r\n")
    return int(head.split()[1]), body


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_metrics_health_and_readiness_are_served(kind: str, tmp_path: Path) -> None:
    registry = CollectorRegistry()
    Counter("berth_x", "An x.", registry=registry).inc(3)
    health = Health()
    ready = Readiness(False, "no leader", {"store": "ok"})
    path = tmp_path / "s.sock"

    async def scenario() -> None:
        served: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        async with Supervisor() as supervisor:
            supervisor.start(
                "http",
                serve_observability(
                    key="metrics_listen",
                    address="127.0.0.1:0" if kind == "tcp" else f"unix:{path}",
                    registry=registry,
                    health=lambda: health,
                    ready=lambda: ready,
                    started=served.set_result,
                ),
            )
            address = await served
            assert (await get(address, "/healthz")) == (200, '{"status":"ok"}')
            status, body = await get(address, "/readyz")
            assert status == 503
            assert json.loads(body) == {
                "status": "not ready",
                "reason": "no leader",
                "details": {"store": "ok"},
            }
            status, body = await get(address, "/metrics")
            assert status == 200
            assert "berth_x_total 3.0" in body
            assert (await get(address, "/nothing"))[0] == 404

    asyncio.run(scenario())
    assert not path.exists(), "the socket is taken away with its server"


def test_a_taken_port_is_refused_with_address_and_fix() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        with pytest.raises(ConfigError) as caught:
            open_listener("metrics_listen", address)
    assert caught.value.message.startswith(f'metrics_listen: "{address}" is in use; stop what')


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("7703", "is not HOST:PORT"),
        ("localhost:http", "is not HOST:PORT"),
        ("127.0.0.1:70000", "is not HOST:PORT"),
        ("192.0.2.1:0", "is no address of this machine"),
        ("unix:/nowhere/at/all.sock", "No such file"),
    ],
)
def test_wrong_addresses_are_refused(address: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        open_listener("http_listen", address)


def test_a_socket_left_by_a_dead_process_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/x.sock"
    open_listener("http_listen", address).close()  # Closed, never unlinked: as after kill -9.
    with open_listener("http_listen", address) as alive:
        assert listener_address(alive) == address
        with pytest.raises(ConfigError, match="is in use by another process"):
            open_listener("http_listen", address)


def test_a_unix_socket_is_its_owners_and_its_groups_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    group = os.getgid()
    with open_listener("docker_socket", f"unix:{path}", group=str(group)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert path.stat().st_gid == group
    path.unlink()
    name = grp.getgrgid(group).gr_name
    with open_listener("docker_socket", f"unix:{path}", group=name):
        assert path.stat().st_gid == group


def test_a_group_that_does_not_exist_is_refused_and_leaves_no_socket(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with pytest.raises(ConfigError, match="groupadd --system nosuch") as caught:
        open_listener("docker_socket", f"unix:{path}", group="nosuch")
    assert [fault.path for fault in caught.value.faults] == ["docker_socket_group"]
    assert not path.exists()
