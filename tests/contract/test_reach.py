"""Whether somebody listens at an address, asked of a real kernel."""

import asyncio
import socket

from scheduler.reach import can_reach


def test_a_listener_is_reached_and_a_free_port_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        assert asyncio.run(can_reach(address))
    assert not asyncio.run(can_reach(address))


def test_an_address_of_the_sixth_version_is_understood() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        assert asyncio.run(can_reach(f"[::1]:{listener.getsockname()[1]}"))
