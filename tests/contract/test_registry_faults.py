"""The resolver against servers that do what no registry should."""

import contextlib
import json
import socket
import threading
import time

import pytest

from berth.errors import UnsupportedError
from berth.model.service import Platform
from scheduler.registry import (
    ImageNotFoundError,
    RegistryDeniedError,
    RegistryUnreachableError,
)
from tests.fakes import registry as parts
from tests.fakes.registry import ADA, resolve
from tests.hosts.ports import free_port


def reply_with(body=b"{}", status=200, **headers):
    def reply(handler):
        handler.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)

    return reply


@pytest.fixture
def fake(request):
    server = parts.FakeAnswers(request.param)
    yield server
    server.stop()


ZEROES = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("fake", "error", "problem"),
    [
        pytest.param(
            reply_with(Docker_Content_Digest=ZEROES),
            RegistryUnreachableError,
            "does not match its digest",
            id="a false digest",
        ),
        pytest.param(
            reply_with(b"<html>", 404), ImageNotFoundError, "a registry at all?", id="a web site"
        ),
        pytest.param(
            reply_with(b'{"errors":[{"message":"oh\\u001b[31m no"}]}', 500),
            RegistryUnreachableError,
            r"says 500 \(oh \[31m no\); use --no-resolve-image",
            id="a server's fault, its text made safe",
        ),
        pytest.param(
            reply_with(b"", 429), RegistryUnreachableError, "limits how often", id="a rate limit"
        ),
        pytest.param(
            reply_with(b"", 401), RegistryDeniedError, "docker login", id="401 without a challenge"
        ),
        pytest.param(
            reply_with(b"", 401, WWW_Authenticate='Bearer realm="file:///etc/passwd"'),
            RegistryUnreachableError,
            'names "file:///etc/passwd" as its token service',
            id="a token service that is none",
        ),
        pytest.param(
            reply_with(b"", 401, WWW_Authenticate='Bearer realm="http://192.0.2.1/t"'),
            RegistryUnreachableError,
            "password sent over plain HTTP",
            id="a token service that would see the password in the clear",
        ),
        pytest.param(
            reply_with(b'{"schemaVersion": 1}', Content_Type="application/vnd.x.v1+prettyjws"),
            UnsupportedError,
            "push it again",
            id="a manifest of old",
        ),
        pytest.param(
            reply_with(
                json.dumps({"manifests": [], "config": {}, "mediaType": parts.OCI_INDEX}).encode()
            ),
            UnsupportedError,
            "push it again",
            id="a manifest that is two things at once",
        ),
        pytest.param(
            reply_with(b"[" * 100_000),
            UnsupportedError,
            "push it again",
            id="JSON too deep to read",
        ),
        pytest.param(
            reply_with(b" " * (4 * 1024 * 1024 + 1)),
            RegistryUnreachableError,
            "body above 4194304 bytes",
            id="a body without measure",
        ),
        pytest.param(
            reply_with(b"", 307, Location="/v2/a/manifests/latest"),
            RegistryUnreachableError,
            "redirects without end",
            id="a circle of redirects",
        ),
        pytest.param(
            reply_with(b"short", Content_Length="100"),
            RegistryUnreachableError,
            "IncompleteRead|bytes missing|incomplete",
            id="a body cut short",
        ),
    ],
    indirect=["fake"],
)
def test_a_registry_that_misbehaves_is_told_from_one_that_does_not(fake, error, problem):
    with pytest.raises(error, match=problem) as caught:
        resolve(f"{fake.authority}/a", ADA, read_timeout_s=1.0)
    assert fake.authority in str(caught.value)


def test_a_registry_without_head_and_digest_header_is_asked_by_get():
    config = json.dumps({"os": "linux", "architecture": "amd64"}).encode()
    manifest = {"mediaType": parts.OCI_MANIFEST, "config": {"digest": parts.digest_of(config)}}
    body = json.dumps(manifest).encode()

    def reply(handler):
        if handler.command == "HEAD":
            return reply_with(b"", 405)(handler)
        return reply_with(config if "/blobs/" in handler.path else body)(handler)

    server = parts.FakeAnswers(reply)
    try:
        image = resolve(f"{server.authority}/a")
    finally:
        server.stop()
    assert image.digest == parts.digest_of(body)
    assert image.platforms == (Platform("linux", "amd64"),)


def test_a_registry_that_accepts_and_is_silent_costs_a_bounded_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        authority = f"127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(RegistryUnreachableError, match="does not answer"):
            resolve(f"{authority}/a", connect_timeout_s=0.3, read_timeout_s=0.3)
        assert time.monotonic() - began < 20


def test_a_registry_that_does_not_take_the_connection_costs_its_connect_timeout():
    with socket.socket() as full, contextlib.ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)  # Nobody accepts: once its queue is full, the kernel answers nothing.
        for _ in range(4):
            ours = waiting.enter_context(socket.socket())
            ours.setblocking(False)
            ours.connect_ex(full.getsockname())
        authority = f"127.0.0.1:{full.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(RegistryUnreachableError, match="connect timeout"):
            resolve(f"{authority}/a", connect_timeout_s=0.3, read_timeout_s=60.0)
        assert 0.3 <= time.monotonic() - began < 20


def test_a_trickling_body_costs_a_bounded_time():
    stop = threading.Event()

    def trickle(handler):
        reply_with(b"", Content_Length="1000000")(handler)
        while handler.command == "GET" and not stop.wait(0.05):
            try:
                handler.wfile.write(b" ")
            except OSError:
                return

    server = parts.FakeAnswers(trickle)
    began = time.monotonic()
    try:
        with pytest.raises(RegistryUnreachableError, match="answer"):
            resolve(f"{server.authority}/a", total_timeout_s=0.5, read_timeout_s=0.4)
        assert time.monotonic() - began < 20
    finally:
        stop.set()
        server.stop()


def test_a_registry_where_nobody_listens_is_said():
    authority = f"127.0.0.1:{free_port()}"
    with pytest.raises(RegistryUnreachableError, match=r"refused.*use --no-resolve") as caught:
        resolve(f"{authority}/a:1")
    assert f'cannot resolve image "{authority}/a:1": registry {authority}' in str(caught.value)
