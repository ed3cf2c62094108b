"""Who speaks to whom: mutual TLS between schedulers, agents and clients.

Duty: read certificate files into credentials for gRPC and for HTTP, and read a peer's name and role
from its certificate.
Not here: making certificates (berth.certificates), channels and servers (berth.wire.channel),
exchanging them while a process runs (berth.wire.live_tls).
Invariants (tests/unit/berth/wire/test_tls.py): a server takes no peer without a certificate of
our authority; the role in a certificate, not an address, says what its bearer is, so addresses
may change; a certificate that names several roles, or none, is nobody's.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Protocol, Self

import grpc
import grpc.aio
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import NameOID

from berth.access import UserRole
from berth.errors import ConfigError, Fault, UnauthenticatedError
from berth.model.instant import Timestamp


class Role(StrEnum):
    """What the bearer of a certificate is. It stands as organisational unit and as a DNS name."""

    SCHEDULER = "scheduler"
    AGENT = "agent"
    CLIENT = "client"

    @property
    def tls_name(self) -> str:
        """The name in the certificate by which the other side knows the role."""
        return f"berth-{self.value}"


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """Who is at the other end, as its certificate says."""

    name: str
    role: Role
    user_role: UserRole | None = None
    """What a client may do; None of schedulers and agents, which are no users."""


class TlsSource(Protocol):
    """Where channels and servers get their credentials: files, or what was read from them."""

    def server_credentials(self) -> grpc.ServerCredentials:
        """Return credentials for a server that asks every peer for a certificate."""
        ...

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Return credentials for a client that shows its certificate."""
        ...

    def told_end(self, now: Timestamp) -> str:
        """Return that a certificate of ours has ended, in words; "" while both hold."""
        ...


