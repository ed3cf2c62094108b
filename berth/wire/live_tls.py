"""The certificate of a running process, which a reload may exchange.

Duty: hold what was read from the files; give it to every new handshake, on either side; exchange it
whole or not at all.
Not here: when to exchange (berth.reload), reading the files (berth.wire.tls). Who keeps channels
asks `on_exchange` to be told.
Invariants (tests/unit/berth/wire/test_live_tls.py): files that do not fit change nothing; nothing
is read from the disk between two exchanges; connections that exist go on.
"""

import ssl
from collections.abc import Callable
from typing import Self

import grpc
import structlog

from berth.clock import Clock
from berth.model.instant import Timestamp
from berth.wire.tls import TlsContent, TlsSettings

log = structlog.get_logger(__name__)


class LiveTls:
    """A `TlsSource` whose content can be exchanged.

    gRPC asks for the server's part on its own threads: `_content` is one reference, replaced whole.
    """

    def __init__(self, settings: TlsSettings) -> None:
        """Read the files.

        Raises:
            ConfigError: they cannot be read, or do not fit.
        """
        self.settings = settings
        self._content = settings.read()
        self._http = settings.server_context()
        self._told: list[Callable[[TlsSettings], object]] = []

    @classmethod
    def of(cls, settings: TlsSettings | None, clock: Clock) -> Self | None:
        """Return what a process starts with, None without TLS; log a certificate that has ended."""
        if settings is None:
            return None
        it = cls(settings)
        if why := it.told_end(clock.timestamp()):
            log.warning("certificate_ended", why=why)
        return it

    def server_credentials(self) -> grpc.ServerCredentials:
        """Return credentials that show each new peer the certificate in use by then.

        gRPC asks at every handshake, from several threads, and puts in use what it is told without
        regard to handshakes that just take what was in use before: told at each of them, it crashes
        the process (grpcio 1.85; tests/contract/test_tls_storm.py). It is told of an exchange once.
        """
        shown = self._content

        def news() -> grpc.ServerCertificateConfiguration | None:
            nonlocal shown
            if shown is self._content:
                return None
            shown = self._content
            return _for_server(shown)

        return grpc.dynamic_ssl_server_credentials(
            _for_server(shown),
            news,  # type: ignore[arg-type]  # None means "as before"; the stubs do not know it.
            require_client_authentication=True,
        )

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Return credentials for one channel, which keeps them: open another after an exchange."""
        found = self._content
        return grpc.ssl_channel_credentials(found.ca, found.key, found.cert)

    def told_end(self, now: Timestamp) -> str:
        """Return that a certificate in use has ended, in words; "" while both hold."""
        return self._content.told_end(now)

    def server_context(self) -> ssl.SSLContext:
        """Return what a server of HTTP shows its next client; ask anew for each."""
        return self._http

    def on_exchange(self, tell: Callable[[TlsSettings], object]) -> None:
        """Call `tell` with the files in use, after each exchange."""
        self._told.append(tell)

    def prepare(self, settings: TlsSettings) -> Callable[[], None]:
        """Read other files, or the same ones anew; return what puts them in use.

        Raises:
            ConfigError: they cannot be read, or do not fit; nothing has changed.
        """
        content, http = settings.read(), settings.server_context()

        def exchange() -> None:
            has_changed = (settings, content) != (self.settings, self._content)
            self.settings, self._content, self._http = settings, content, http
            if has_changed:
                for tell in self._told:
                    tell(settings)

        return exchange


def _for_server(content: TlsContent) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(content.key, content.cert)], content.ca)
