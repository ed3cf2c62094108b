"""Row 13: what docker CLIs that wait cost the schedulers.

    python -m bench.waiting [--clis 1,10,50] [--agents 10] [--replicas 5] [--save FILE]

A docker CLI that waits for a service sends three requests every 200 ms: the service, its tasks of
the newest version, all nodes. Here so many of them do so, each for a service of its own, over the
unix socket of a real scheduler, with a real etcd and simulated agents: once on the leader, once on
a scheduler that follows, which asks the leader. Counted is the schedulers' CPU beyond what they use
without any CLI, a CLI; of a follower's CLIs also what they cost the leader. Every answer is read
whole, and looked at as the docker CLI does.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from bench.figures import percentile, save
from bench.rig import Rig, Scheduler, precise_cpu_s, rig
from bench.steps import Client, wait_nodes

PERIOD_S = 0.2
SETTLE_S = 2.0


class WaitingCli:
    """One docker CLI in its wait loop, on one connection."""

    def __init__(self, socket: Path, service: str, replicas: int) -> None:
        self._socket = socket
        filters = json.dumps({"_up-to-date": {"true": True}, "service": {service: True}})
        self._paths = (
            f"/v1.51/services/{service}",
            f"/v1.51/tasks?filters={quote(filters)}",
            "/v1.51/nodes",
        )
        self._replicas = replicas
        self.took_s: list[float] = []

    async def run(self, first_after_s: float) -> None:
        """Ask until cancelled."""
        reader, writer = await asyncio.open_unix_connection(str(self._socket), limit=2**24)
        try:
            await asyncio.sleep(first_after_s)
            while True:
                began = time.monotonic()
                service, tasks, nodes = [await self._ask(reader, writer, p) for p in self._paths]
                self.took_s.append(time.monotonic() - began)
                self._look(service, tasks, nodes)
                await asyncio.sleep(PERIOD_S)
        finally:
            writer.close()

    def _look(self, service: bytes, tasks: bytes, nodes: bytes) -> None:
        assert service.startswith(b'{"ID":"'), service[:200]
        running = tasks.count(b'"State":"running"')
        assert running == self._replicas, tasks[:500]
        assert nodes.count(b'"Hostname":"') > 0, nodes[:200]

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str
    ) -> bytes:
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: api.moby.localhost\r\n"
            "User-Agent: Docker-Client/28.5.2 (linux)\r\n\r\n".encode()
        )
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert head.startswith(b"http/1.1 200"), head
        if b"transfer-encoding: chunked" not in head:
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            return await reader.readexactly(length)
        pieces = []
        while size := int(await reader.readuntil(b"\r\n"), 16):
            pieces.append((await reader.readexactly(size + 2))[:-2])
        await reader.readexactly(2)
        return b"".join(pieces)


async def measure(
    made: Rig, asked: Scheduler, names: Sequence[str], replicas: int, seconds: float
) -> tuple[dict[str, float], list[float]]:
    """Return the CPU that waiting CLIs cost the asked scheduler and the leader, and their times."""
    pids = {"asked": asked.process.pid, "leader": made.leader.process.pid}
    idle = await _used_by(pids, seconds)
    clis = [WaitingCli(asked.docker, name, replicas) for name in names]
    async with asyncio.TaskGroup() as group:
        running = [
            group.create_task(cli.run(PERIOD_S * number / len(clis)))
            for number, cli in enumerate(clis)
        ]
        await asyncio.sleep(SETTLE_S)
        for cli in clis:
            cli.took_s.clear()
        used = await _used_by(pids, seconds)
        for each in running:
            each.cancel()
    rounds = sum(len(cli.took_s) for cli in clis)
    # A CLI of its own pace makes five rounds a second; a slow answer makes it ask less often.
    percent = {
        name: (used[name] - idle[name]) / rounds * (1 / PERIOD_S) * seconds * 100 for name in pids
    }
    percent["rounds_per_s"] = rounds / seconds / len(clis)
    return percent, [took for cli in clis for took in cli.took_s]


async def _used_by(pids: dict[str, int], seconds: float) -> dict[str, float]:
    before = {name: precise_cpu_s(pid) for name, pid in pids.items()}
    began = time.monotonic()
    await asyncio.sleep(seconds)
    took_s = time.monotonic() - began
    return {name: (precise_cpu_s(pid) - before[name]) / took_s for name, pid in pids.items()}


async def run(
    made: Rig, args: argparse.Namespace
) -> tuple[dict[str, float], dict[str, list[float]]]:
    client = Client(made.schedulers[0].address)
    figures: dict[str, float] = {"agents": args.agents, "replicas": args.replicas}
    samples: dict[str, list[float]] = {}
    try:
        await wait_nodes(made, client, args.agents)
        made.leads(await client.leader_address())
        names = [f"waited-{number}" for number in range(max(args.clis))]
        for name in names:
            await client.create(name, args.replicas)
        await client.wait_running(len(names) * args.replicas)
        await asyncio.sleep(args.rest_s)  # What agents said is written down some seconds later.
        for where, asked in (("leader", made.schedulers[0]), ("follower", made.schedulers[1])):
            for count in args.clis:
                print(f"... {count} on the {where}", file=sys.stderr, flush=True)
                found, took_s = await measure(
                    made, asked, names[:count], args.replicas, args.seconds
                )
                key = f"{where}_{count}"
                figures[f"{key}_cpu_percent_a_cli"] = found["asked"]
                if where == "follower":
                    figures[f"{key}_leader_cpu_percent_a_cli"] = found["leader"]
                figures[f"{key}_rounds_per_s"] = found["rounds_per_s"]
                figures[f"{key}_round_p50_ms"] = percentile(took_s, 0.5) * 1000
                figures[f"{key}_round_p99_ms"] = percentile(took_s, 0.99) * 1000
                samples[f"{key}_round_s"] = took_s[-500:]
    finally:
        await client.aclose()
    return figures, samples


def counts_of(text: str) -> list[int]:
    return [int(count) for count in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clis", type=counts_of, default=[1, 10, 50], help="how many at a time")
    parser.add_argument("--agents", type=int, default=10)
    parser.add_argument("--replicas", type=int, default=5, help="of each service waited for")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--rest-s", type=float, default=8.0, help="before the first of them")
    parser.add_argument("--save", type=Path, help="Append the figures to this file, as JSON.")
    args = parser.parse_args()
    with rig(agents=args.agents, schedulers=2, processes=1) as made:
        try:
            figures, samples = asyncio.run(run(made, args))
        except BaseException:
            print(made.logs(), file=sys.stderr)
            raise
    save("waiting", vars(args), figures, samples, args.save)


if __name__ == "__main__":
    main()