@dataclass(frozen=True, slots=True)
class TlsContent:
    """What stands in the files, all in PEM, checked to belong together."""

    ca: bytes
    cert: bytes
    key: bytes = field(repr=False)

    def told_end(self, now: Timestamp) -> str:
        """Return that ours, or the authority's, has ended, in words; "" while both hold.

        The other side only ends the connection, so that its error says nothing of this.
        """
        for whose, pem in (("our", self.cert), ("the authority's", self.ca)):
            end = _certificate(pem).not_valid_after_utc
            if end.timestamp() <= now:
                return f"{whose} certificate ended on {end:%Y-%m-%d %H:%M} UTC; issue it anew"
        return ""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """Paths of PEM files: the authority's certificate, our certificate, our private key."""

    ca_file: Path
    cert_file: Path
    key_file: Path

    @classmethod
    def from_paths(cls, ca_file: str, cert_file: str, key_file: str) -> Self | None:
        """Return settings when all three are given, None when none is.

        Raises:
            ConfigError: some are missing; it names them.
        """
        given = {"tls.ca_file": ca_file, "tls.cert_file": cert_file, "tls.key_file": key_file}
        missing = [key for key, path in given.items() if not path]
        if len(missing) == len(given):
            return None
        if missing:
            raise _wrong([Fault(key, "is not set; set all three or none") for key in missing])
        return cls(Path(ca_file), Path(cert_file), Path(key_file))

    def check(self) -> None:
        """Read everything once, so that a fault is found at the start.

        Raises:
            ConfigError: it lists every file that cannot be read or does not fit.
        """
        self.read()

    def server_credentials(self) -> grpc.ServerCredentials:
        """Return credentials for a server that asks every peer for a certificate."""
        found = self.read()
        pair = (found.key, found.cert)
        return grpc.ssl_server_credentials([pair], found.ca, require_client_auth=True)

    def server_context(self) -> ssl.SSLContext:
        """Return the same for a server of HTTP, as Docker's ``--tlsverify`` asks for it.

        Raises:
            ConfigError: a file cannot be read or does not fit.
        """
        self.check()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.ca_file)
        context.load_cert_chain(self.cert_file, self.key_file)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Return credentials for a client that shows its certificate."""
        found = self.read()
        return grpc.ssl_channel_credentials(found.ca, found.key, found.cert)

    def told_end(self, now: Timestamp) -> str:
        """Return that a certificate in the files has ended, in words; "" while both hold."""
        return self.read().told_end(now)

    def read(self) -> TlsContent:
        """Return what the files hold now.

        Raises:
            ConfigError: it lists every file that cannot be read or does not fit.
        """
        faults: list[Fault] = []
        ca = _read_file("tls.ca_file", self.ca_file, faults)
        cert = _read_file("tls.cert_file", self.cert_file, faults)
        key = _read_file("tls.key_file", self.key_file, faults)
        if not faults:
            _parse("tls.ca_file", self.ca_file, lambda: _certificate(ca), faults)
            _parse("tls.cert_file", self.cert_file, lambda: _certificate(cert), faults)
            _parse("tls.key_file", self.key_file, lambda: _private_key(key), faults)
        if not faults and _certificate(cert).public_key() != _private_key(key).public_key():
            faults.append(
                Fault("tls.key_file", f"{self.key_file} is not the key of {self.cert_file}")
            )
        if faults:
            raise _wrong(faults)
        return TlsContent(ca, cert, key)


def peer_identity(context: "grpc.aio.ServicerContext[object, object]") -> PeerIdentity | None:
    """Return who calls, None on a connection without TLS.

    Raises:
        UnauthenticatedError: the certificate is of our authority, and names no single role.
    """
    properties = context.auth_context()
    if properties.get("transport_security_type") != [b"ssl"]:
        return None
    (pem,) = properties.get("x509_pem_cert") or (b"",)
    return _identity_of_pem(pem)


@lru_cache(maxsize=256)  # A client shows the same one at every request.
def identity_of_der(der: bytes) -> PeerIdentity:
    """Return who bears a certificate, in the form that `ssl` hands out.

    Raises:
        UnauthenticatedError: it names no single role, or no single name.
    """
    return _identity_of(x509.load_der_x509_certificate(der))


@lru_cache(maxsize=256)  # A peer shows the same one at every call.
def _identity_of_pem(pem: bytes) -> PeerIdentity:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise UnauthenticatedError("the certificate cannot be read; issue another") from None
    return _identity_of(certificate)


def _identity_of(certificate: x509.Certificate) -> PeerIdentity:
    subject = certificate.subject
    names = [str(each.value) for each in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    units = {
        str(each.value) for each in subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    }
    roles = [role for role in Role if role.tls_name in _dns_names(certificate)]
    user_roles = [role for role in UserRole if role.value in units]
    if not roles and user_roles:
        roles = [Role.CLIENT]  # Another tool's certificate, for a user alone.
    if len(roles) != 1 or len(names) != 1:
        raise UnauthenticatedError(
            f"the certificate of {sorted(names)} names {len(roles)} of the roles "
            f"{', '.join(role.tls_name for role in Role)}; issue one with exactly one"
        )
    if roles[0] is not Role.CLIENT:
        return PeerIdentity(names[0], roles[0])
    if Role.CLIENT.value in units:
        user_roles.append(UserRole.ADMIN)  # As all clients were before there were such roles.
    if len(user_roles) != 1:
        raise UnauthenticatedError(
            f'the certificate of "{names[0]}" names {len(user_roles)} of the roles '
            f"{', '.join(UserRole)} as its organisational unit (OU); issue one with exactly one"
        )
    return PeerIdentity(names[0], Role.CLIENT, user_roles[0])


def _dns_names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return found.value.get_values_for_type(x509.DNSName)


def _read_file(key: str, path: Path, faults: list[Fault]) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        faults.append(Fault(key, f'cannot read "{path}": {error.strerror}'))
        return b""


def _parse(key: str, path: Path, parse: Callable[[], object], faults: list[Fault]) -> None:
    try:
        parse()
    except (ValueError, TypeError) as error:  # TypeError: the key has a passphrase.
        faults.append(Fault(key, f'"{path}" is not what it should be in PEM: {error}'))


def _certificate(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def _private_key(pem: bytes) -> PrivateKeyTypes:
    return serialization.load_pem_private_key(pem, None)


def _wrong(faults: list[Fault]) -> ConfigError:
    lines = "; ".join(str(fault) for fault in faults)
    return ConfigError(f"TLS is set up wrongly: {lines}", faults)
