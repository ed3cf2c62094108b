"""Mutual TLS on real connections: who is let in, and who it is then."""

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from berth.access import UserRole
from berth.certificates import create_authority, issue
from berth.clock import SystemClock
from berth.entropy import SystemEntropy
from berth.errors import ConfigError, UnauthenticatedError, UnavailableError
from berth.wire.channel import bind, make_server, open_channel
from berth.wire.live_tls import LiveTls
from berth.wire.status import BerthErrorInterceptor, error_from_rpc
from berth.wire.tls import (
    PeerIdentity,
    Role,
    TlsContent,
    TlsSettings,
    identity_of_der,
    peer_identity,
)

PORTS = {"clock": SystemClock(), "entropy": SystemEntropy()}


class WhoAmI(grpc.GenericRpcHandler):
    """One method, /test/WhoAmI, that answers with the caller's role and name."""

    def service(self, details):
        async def answer(_, context):
            return repr(peer_identity(context)).encode()

        return grpc.unary_unary_rpc_method_handler(answer) if details.method else None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pki")


@pytest.fixture(scope="module")
def authority(folder):
    return create_authority(folder, **PORTS)


@pytest.fixture(scope="module")
def scheduler_tls(authority, folder):
    # Its addresses do not name where it will listen: addresses may change.
    return issue(authority, Role.SCHEDULER, "scheduler-1", ["192.0.2.1"], folder, **PORTS)


@asynccontextmanager
async def serving(tls):
    server = make_server(interceptors=[BerthErrorInterceptor()])
    server.add_generic_rpc_handlers((WhoAmI(),))
    port = bind(server, "127.0.0.1:0", tls)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def who_am_i(target, tls):
    async with open_channel(target, tls) as channel:
        try:
            return (await channel.unary_unary("/test/WhoAmI")(b"", timeout=60)).decode()
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from error


def ask(server_tls, tls):
    async def run():
        async with serving(server_tls) as target:
            return await who_am_i(target, tls)

    return asyncio.run(run())


@pytest.mark.parametrize("role", list(Role))
def test_the_right_certificate_is_let_in_and_known(authority, scheduler_tls, folder, role):
    ours = issue(authority, role, "somebody", [], folder, **PORTS)
    user_role = UserRole.ADMIN if role is Role.CLIENT else None
    assert ask(scheduler_tls, ours) == repr(PeerIdentity("somebody", role, user_role))


@pytest.mark.parametrize(
    ("units", "names", "known"),
    [
        pytest.param(["viewer"], ["berth-client"], UserRole.VIEWER, id="as Berth issues them"),
        pytest.param(["deployer"], [], UserRole.DEPLOYER, id="of another tool: by OU alone"),
        pytest.param(["sales", "admin"], ["a.b"], UserRole.ADMIN, id="beside other units"),
        pytest.param(["client"], ["berth-client"], UserRole.ADMIN, id="of before there were roles"),
        pytest.param(["admin", "viewer"], [], None, id="two roles"),
        pytest.param(["client", "viewer"], ["berth-client"], None, id="whole and not"),
        pytest.param(["sales"], ["berth-client"], None, id="a client without a role"),
        pytest.param(["sales"], [], None, id="nobody"),
        pytest.param(["client"], [], None, id="OU client alone is no proof"),
        pytest.param(["admin"], ["berth-client", "berth-agent"], None, id="client and agent"),
    ],
)
def test_what_a_certificate_makes_of_its_bearer(units, names, known):
    der = self_signed(units, names)
    if known is None:
        with pytest.raises(UnauthenticatedError, match="issue one with exactly one"):
            identity_of_der(der)
    else:
        assert identity_of_der(der) == PeerIdentity("ann", Role.CLIENT, known)


def test_an_agent_whose_unit_is_a_users_stays_an_agent():
    found = identity_of_der(self_signed(["admin"], ["berth-agent"]))
    assert found == PeerIdentity("ann", Role.AGENT)


def self_signed(units, names):
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, "ann")]
    attributes += [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units]
    subject = x509.Name(attributes)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_without_tls_nobody_is_known():
    assert ask(None, None) == "None"


