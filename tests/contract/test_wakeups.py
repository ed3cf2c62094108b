"""gRPC on a loop that is held up: this fails when grpcio renames what the cure leans on."""

import asyncio
import functools
import socket
import subprocess
import sys

import grpc.aio
import pytest

from berth.wire.wakeups import WakefulLoop, _drain_and_call

STREAMS = 200
ITERATIONS = 100
HELD_S = 0.01
"""Long enough for a client that shares the one core of a slow machine to say something."""

CLIENT = """
import asyncio, sys, grpc.aio

async def talk(port):
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        call = channel.stream_stream("/berth.Test/Echo")()
        while True:
            await call.write(b"x")
            await call.read()

async def main():
    await asyncio.gather(*(talk(sys.argv[1]) for _ in range(int(sys.argv[2]))))

asyncio.run(main())
"""


def test_all_bytes_but_one_are_drained() -> None:
    ours, grpcs = socket.socketpair()
    with ours, grpcs:
        ours.setblocking(False)
        seen = []
        for count in (1, 2, 5000):
            grpcs.send(b"1" * count)
            _drain_and_call(ours, lambda: seen.append(ours.recv(9)))
        assert seen == [b"1"] * 3
        with pytest.raises(BlockingIOError):
            ours.recv(1)


async def messages_heard() -> int:
    """Hold the loop up in each round, and count the messages that come through all the same."""
    heard = 0

    async def echo(_request, context):
        nonlocal heard
        while (message := await context.read()) is not grpc.aio.EOF:
            heard += 1
            await context.write(message)

    server = grpc.aio.server()
    method = grpc.stream_stream_rpc_method_handler(echo)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("berth.Test", {"Echo": method}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    client = subprocess.Popen([sys.executable, "-c", CLIENT, str(port), str(STREAMS)])
    try:
        async with asyncio.timeout(60):
            while heard < 5 * STREAMS:  # All streams are there and talk.
                await asyncio.sleep(0.01)
        loop = asyncio.get_running_loop()
        for _ in range(ITERATIONS):  # The backlog that a busy leader has after a while.
            _hold(loop)
            await asyncio.sleep(0)
        heard = 0
        for _ in range(ITERATIONS):
            _hold(loop)
            await asyncio.sleep(0)
        return heard
    finally:
        client.kill()
        client.wait()
        await server.stop(0)


def _hold(loop: asyncio.AbstractEventLoop) -> None:
    until = loop.time() + HELD_S
    while loop.time() < until:
        pass


def test_a_loop_that_is_held_up_hears_many_messages_each_round() -> None:
    with asyncio.Runner(loop_factory=WakefulLoop) as runner:
        assert runner.run(messages_heard()) > 2 * ITERATIONS


def test_other_readers_are_left_alone() -> None:
    with asyncio.Runner(loop_factory=WakefulLoop) as runner:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            heard: asyncio.Queue[bytes] = asyncio.Queue()

            async def main() -> bytes:
                loop = asyncio.get_running_loop()
                loop.add_reader(ours, functools.partial(take, heard))
                theirs.send(b"abc")
                found = await heard.get()
                loop.remove_reader(ours)
                return found

            def take(queue: asyncio.Queue[bytes]) -> None:
                queue.put_nowait(ours.recv(9))

            assert runner.run(main()) == b"abc"
