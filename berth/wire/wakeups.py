"""An event loop on which gRPC's events are never starved by our own work.

Duty: cure one trap of `grpc.aio`. Its poller thread writes one byte to a socket for each event, and
its reader on the loop takes one byte for each iteration of the loop, though it then takes over all
events that there are. While the loop is held up, unread bytes gather; each further iteration finds
the socket readable and reads one more. Once the socket is full, the poller thread blocks in its
write: from then on, no more than one event comes through per iteration, and a leader whose turns
take milliseconds hears its agents at a twentieth of the speed (docs/performance.md).

So the loop reads all these bytes but one before it calls gRPC's reader, which reads that one.

Not here: anything else of gRPC's. This leans on a name inside gRPC (`_handle_events`); where it is
not found, loops behave as always (tests/contract/test_wakeups.py tells).
"""

import asyncio
import functools
import socket
from collections.abc import Callable
from typing import Any, Final, TypeVarTuple

_Args = TypeVarTuple("_Args")

_READER_NAME: Final = "_handle_events"
_MANY_BYTES: Final = 65_536


class WakefulLoop(asyncio.SelectorEventLoop):
    """The standard loop, with the drain that the module describes."""

    def add_reader(self, fd: Any, callback: Callable[[*_Args], Any], *args: *_Args) -> None:
        """Watch `fd`; gRPC's own wake-up socket is drained first."""
        if isinstance(fd, socket.socket) and _is_reader_of_grpc(callback):
            super().add_reader(fd, functools.partial(_drain_and_call, fd, callback, *args))
        else:
            super().add_reader(fd, callback, *args)


def _is_reader_of_grpc(callback: Callable[..., Any]) -> bool:
    function = callback.func if isinstance(callback, functools.partial) else callback
    return getattr(function, "__name__", "") == _READER_NAME


def _drain_and_call(wake: socket.socket, callback: Callable[..., Any], *args: Any) -> None:
    """Take all bytes but one, then let gRPC take that one and every event that is there."""
    waiting = len(wake.recv(_MANY_BYTES, socket.MSG_PEEK))
    if waiting > 1:
        wake.recv(waiting - 1)
    callback(*args)