def test_no_certificate_is_refused(scheduler_tls):
    async def run():
        root = scheduler_tls.ca_file.read_bytes()
        name = ("grpc.ssl_target_name_override", "berth-scheduler")
        credentials = grpc.ssl_channel_credentials(root)
        async with (
            serving(scheduler_tls) as target,
            grpc.aio.secure_channel(target, credentials, [name]) as channel,
        ):
            await channel.unary_unary("/test/WhoAmI")(b"", timeout=60)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        asyncio.run(run())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_speaking_in_the_clear_is_refused(scheduler_tls):
    with pytest.raises(UnavailableError):
        ask(scheduler_tls, None)


def test_a_certificate_of_another_authority_is_refused(scheduler_tls, tmp_path):
    other = create_authority(tmp_path, **PORTS)
    theirs = issue(other, Role.AGENT, "intruder", [], tmp_path, **PORTS)
    # It knows our authority, so that only the server can refuse it.
    forged = TlsSettings(scheduler_tls.ca_file, theirs.cert_file, theirs.key_file)
    with pytest.raises(UnavailableError):
        ask(scheduler_tls, forged)


def test_a_server_of_another_authority_is_refused(authority, folder, tmp_path):
    other = create_authority(tmp_path, **PORTS)
    impostor = issue(other, Role.SCHEDULER, "scheduler-1", [], tmp_path, **PORTS)
    trusting = TlsSettings(authority.cert_file, impostor.cert_file, impostor.key_file)
    ours = issue(authority, Role.AGENT, "node-1", [], folder, **PORTS)
    with pytest.raises(UnavailableError, match=r"(?i)certificate"):
        ask(trusting, ours)


def test_an_agent_cannot_play_the_scheduler(authority, folder):
    agent = issue(authority, Role.AGENT, "node-1", ["127.0.0.1"], folder, **PORTS)
    client = issue(authority, Role.CLIENT, "cli", [], folder, **PORTS)
    with pytest.raises(UnavailableError):
        ask(agent, client)


def test_a_certificate_that_ended_is_told_by_whoever_bears_it(authority, folder):
    tls = issue(authority, Role.AGENT, "node-1", [], folder, **PORTS)
    now = SystemClock().timestamp()
    assert tls.told_end(now) == LiveTls(tls).told_end(now) == ""
    told = LiveTls(tls).told_end(now + 366 * 86400)
    assert re.fullmatch(
        r"our certificate ended on \d{4}-\d\d-\d\d \d\d:\d\d UTC; issue it anew", told
    )
    later = TlsContent(tls.ca_file.read_bytes(), b"", b"")
    both = replace(later, cert=later.ca, ca=tls.cert_file.read_bytes())
    assert both.told_end(now + 366 * 86400).startswith("the authority's certificate ended on ")


def test_all_paths_or_none():
    assert TlsSettings.from_paths("", "", "") is None
    settings = TlsSettings.from_paths("a", "b", "c")
    assert str(settings.key_file) == "c"
    with pytest.raises(ConfigError) as caught:
        TlsSettings.from_paths("a", "", "")
    assert [fault.path for fault in caught.value.faults] == ["tls.cert_file", "tls.key_file"]


def test_files_that_cannot_be_used_are_all_named(authority, scheduler_tls, folder, tmp_path):
    missing = TlsSettings(tmp_path / "a", tmp_path / "b", scheduler_tls.key_file)
    with pytest.raises(ConfigError) as caught:
        missing.check()
    assert [fault.path for fault in caught.value.faults] == ["tls.ca_file", "tls.cert_file"]
    (tmp_path / "junk").write_text("junk")
    junk = TlsSettings(tmp_path / "junk", scheduler_tls.cert_file, tmp_path / "junk")
    with pytest.raises(ConfigError, match="is not what it should be in PEM") as caught:
        junk.server_credentials()
    assert [fault.path for fault in caught.value.faults] == ["tls.ca_file", "tls.key_file"]
    other = issue(authority, Role.AGENT, "other", [], folder, **PORTS)
    mixed = TlsSettings(scheduler_tls.ca_file, scheduler_tls.cert_file, other.key_file)
    with pytest.raises(ConfigError, match="is not the key of"):
        mixed.channel_credentials()
