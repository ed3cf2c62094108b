"""The `docker` package's way to a unix socket, without its leak.

The package forgets to close a socket whose connect fails, which happens at every call while an
Engine is away; the descriptor then waits for the garbage collector. Everything else is the
package's own.
"""

import socket
from typing import Any

from docker.transport.unixconn import (
    UnixHTTPAdapter,
    UnixHTTPConnection,
    UnixHTTPConnectionPool,
)


class _Connection(UnixHTTPConnection):  # type: ignore[misc]  # The package has no types.
    def connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self.timeout)
            connection.connect(self.unix_socket)
        except BaseException:
            connection.close()
            raise
        self.sock = connection


class _Pool(UnixHTTPConnectionPool):  # type: ignore[misc]
    def _new_conn(self) -> _Connection:
        return _Connection(self.base_url, self.socket_path, self.timeout)


class UnixAdapter(UnixHTTPAdapter):  # type: ignore[misc]
    """Carries requests over a unix socket."""

    def get_connection(self, url: Any, proxies: Any = None) -> Any:
        """Return the pool for `url`, making it when it is not there yet."""
        with self.pools.lock:
            pool = self.pools.get(url)
            if pool is None:
                pool = _Pool(url, self.socket_path, self.timeout, maxsize=self.max_pool_size)
                self.pools[url] = pool
        return pool
