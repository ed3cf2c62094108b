"""Fifty clients that create a service each and wait for it, all at once: none is let down."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cluster import DOCKER_CLIS, DockerCli, TestCluster
from tests.cluster.berth_cli import CliResult
from tests.e2e.docker_waiting import WaitingClient
from tests.hosts import ImageFactory

pytestmark = pytest.mark.e2e

REAL, BARE = 5, 45


def test_fifty_clients_wait_at_once_and_all_see_their_service_converge(
    cluster: TestCluster, images: ImageFactory, tmp_path: Path
) -> None:
    image = images.sleeper("1.0")
    hosts = [scheduler.docker_host for scheduler in cluster.schedulers]
    programs = sorted(DOCKER_CLIS.values())

    def create(number: int) -> CliResult:
        host = hosts[number % len(hosts)]
        cli = DockerCli(programs[number % len(programs)], lambda: host, tmp_path)
        return cli(
            "service", "create", "--detach=false", f"--name=real-{number}", image, timeout_s=240.0
        )

    clients = [
        WaitingClient(hosts[number % len(hosts)], f"bare-{number}", f"{image}@{image.digest}")
        for number in range(BARE)
    ]

    async def wait_all() -> list[list[int]]:
        async with asyncio.timeout(240.0):
            return await asyncio.gather(*(client.run() for client in clients))

    with ThreadPoolExecutor(max_workers=REAL) as pool:
        waiting = [pool.submit(create, number) for number in range(REAL)]
        seen = asyncio.run(wait_all())
        done = [each.result() for each in waiting]
    for result in done:
        assert "overall progress: 0 out of 1 tasks" in result.stdout
        assert "overall progress: 1 out of 1 tasks" in result.stdout
        assert "converged" in result.stdout
    assert all(looks[-1] == 1 for looks in seen)
    print(f"{sum(client.asked for client in clients)} requests of {BARE} clients, none refused")
    assert len(cluster.control.services()) == REAL + BARE
    for number in range(BARE):
        assert len(cluster.running_tasks(f"bare-{number}")) == 1
