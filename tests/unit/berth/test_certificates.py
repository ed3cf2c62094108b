import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from prometheus_client import CollectorRegistry

from berth.access import UserRole
from berth.certificates import (
    copy_for_docker,
    create_authority,
    expiry,
    issue,
    load_authority,
)
from berth.clock import SystemClock
from berth.entropy import SystemEntropy
from berth.errors import AlreadyExistsError, ConfigError, InvalidRequestError
from berth.tls_metrics import CertificateMetrics
from berth.wire.tls import Role

PORTS = {"clock": SystemClock(), "entropy": SystemEntropy()}


@pytest.fixture
def authority(tmp_path):
    return create_authority(tmp_path / "ca", **PORTS)


def extension(certificate, kind):
    return certificate.extensions.get_extension_for_class(kind).value


@pytest.mark.parametrize("role", list(Role))
def test_a_certificate_says_who_and_what_its_bearer_is(authority, tmp_path, role):
    settings = issue(authority, role, "node-1", ["10.0.0.1", "fd00::1", "a.b"], tmp_path, **PORTS)
    certificate = x509.load_pem_x509_certificate(settings.cert_file.read_bytes())
    certificate.verify_directly_issued_by(authority.certificate)
    [name] = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    [unit] = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    assert (name.value, unit.value) == ("node-1", role.value)
    alternatives = extension(certificate, x509.SubjectAlternativeName)
    assert alternatives.get_values_for_type(x509.DNSName) == [f"berth-{role.value}", "a.b"]
    assert [str(a) for a in alternatives.get_values_for_type(x509.IPAddress)] == [
        "10.0.0.1",
        "fd00::1",
    ]
    uses = extension(certificate, x509.ExtendedKeyUsage)
    assert (ExtendedKeyUsageOID.SERVER_AUTH in uses) is (role is Role.SCHEDULER)
    assert ExtendedKeyUsageOID.CLIENT_AUTH in uses
    now = datetime.now(UTC)
    assert certificate.not_valid_before_utc < now - timedelta(minutes=30)
    assert certificate.not_valid_after_utc > now + timedelta(days=364)
    settings.check()


@pytest.mark.parametrize("user_role", list(UserRole))
def test_a_users_certificate_says_what_the_user_may_do(authority, tmp_path, user_role):
    files = issue(authority, Role.CLIENT, "ann", [], tmp_path, user_role=user_role, **PORTS)
    certificate = x509.load_pem_x509_certificate(files.cert_file.read_bytes())
    [unit] = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    assert unit.value == user_role.value
    alternatives = extension(certificate, x509.SubjectAlternativeName)
    assert alternatives.get_values_for_type(x509.DNSName) == ["berth-client"]


def test_docker_finds_its_files_under_its_own_names(authority, tmp_path):
    files = issue(authority, Role.CLIENT, "ann", [], tmp_path / "out", **PORTS)
    folder = copy_for_docker(files)
    assert folder == tmp_path / "out" / "ann"
    for name, source in (
        ("ca.pem", authority.cert_file),
        ("cert.pem", files.cert_file),
        ("key.pem", files.key_file),
    ):
        assert (folder / name).read_bytes() == source.read_bytes()
    assert stat.S_IMODE((folder / "key.pem").stat().st_mode) == 0o600


def test_private_keys_are_their_owners_alone(authority, tmp_path):
    settings = issue(authority, Role.AGENT, "n", [], tmp_path / "out", **PORTS)
    for key in (settings.key_file, authority.cert_file.with_name("ca.key")):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.cert_file.stat().st_mode) == 0o644
    assert settings.ca_file.read_bytes() == authority.cert_file.read_bytes()


def test_an_authority_is_read_again_and_signs_on(authority, tmp_path):
    loaded = load_authority(tmp_path / "ca")
    assert loaded.certificate == authority.certificate
    first = issue(loaded, Role.AGENT, "n", [], tmp_path / "ca", **PORTS)
    before = first.cert_file.read_bytes()
    assert issue(loaded, Role.AGENT, "n", [], tmp_path / "ca", **PORTS) == first
    assert first.cert_file.read_bytes() != before
    first.check()


def test_an_authority_is_never_overwritten(authority, tmp_path):
    with pytest.raises(AlreadyExistsError, match=r"ca\.crt\" exists"):
        create_authority(tmp_path / "ca", **PORTS)


def test_an_authority_that_is_absent_or_mixed_up_is_said(authority, tmp_path):
    with pytest.raises(ConfigError, match="no certificate authority in"):
        load_authority(tmp_path / "nowhere")
    create_authority(tmp_path / "other", **PORTS)
    (tmp_path / "other" / "ca.key").replace(tmp_path / "ca" / "ca.key")
    with pytest.raises(ConfigError, match="is not the key of"):
        load_authority(tmp_path / "ca")


@pytest.mark.parametrize(
    ("name", "addresses", "problem"),
    [
        ("berth-scheduler", [], "is the name of a role"),
        ("n", ["berth-scheduler"], "is the name of a role"),
        ("n", ["Berth-Scheduler"], "is the name of a role"),
        ("../n", [], "cannot name the bearer"),
        ("", [], "cannot name the bearer"),
        ("ca", [], "cannot name the bearer"),
        ("n" * 64, [], "cannot name the bearer"),
        ("n", ["10.0.0.1:7701"], "write it without port"),
        ("n", ["*.example"], "neither an IP address nor a host name"),
    ],
)
def test_a_name_that_would_deceive_is_refused(authority, tmp_path, name, addresses, problem):
    with pytest.raises(InvalidRequestError, match=problem):
        issue(authority, Role.AGENT, name, addresses, tmp_path / "out", **PORTS)
    assert not (tmp_path / "out").exists()


def test_the_end_of_a_certificate_is_read_from_its_file(authority, tmp_path):
    settings = issue(authority, Role.AGENT, "n", [], tmp_path, **PORTS)
    in_a_year = datetime.now(UTC) + timedelta(days=365)
    assert abs(expiry(settings.cert_file) - in_a_year.timestamp()) < 60
    assert expiry(settings.ca_file) > expiry(settings.cert_file)


def test_a_file_without_a_certificate_has_no_end(tmp_path):
    with pytest.raises(ConfigError, match="name a PEM file"):
        expiry(tmp_path / "absent.crt")


def test_programs_show_when_their_certificates_end(authority, tmp_path):
    settings = issue(authority, Role.AGENT, "n", [], tmp_path, **PORTS)
    registry = CollectorRegistry()
    metrics = CertificateMetrics(registry)
    name = "berth_certificate_expiry_timestamp_seconds"
    metrics.show(None)
    assert registry.get_sample_value(name, {"certificate": "own"}) is None
    metrics.show(settings)
    assert registry.get_sample_value(name, {"certificate": "own"}) == expiry(settings.cert_file)
    assert registry.get_sample_value(name, {"certificate": "authority"}) == expiry(settings.ca_file)
