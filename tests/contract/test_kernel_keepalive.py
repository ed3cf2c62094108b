"""The kernel's keepalive on gRPC's sockets: a machine that is gone is noticed without PINGs.

The two ends live in a network namespace of their own, whose loopback is taken down under them: no
packet arrives any more, and nobody is told.
"""

import asyncio
import os
import socket
import subprocess
import sys

import grpc
import grpc.aio
import pytest

from berth.wire import kernel_keepalive
from berth.wire.channel import Keepalive, bind, make_server, open_channel

RARE = Keepalive(time_s=120.0, timeout_s=2.0)
"""PINGs that come far too late for these tests: what is noticed, the kernel noticed."""


class Methods(grpc.GenericRpcHandler):
    def __init__(self):
        self.ended = asyncio.Event()

    async def wait(self, request, context):
        try:
            yield b"open"
            await asyncio.sleep(600)
        finally:
            self.ended.set()

    def service(self, details):
        return grpc.unary_stream_rpc_method_handler(self.wait)


def watched(port):
    """Return whether the kernel watches each of our sockets of a port: here, at the peer."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            with kernel_keepalive.duplicate(int(name)) as it:
                if it.family in (socket.AF_INET, socket.AF_INET6):
                    ports = (it.getsockname()[1], it.getpeername()[1])
                    if port in ports:
                        found.append(bool(it.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)))
        except OSError:
            continue
    return found


def unheard_ms(port):
    """Return by our sockets of a port how long the kernel lets their peers be silent."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            with kernel_keepalive.duplicate(int(name)) as it:
                is_ours = it.family in (socket.AF_INET, socket.AF_INET6)
                if is_ours and port in (it.getsockname()[1], it.getpeername()[1]):
                    found.append(it.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
        except OSError:
            continue
    return found


async def lose_the_machine(loses_link):
    server, methods = make_server(keepalive=RARE), Methods()
    server.add_generic_rpc_handlers((methods,))
    port = bind(server, "127.0.0.1:0", None)
    await server.start()
    async with open_channel(f"127.0.0.1:{port}", None, keepalive=RARE) as channel:
        call = channel.unary_stream("/t/wait")(b"")
        assert await call.read() == b"open"
        assert kernel_keepalive.arm_connection(port), "there is a connection"
        assert watched(port) == [True, True], "what was accepted is watched as its listener is"
        second_question_ms = (kernel_keepalive.IDLE_S + kernel_keepalive.INTERVAL_S) * 1000
        at_most_ms = (kernel_keepalive.IDLE_S + kernel_keepalive.TIMEOUT_S) * 1000
        assert len(unheard_ms(port)) == 2
        for limit_ms in unheard_ms(port):
            assert second_question_ms < limit_ms < at_most_ms, "one lost packet breaks nothing"
        open_before = len(os.listdir("/proc/self/fd"))
        assert kernel_keepalive.arm_connection(port), "a connection that is armed is found again"
        assert watched(port) == [True, True]
        assert len(os.listdir("/proc/self/fd")) == open_before, "no duplicate is left open"
        with pytest.raises(TimeoutError):  # Silent for longer than any limit, but there.
            await asyncio.wait_for(asyncio.shield(call.code()), 5)
        if loses_link:
            subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
            await asyncio.wait_for(methods.ended.wait(), 30)
            assert await asyncio.wait_for(call.code(), 30) is grpc.StatusCode.UNAVAILABLE
        else:
            assert not methods.ended.is_set()
            call.cancel()
    await server.stop(None)


def test_both_ends_of_a_connection_are_watched_and_silence_alone_ends_nothing():
    asyncio.run(lose_the_machine(loses_link=False))


def test_a_machine_that_is_cut_off_is_noticed_by_both_ends_without_a_ping():
    script = "ip link set lo up && exec " + " ".join([sys.executable, "-m", __name__])
    found = subprocess.run(
        ["unshare", "--net", "sh", "-c", script], capture_output=True, text=True, timeout=100
    )
    assert found.returncode == 0, found.stderr


def test_nothing_is_found_where_nobody_listens_or_is_connected():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert not kernel_keepalive.arm_connection(port)
        assert kernel_keepalive.arm_listeners(port) == 1
    assert kernel_keepalive.arm_listeners(port) == 0


if __name__ == "__main__":
    asyncio.run(lose_the_machine(loses_link=True))
