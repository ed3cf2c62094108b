"""Measure a whole scheduler on a real etcd with simulated agents: create to running, take-over.

`python -m bench.cluster --agents 500 --services 20 --replicas 5000` starts everything itself on
loopback, prints a table, and writes the samples to bench/results/ with `--save`. All of it shares
this machine: etcd, the scheduler and the agents; the table says who used how much CPU.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from berth.model.ids import ServiceId
from berth.v1 import control_pb2 as pb
from berth.v1 import control_pb2_grpc
from berth.wire.convert import write_proto
from tests.builders import a_spec

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def rss_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass
class Rig:
    """The processes of one run."""

    directory: Path
    etcd: subprocess.Popen[bytes]
    etcd_url: str
    schedulers: list[tuple[subprocess.Popen[bytes], str]] = field(default_factory=list)
    agents: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_scheduler(self, name: str) -> str:
        port = free_port()
        address = f"127.0.0.1:{port}"
        command = [
            sys.executable, "-m", "scheduler", "--name", name, "--etcd", self.etcd_url,
            "--grpc-listen", address, "--http-listen", f"127.0.0.1:{free_port()}",
            "--advertise", address,
        ]  # fmt: skip
        log = (self.directory / f"{name}.log").open("wb")
        self.schedulers.append((subprocess.Popen(command, stdout=log, stderr=log), address))
        return address

    def start_agents(self, count: int, processes: int, start_s: float) -> None:
        addresses = ",".join(address for _, address in self.schedulers)
        share = -(-count // processes)
        for first in range(0, count, share):
            command = [
                sys.executable, "-m", "bench.agents", "--scheduler", addresses,
                "--first", str(first), "--count", str(min(share, count - first)),
                "--start-s", str(start_s),
            ]  # fmt: skip
            log = (self.directory / f"agents-{first}.log").open("wb")
            self.agents.append(subprocess.Popen(command, stdout=log, stderr=log))


@contextlib.contextmanager
def rig(schedulers: int, agents: int, processes: int, start_s: float) -> Iterator[Rig]:
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as text:
        directory = Path(text)
        url, peer = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
        command = [
            "etcd", f"--data-dir={directory / 'etcd'}", f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}", f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
            "--logger=zap", "--log-level=error", "--quota-backend-bytes=8589934592",
        ]  # fmt: skip
        etcd = subprocess.Popen(command)
        made = Rig(directory, etcd, url)
        try:
            for number in range(1, schedulers + 1):
                made.start_scheduler(f"s{number}")
            made.start_agents(agents, processes, start_s)
            yield made
        finally:
            everyone = [*made.agents, *(process for process, _ in made.schedulers), etcd]
            for process in everyone:
                process.kill()
            for process in everyone:
                process.wait()


async def wait_nodes(stub: control_pb2_grpc.ControlStub, count: int) -> None:
    while True:
        with contextlib.suppress(grpc.aio.AioRpcError):
            answer = await stub.ListNodes(pb.ListNodesRequest(), timeout=15)
            ready = sum(view.node.state == "ready" for view in answer.nodes)
            print(f"\r{ready}/{count} nodes ready", end="", flush=True)
            if ready >= count:
                print()
                return
        await asyncio.sleep(0.5)


async def find_leader(stub: control_pb2_grpc.ControlStub) -> str:
    return str((await stub.GetCluster(pb.GetClusterRequest(), timeout=15)).leader_address)


async def wait_running(stub: control_pb2_grpc.ControlStub, total: int, began: float) -> float:
    while True:
        answer = await stub.ListServices(pb.ListServicesRequest(), timeout=60)
        running = sum(service.running_tasks for service in answer.services)
        if running >= total:
            return time.monotonic() - began
        await asyncio.sleep(0.05)


async def create_all(
    stub: control_pb2_grpc.ControlStub, services: int, replicas: int, clients: int
) -> list[ServiceId]:
    gate = asyncio.Semaphore(clients)

    async def create(number: int) -> ServiceId:
        request = pb.CreateServiceRequest(no_resolve_image=True)
        spec = a_spec(f"svc-{number}", replicas=replicas, image="app:1", cpus=0.01, memory=2**22)
        write_proto(spec, request.spec)
        async with gate:
            return ServiceId((await stub.CreateService(request, timeout=60)).id)

    return list(await asyncio.gather(*(create(number) for number in range(services))))


async def measure(args: argparse.Namespace, made: Rig) -> dict[str, float]:
    address = made.schedulers[0][1]
    options = [("grpc.max_receive_message_length", 256 * 2**20)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        stub = control_pb2_grpc.ControlStub(channel)
        await wait_nodes(stub, args.agents)
        total = args.services * args.replicas
        leading = await find_leader(stub)
        made.schedulers.sort(key=lambda entry: entry[1] != leading)
        leader = made.schedulers[0][0].pid
        before = {"leader": cpu_s(leader), "etcd": cpu_s(made.etcd.pid)}
        agents_before = sum(cpu_s(agent.pid) for agent in made.agents)
        began = time.monotonic()
        await create_all(stub, args.services, args.replicas, args.clients)
        created_s = time.monotonic() - began
        running_s = await wait_running(stub, total, began)
        result = {
            "tasks": float(total),
            "agents": float(args.agents),
            "created_s": created_s,
            "running_s": running_s,
            "tasks_per_s": total / running_s,
            "leader_cpu_us_per_task": (cpu_s(leader) - before["leader"]) / total * 1e6,
            "etcd_cpu_us_per_task": (cpu_s(made.etcd.pid) - before["etcd"]) / total * 1e6,
            "agents_cpu_us_per_task": (sum(cpu_s(a.pid) for a in made.agents) - agents_before)
            / total
            * 1e6,
            "leader_rss_mib": rss_mib(leader),
        }
        idle_from, idle_began = cpu_s(leader), time.monotonic()
        await asyncio.sleep(args.idle_s)
        idle_s = time.monotonic() - idle_began
        result["idle_leader_cpu_percent"] = (cpu_s(leader) - idle_from) / idle_s * 100
    if len(made.schedulers) > 1:
        result["take_over_s"] = await measure_take_over(made)
    return result


async def measure_take_over(made: Rig) -> float:
    """Kill the leader; return how long until another has made a new task durable."""
    process, _ = made.schedulers[0]
    process.kill()
    began = time.monotonic()
    async with grpc.aio.insecure_channel(made.schedulers[1][1]) as channel:
        stub = control_pb2_grpc.ControlStub(channel)
        request = pb.CreateServiceRequest(no_resolve_image=True)
        write_proto(a_spec("after", replicas=1, image="app:1"), request.spec)
        while True:
            try:
                await stub.CreateService(request, timeout=20)
                break
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.ALREADY_EXISTS:
                    break
                await asyncio.sleep(0.05)
        while True:
            answer = await stub.ListTasks(pb.ListTasksRequest(services=["after"]), timeout=20)
            if any(task.node_id for task in answer.tasks):
                return time.monotonic() - began
            await asyncio.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=500)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--schedulers", type=int, default=2)
    parser.add_argument("--services", type=int, default=20)
    parser.add_argument("--replicas", type=int, default=5000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--start-s", type=float, default=0.0)
    parser.add_argument("--idle-s", type=float, default=10.0)
    parser.add_argument("--save", type=Path, help="Append the result to this file, as JSON.")
    args = parser.parse_args()
    with rig(args.schedulers, args.agents, args.processes, args.start_s) as made:
        try:
            result = asyncio.run(measure(args, made))
        except BaseException:
            for log in sorted(made.directory.glob("*.log")):
                print(f"--- {log.name}\n{log.read_text()[-1500:]}", file=sys.stderr)
            raise
    for name, value in result.items():
        print(f"{name:28} {value:12,.2f}")
    if args.save:
        machine = {"python": platform.python_version(), "cpus": os.cpu_count()}
        line = {"bench": "cluster", "args": {k: str(v) for k, v in vars(args).items()}}
        args.save.parent.mkdir(parents=True, exist_ok=True)
        with args.save.open("a") as file:
            file.write(json.dumps({**line, "machine": machine, "result": result}) + "\n")


if __name__ == "__main__":
    main()
