"""Who comes in by which door, and what each role is let do: all routes, each role."""

import asyncio

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from berth.access import UserRole, needed_for_route
from berth.certificates import create_authority, issue
from berth.clock import SystemClock
from berth.entropy import SystemEntropy
from berth.wire.tls import Role
from gateway.app import ROUTES, docker_app
from gateway.doors import CERTIFICATE_KEY, loopback_door, shut_door, tls_door
from tests.unit.gateway.asking import SPEC, docker_api
from tests.unit.gateway.test_app import paths_of

PORTS = {"clock": SystemClock(), "entropy": SystemEntropy()}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A certificate of each kind as DER, by the name of its role."""
    folder = tmp_path_factory.mktemp("pki")
    authority = create_authority(folder, **PORTS)
    issued = {
        role.value: issue(authority, Role.CLIENT, f"a-{role}", [], folder, user_role=role, **PORTS)
        for role in UserRole
    }
    for role in Role:
        issued[role.value] = issue(authority, role, f"a-{role}", [], folder, **PORTS)
    return {
        name: x509.load_pem_x509_certificate(files.cert_file.read_bytes()).public_bytes(
            Encoding.DER
        )
        for name, files in issued.items()
    }


def showing(app, certificate):
    """Let every request to `app` come over a connection whose client showed `certificate`."""

    async def connected(scope, receive, send):
        state = {} if certificate is None else {CERTIFICATE_KEY: certificate}
        await app({**scope, "state": state}, receive, send)

    return connected


def behind_tls(api, certificate):
    shut = shut_door("come with TLS")
    return showing(tls_door(docker_app(api.gateway), shut), certificate)


def asked(certificate, method, path, body=None, **query):
    async def run():
        async with docker_api() as api:
            api.app = behind_tls(api, certificate)
            answer = await api(method, path, body, **query)
            return answer, [name for name, _ in api.control.calls]

    return asyncio.run(run())


@pytest.mark.parametrize("role", list(UserRole))
def test_each_route_is_open_to_those_whose_role_reaches_and_to_nobody_else(certificates, role):
    async def run():
        async with docker_api() as api:
            api.app = behind_tls(api, certificates[role])
            for route in ROUTES:
                for method, path in paths_of(route):
                    needed = needed_for_route(method, route.path)
                    before = len(api.control.calls)
                    # Events are a stream: with this it ends at once.
                    answer = await api(method, path, until="1", filters="{")
                    where = f"{role} {method} {route.path}"
                    if role.allows(needed):
                        assert answer.status != 403, where
                        continue
                    assert answer.status == 403, where
                    assert answer.headers["content-type"] == "application/json"
                    if method != "HEAD":
                        said = f'"a-{role}" may not use {method} {route.path}: '
                        assert answer.message.startswith(said)
                        assert f"needs the role {needed};" in answer.message
                    assert len(api.control.calls) == before, f"{where} reached the cluster"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("kind", "status"),
    [("viewer", 403), ("deployer", 201), ("admin", 201), ("client", 201), ("scheduler", 201)],
)
def test_who_may_create_a_service(certificates, kind, status):
    answer, calls = asked(certificates[kind], "POST", "/services/create", SPEC)
    assert answer.status == status
    assert ("CreateService" in calls) is (status == 201)


def test_an_agent_may_nothing(certificates):
    answer, calls = asked(certificates["agent"], "GET", "/_ping")
    assert answer.status == 403
    assert '"a-agent" is an agent' in answer.message
    assert calls == []


def test_who_shows_no_certificate_comes_to_the_other_door():
    answer, calls = asked(None, "GET", "/services")
    assert (answer.status, answer.message, calls) == (403, "come with TLS", [])


def test_a_request_that_came_in_by_no_door_is_refused():
    async def run():
        async with docker_api() as api:
            api.app = docker_app(api.gateway)
            answer = await api("GET", "/services")
            assert (answer.status, api.control.calls) == (403, [])

    asyncio.run(run())


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7702", 200),
        ("localhost:7702", 200),
        ("localhost", 200),
        ("[::1]:7702", 200),
        ("[::1]", 200),
        ("evil.example:7702", 403),
        ("10.0.0.1:7702", 403),
        ("", 403),
    ],
)
def test_on_loopback_a_web_page_under_another_name_is_refused(host, status):
    async def run():
        async with docker_api() as api:
            api.app = loopback_door(docker_app(api.gateway))
            answer = await api("GET", "/version", headers={"host": host})
            assert answer.status == status

    asyncio.run(run())
