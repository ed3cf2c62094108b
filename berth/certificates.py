"""Make a certificate authority, and certificates for the parts of a cluster.

Duty: what `berth certificate` and `berth up` hand out, so that a cluster speaks mutual TLS.
Not here: using certificates (berth.wire.tls), renewing them while running.
Invariants (tests/unit/berth/test_certificates.py): a certificate names exactly one role, and a
client's one of a user; private keys are readable by their owner only, from the first byte on.
"""

import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from berth.access import UserRole
from berth.clock import Clock
from berth.entropy import Entropy
from berth.errors import AlreadyExistsError, ConfigError, InvalidRequestError
from berth.model.instant import Timestamp
from berth.wire.tls import Role, TlsSettings

AUTHORITY_DAYS: Final = 3650
CERTIFICATE_DAYS: Final = 365
_BACKDATED: Final = timedelta(hours=1)  # Clocks of a cluster's machines differ a little.
_SERIAL_BYTES: Final = 19  # RFC 5280 allows 20 octets, and the number must be positive.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority whose private key is at hand."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    cert_file: Path


def create_authority(
    directory: Path, *, clock: Clock, entropy: Entropy, name: str = "Berth"
) -> Authority:
    """Make `ca.crt` and `ca.key` in `directory`.

    Raises:
        AlreadyExistsError: there is one; a second would disown every certificate of the first.
    """
    cert_file, key_file = directory / "ca.crt", directory / "ca.key"
    for file in (cert_file, key_file):
        if file.exists():
            raise AlreadyExistsError(
                f'"{file}" exists: use that authority, or remove it with all its certificates'
            )
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} authority")])
    certificate = (
        _begun(subject, subject, key.public_key(), AUTHORITY_DAYS, clock, entropy)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(is_authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(key_file, _key_pem(key), 0o600)
    _write(cert_file, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    return Authority(certificate, key, cert_file)


def load_authority(directory: Path) -> Authority:
    """Read what `create_authority` made.

    Raises:
        ConfigError: a file is missing or is not what it should be.
    """
    cert_file, key_file = directory / "ca.crt", directory / "ca.key"
    try:
        certificate = x509.load_pem_x509_certificate(cert_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f'no certificate authority in "{directory}": {error}; make one, or name its folder'
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or (
        key.public_key() != certificate.public_key()
    ):
        raise ConfigError(f'"{key_file}" is not the key of "{cert_file}"; restore the pair')
    return Authority(certificate, key, cert_file)


def issue(
    authority: Authority,
    role: Role,
    name: str,
    addresses: Sequence[str],
    out_dir: Path,
    *,
    clock: Clock,
    entropy: Entropy,
    user_role: UserRole | None = None,
) -> TlsSettings:
    """Make `NAME.crt` and `NAME.key` in `out_dir`, beside a copy of the authority's `ca.crt`.

    An older pair of that name is replaced.

    Args:
        authority: who signs.
        role: what the bearer is; only a scheduler's certificate serves.
        name: the bearer, such as `node-1`.
        addresses: IP addresses and host names of the bearer, without ports.
        out_dir: made when absent.
        clock: for the days of validity.
        entropy: for the serial number.
        user_role: what a client may do; None = everything.

    Raises:
        InvalidRequestError: a name that cannot stand in a certificate, or that claims a role.
    """
    assert user_role is None or role is Role.CLIENT
    alternatives = _alternative_names(role, name, addresses)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, name),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, (user_role or role).value),
        ]
    )
    # Schedulers are clients too: they forward to the leader.
    uses = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if role is Role.SCHEDULER:
        uses.append(ExtendedKeyUsageOID.SERVER_AUTH)
    issuer_key = authority.key.public_key()
    certificate = (
        _begun(
            subject,
            authority.certificate.subject,
            key.public_key(),
            CERTIFICATE_DAYS,
            clock,
            entropy,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False
        )
        .sign(authority.key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    settings = TlsSettings(out_dir / "ca.crt", out_dir / f"{name}.crt", out_dir / f"{name}.key")
    _write(settings.key_file, _key_pem(key), 0o600)
    _write(settings.cert_file, certificate.public_bytes(pem), 0o644)
    if settings.ca_file.resolve() != authority.cert_file.resolve():
        _write(settings.ca_file, authority.certificate.public_bytes(pem), 0o644)
    return settings


def copy_for_docker(files: TlsSettings) -> Path:
    """Copy a client's files to where the docker CLI looks for them; return that folder.

    It is named after the bearer, and is what DOCKER_CERT_PATH wants: ca.pem, cert.pem, key.pem.
    """
    folder = files.cert_file.with_suffix("")
    for source, name, mode in (
        (files.ca_file, "ca.pem", 0o644),
        (files.cert_file, "cert.pem", 0o644),
        (files.key_file, "key.pem", 0o600),
    ):
        _write(folder / name, source.read_bytes(), mode)
    return folder


def expiry(file: Path) -> Timestamp:
    """Return when the first certificate of a PEM file ceases to be valid.

    Raises:
        ConfigError: the file cannot be read, or holds no certificate.
    """
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f'no certificate in "{file}": {error}; name a PEM file') from error
    return Timestamp(certificate.not_valid_after_utc.timestamp())


def _alternative_names(role: Role, name: str, addresses: Sequence[str]) -> list[x509.GeneralName]:
    claimed = {other.tls_name for other in Role}
    for text in (name, *addresses):
        if text.lower() in claimed:  # It would make its bearer a scheduler, say.
            raise InvalidRequestError(
                f'"{text}" is the name of a role: give the {role.value} a name of its own'
            )
    if not _NAME.fullmatch(name) or name == "ca":
        raise InvalidRequestError(
            f'"{name}" cannot name the bearer of a certificate: use up to 63 letters, digits, '
            'dots, hyphens and underscores, the first a letter or digit, and not "ca"'
        )
    names: list[x509.GeneralName] = [x509.DNSName(role.tls_name)]
    for address in addresses:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(address)))
            continue
        except ValueError:
            pass
        if not _NAME.fullmatch(address):
            raise InvalidRequestError(
                f'"{address}" is neither an IP address nor a host name: write it without port'
            )
        names.append(x509.DNSName(address))
    return names


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    days: int,
    clock: Clock,
    entropy: Entropy,
) -> x509.CertificateBuilder:
    now = datetime.fromtimestamp(clock.timestamp(), UTC)
    serial = int.from_bytes(entropy.token_bytes(_SERIAL_BYTES), "big") | 1  # Never 0.
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
    )


def _key_usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a whole file or none, never readable by more than `mode` says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
