"""The limit of rows 3 and 4: bare gRPC streams that carry as many tasks, with nothing behind them.

`python -m bench.limit --agents 2000 --tasks 100000`. One server process of `grpc.aio`, one of
clients with a connection each. For every stream one message goes down with all of its node's tasks,
slim, built beforehand; one comes back with their statuses, also built beforehand, and is parsed. No
placement, no store, no agent's state: what no scheduler in Python on gRPC can beat.
"""

import argparse
import asyncio
import multiprocessing
import time
from multiprocessing.connection import Connection

import grpc.aio

from bench.figures import save
from bench.rig import cpu_s
from berth.model.task import TaskState
from berth.v1 import dispatcher_pb2 as pb
from berth.v1 import types_pb2
from berth.wire.wakeups import WakefulLoop
from tests.hosts.ports import free_port

METHOD = "/berth.bench.Limit/Session"


def assignments(tasks: int) -> pb.SchedulerMessage:
    told = [
        types_pb2.TaskAssignment(
            task_id=f"{number:025}", service_id=f"{number % 20:025}", slot=number,
            template_version=1, desired=TaskState.RUNNING, attempt=1,
        )
        for number in range(tasks)
    ]  # fmt: skip
    return pb.SchedulerMessage(
        node_id="sim-00000", epoch=1, assignments=pb.Assignments(sequence=1, tasks=told)
    )


def statuses(tasks: int) -> pb.AgentMessage:
    told = [
        types_pb2.TaskStatus(
            task_id=f"{number:025}", state=TaskState.RUNNING, message="started",
            container_id=f"c-{number:025}",
        )
        for number in range(tasks)
    ]  # fmt: skip
    return pb.AgentMessage(node_id="sim-00000", status=pb.StatusBatch(tasks=told))


def serve(port: int, streams: int, tasks: int, pipe: Connection) -> None:
    """Be the leader: once all are there, send each its tasks, and wait for all answers."""

    async def main() -> None:
        joined, answered = asyncio.Event(), asyncio.Event()
        contexts: list[grpc.aio.ServicerContext[bytes, bytes]] = []
        left = streams

        async def session(
            _request: object, context: grpc.aio.ServicerContext[bytes, bytes]
        ) -> None:
            nonlocal left
            contexts.append(context)
            if len(contexts) == streams:
                joined.set()
            pb.AgentMessage.FromString(await context.read())
            left -= 1
            if not left:
                answered.set()
            await context.read()

        server = grpc.aio.server()
        handler = grpc.stream_stream_rpc_method_handler(session)
        names = METHOD.split("/")[1:]
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(names[0], {names[1]: handler}),)
        )
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        pipe.send("ready")
        await joined.wait()
        message = assignments(tasks)
        pipe.send("joined")
        pipe.recv()
        began = time.monotonic()
        for context in contexts:
            await context.write(message.SerializeToString())
        await answered.wait()
        pipe.send(time.monotonic() - began)
        pipe.recv()

    with asyncio.Runner(loop_factory=WakefulLoop) as runner:
        runner.run(main())


def answer(port: int, streams: int, tasks: int) -> None:
    """Be all the agents."""

    async def main() -> None:
        answer_bytes = statuses(tasks).SerializeToString()

        async def one() -> None:
            options = [("grpc.use_local_subchannel_pool", 1)]
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
                call = channel.stream_stream(METHOD, None, None)(None)
                await call.wait_for_connection()
                told = await call.read()
                assert isinstance(told, bytes)
                pb.SchedulerMessage.FromString(told)
                await call.write(answer_bytes)
                await call.read()

        waiting = []
        for number in range(streams):
            waiting.append(asyncio.ensure_future(one()))
            if number % 20 == 0:
                await asyncio.sleep(0.02)
        await asyncio.gather(*waiting, return_exceptions=True)

    with asyncio.Runner(loop_factory=WakefulLoop) as runner:
        runner.run(main())


def measure_limit(agents: int, tasks: int) -> dict[str, float]:
    """Measure once, in two processes of their own."""
    port, per_node = free_port(), max(tasks // agents, 1)
    ours, theirs = multiprocessing.Pipe()
    fresh = multiprocessing.get_context("spawn")
    server = fresh.Process(target=serve, args=(port, agents, per_node, theirs))
    client = fresh.Process(target=answer, args=(port, agents, per_node))
    server.start()
    try:
        assert ours.recv() == "ready"
        client.start()
        assert ours.recv() == "joined"
        assert server.pid is not None
        assert client.pid is not None
        before = (cpu_s(server.pid), cpu_s(client.pid))
        ours.send("go")
        took_s = ours.recv()
        used = (cpu_s(server.pid) - before[0], cpu_s(client.pid) - before[1])
        ours.send("end")
    finally:
        for process in (client, server):
            if process.pid is not None:
                process.kill()
                process.join()
    total = per_node * agents
    return {
        "limit_tasks_per_s": total / took_s,
        "limit_tasks_per_cpu_s": total / max(sum(used), 1e-3),
        "limit_leader_us_per_task": used[0] / total * 1e6,
        "limit_agents_us_per_task": used[1] / total * 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=2000)
    parser.add_argument("--tasks", type=int, default=100_000)
    args = parser.parse_args()
    save("limit", vars(args), measure_limit(args.agents, args.tasks), {}, None)


if __name__ == "__main__":
    main()
