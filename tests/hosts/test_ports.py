"""A port that was given to one program of a test goes to nobody else."""

import asyncio
import socket

import pytest

from berth.observability import open_listener
from berth.wire.channel import bind, make_server
from tests.hosts.ports import free_port

HERE = "127.0.0.1"


def test_a_port_is_kept_for_the_program_that_was_told() -> None:
    port = free_port(HERE)
    with socket.socket() as other, pytest.raises(OSError, match="Address already in use"):
        other.bind((HERE, port))
    for _ in range(2):  # Its program may end and come back.
        with socket.create_server((HERE, port)), socket.create_connection((HERE, port)):
            pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HERE, port))


def test_programs_of_ours_may_listen_there() -> None:
    async def bound() -> int:
        return bind(make_server(), f"{HERE}:{port}", None)

    port = free_port(HERE)
    assert asyncio.run(bound()) == port
    port = free_port(HERE)
    with open_listener("http_listen", f"{HERE}:{port}") as listener:
        assert listener.getsockname() == (HERE, port)
