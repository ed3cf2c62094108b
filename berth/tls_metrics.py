"""The metric that tells when certificates run out, the same in every program.

Duty: show the ends of the certificates that a program uses, from the start and each reload on.
Not here: making or renewing them (berth.certificates). Invariant: what is shown is what the process
uses, not what lies on the disk by now; both are read at the same moments.
"""

from prometheus_client import CollectorRegistry, Gauge

from berth.certificates import expiry
from berth.wire.tls import TlsSettings


class CertificateMetrics:
    """Shows nothing where the cluster runs without TLS."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._expiry = Gauge(
            "berth_certificate_expiry_timestamp_seconds",
            "When a certificate in use ceases to be valid, in seconds since 1970.",
            ["certificate"],
            registry=registry,
        )

    def show(self, tls: TlsSettings | None) -> None:
        """Show the ends of the authority's certificate and of our own.

        Raises:
            ConfigError: one of the files holds no certificate.
        """
        if tls is None:
            return
        self._expiry.labels("authority").set(expiry(tls.ca_file))
        self._expiry.labels("own").set(expiry(tls.cert_file))
