"""Have the kernel ask silent peers whether their machine is there.

Duty: TCP's own keepalive on the connections of gRPC, which does not ask for it. The kernels of the
two machines settle it between them: ten thousand silent connections cost neither program anything,
where HTTP/2's PINGs as often would cost a leader a third of a core.
Not here: peers whose machine lives and whose process does not turn; PINGs ask these, more rarely
(berth.wire.channel).
Invariants (tests/contract/test_kernel_keepalive.py): a peer that is cut off is given up within
`IDLE_S + TIMEOUT_S` and a little; what a listener is told holds for all that it accepts.

A socket of gRPC's is reached by its number under `/proc/self/fd`. What the kernel is told of a
duplicate holds for the socket itself. gRPC sets TCP_USER_TIMEOUT by its own PINGs' time limit; what
it is told here holds.
"""

import itertools
import os
import socket
from collections.abc import Callable, Iterator
from typing import Final

IDLE_S: Final = 2
INTERVAL_S: Final = 1
TIMEOUT_S: Final = 2
"""How long a peer may leave questions without an answer."""
UNHEARD_S: Final = IDLE_S + TIMEOUT_S - INTERVAL_S / 2
"""How long it may be silent when a question is due or anything was sent. This, and no count of
questions, decides where it is set (tcp(7), TCP_USER_TIMEOUT), and it counts from what was heard
last: at `TIMEOUT_S` one packet that was lost, or came a second late, broke a connection. Half an
interval less than all that is allowed, so that no rounding adds a question."""

_FDS: Final = "/proc/self/fd"
_NEWEST: Final = 32


def is_available() -> bool:
    """Return whether this system has all that it takes: Linux, with /proc."""
    return hasattr(socket, "TCP_USER_TIMEOUT") and os.path.isdir(_FDS)


def arm_listeners(port: int) -> int:
    """Arm what listens on `port`, and so all that it will accept; return how many there are."""
    return sum(_arm(fd, lambda it: _is_listener(it, port)) is not None for fd in _open_fds())


def arm_connection(port: int) -> bool:
    """Arm one connection to a peer's `port` that is not armed yet, the newest first.

    Returns:
        Whether there is any such connection, armed now or before.
    """
    found = False
    for fd in itertools.chain(_newest_fds(), _open_fds()):
        fresh = _arm(fd, lambda it: _is_connection_to(it, port))
        if fresh:
            return True
        found = found or fresh is not None
    return found


def arm_connections(port: int) -> int:
    """Arm all connections to a peer's `port`; return how many there are."""
    found = [_arm(fd, lambda it: _is_connection_to(it, port)) for fd in _open_fds()]
    return sum(fresh is not None for fresh in found)


def duplicate(fd: int) -> socket.socket:
    """Return another handle of the socket that has this number; close it.

    Raises:
        OSError: there is none, or it is no socket.
    """
    copy = os.dup(fd)
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise


def _arm(fd: int, is_meant: Callable[[socket.socket], bool]) -> bool | None:
    """Arm a socket; return whether that was new, None when it is not one that is meant."""
    try:
        with duplicate(fd) as it:
            if it.family not in (socket.AF_INET, socket.AF_INET6) or not is_meant(it):
                return None
            if it.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE):
                return False
            it.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE_S)
            it.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, INTERVAL_S)
            it.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, TIMEOUT_S // INTERVAL_S)
            it.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNHEARD_S * 1000))
            it.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            return True
    except OSError:
        return None  # No socket, closed meanwhile, or connected to nobody.


def _is_listener(it: socket.socket, port: int) -> bool:
    is_listening = bool(it.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    return is_listening and int(it.getsockname()[1]) == port


def _is_connection_to(it: socket.socket, port: int) -> bool:
    return it.type == socket.SOCK_STREAM and int(it.getpeername()[1]) == port


def _newest_fds() -> Iterator[int]:
    """Yield the numbers just below the lowest free one: most often those given out last."""
    free = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.close(free)
    yield from range(free - 1, max(free - 1 - _NEWEST, -1), -1)


def _open_fds() -> Iterator[int]:
    yield from sorted(map(int, os.listdir(_FDS)), reverse=True)
