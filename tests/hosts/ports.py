"""Give each program that a test starts a port that stays its own.

Duty: ports that nobody else on this machine is given as long as this process lives.
Not here: which program gets which.
"""

import socket


def free_port(address: str = "127.0.0.1") -> int:
    """Return a port of `address` that nobody listens on, and that only who is told may take.

    A port that is merely free can be gone before its program listens on it, or while its program
    is dead for a test's sake: the kernel gives it to another test's worker, to this caller once
    more, or to any connection that goes out. A socket that is bound and does not listen keeps it
    from all of them, and lets in who sets SO_REUSEADDR, as servers do. It is never closed.
    """
    keeping = socket.socket()
    keeping.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeping.bind((address, 0))
    port: int = keeping.getsockname()[1]
    keeping.detach()
    return port
