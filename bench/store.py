"""Measure the store on a real etcd: commits a second, latency, and how long a take-over loads.

`python bench/store.py` starts an etcd of its own on the disk of the temporary directory; `--etcd
URL[,URL]` uses a running one, under a prefix that is removed afterwards.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import structlog

sys.path.insert(0, str(Path(__file__).parents[1]))

from berth.clock import SystemClock
from scheduler.election.etcd_election import EtcdElection
from scheduler.store.etcd_api import prefix_end
from scheduler.store.etcd_client import EtcdClient
from scheduler.store.etcd_settings import EtcdSettings
from scheduler.store.etcd_store import EtcdStore
from scheduler.store.etcdpb import etcd_pb2 as pb
from scheduler.store.port import Put
from tests.hosts.ports import free_port

PREFIX = "/berth-bench/"
CLOCK = SystemClock()


@contextlib.contextmanager
def own_etcd() -> Iterator[str]:
    """Run an etcd with fsync on a real disk for as long as the block."""
    url, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as directory:
        command = [
            "etcd", f"--data-dir={directory}", f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}", f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
            "--logger=zap", "--log-level=error", "--quota-backend-bytes=8589934592",
        ]  # fmt: skip
        process = subprocess.Popen(command)
        try:
            yield url
        finally:
            process.kill()
            process.wait()


@contextlib.asynccontextmanager
async def leading(client: EtcdClient) -> AsyncIterator[EtcdStore]:
    election = EtcdElection(client, PREFIX, "bench", "bench:1", 10, CLOCK)
    leadership = await election.campaign()
    store = EtcdStore(client, PREFIX, leadership, None, CLOCK)
    try:
        yield store
    finally:
        await store.aclose()
        await election.aclose()


def report(what: str, count: int, unit: str, wall_s: float, cpu_s: float) -> None:
    rate = count / wall_s
    print(
        f"{what:<46}{rate:>10,.0f} {unit}/s   {wall_s:6.2f} s wall, "
        f"{cpu_s / count * 1e6:5.1f} us CPU of ours each"
    )


async def measure_singles(store: EtcdStore) -> None:
    """One commit after another, each awaited: what a single API call waits for."""
    waits = []
    for number in range(200):
        began = time.perf_counter()
        await store.commit_nowait([Put("single", b"%d" % number)])
        waits.append((time.perf_counter() - began) * 1000)
    cuts = statistics.quantiles(waits, n=100)
    print(f"{'one commit at a time':<46}  p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms")


async def measure_records(store: EtcdStore, count: int) -> None:
    """Many small keys: one record of 120 bytes each, packed 127 to a transaction."""
    began, cpu = time.perf_counter(), time.process_time()
    futures = [store.commit_nowait([Put(f"records/{i:06}", b"r" * 120)]) for i in range(count)]
    await asyncio.gather(*futures)
    report(
        "records of 120 B, a key each", count, "records",
        time.perf_counter() - began, time.process_time() - cpu,
    )  # fmt: skip


async def measure_documents(store: EtcdStore, nodes: int, tasks: int) -> None:
    """What assigning work writes: a packed document per node, 36 bytes a task."""
    per_node = tasks // nodes
    document = b"t" * (36 * per_node)
    began, cpu = time.perf_counter(), time.process_time()
    futures = [store.commit_nowait([Put(f"placements/{i:06}", document)]) for i in range(nodes)]
    await asyncio.gather(*futures)
    report(
        f"{nodes:,} packed documents of {per_node} tasks", tasks, "tasks",
        time.perf_counter() - began, time.process_time() - cpu,
    )  # fmt: skip


async def measure_load(client: EtcdClient, nodes: int) -> None:
    """Win the election and load everything, as a new leader does."""
    began = time.perf_counter()
    async with leading(client) as store:
        won = time.perf_counter()
        snapshot = await store.load()
        loaded = time.perf_counter()
    size_mb = sum(map(len, snapshot.entries.values())) / 1e6
    documents = sum(key.startswith("placements/") for key in snapshot.entries)
    assert documents == nodes, f"{documents} of {nodes} documents came back"
    print(
        f"{'win a free election':<46}{(won - began) * 1000:>10.0f} ms\n"
        f"{f'load {len(snapshot.entries):,} documents, {size_mb:.1f} MB':<46}"
        f"{(loaded - won) * 1000:>10.0f} ms"
    )


async def clean(client: EtcdClient) -> None:
    root = PREFIX.encode()
    doomed = pb.DeleteRangeRequest(key=root, range_end=prefix_end(root))
    await client.txn_repeatable(pb.TxnRequest(success=[pb.RequestOp(request_delete_range=doomed)]))


async def measure(urls: str) -> None:
    client = EtcdClient(EtcdSettings(endpoints=tuple(urls.split(",")), prefix=PREFIX), CLOCK)
    try:
        await clean(client)
        async with leading(client) as store:
            await measure_singles(store)
            await measure_records(store, 20_000)
        await clean(client)
        async with leading(client) as store:
            await measure_documents(store, 2_000, 100_000)
            await measure_documents(store, 10_000, 100_000)
        await measure_load(client, 10_000)
        await clean(client)
    finally:
        await client.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--etcd", help="URLs of a running etcd; without it, one is started")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    with contextlib.nullcontext(arguments.etcd) if arguments.etcd else own_etcd() as urls:
        asyncio.run(measure(urls))


if __name__ == "__main__":
    main()
