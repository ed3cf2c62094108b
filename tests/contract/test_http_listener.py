"""One address for TLS and plain HTTP: real connections, real certificates."""

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager

import pytest

from berth.certificates import create_authority, issue
from berth.clock import SystemClock
from berth.entropy import SystemEntropy
from berth.observability import listener_address, open_listener
from berth.wire.tls import Role, identity_of_der
from gateway.doors import CERTIFICATE_KEY
from scheduler.http_listener import serve_with_tls

PORTS = {"clock": SystemClock(), "entropy": SystemEntropy()}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    authority = create_authority(folder, **PORTS)
    return {
        "server": issue(authority, Role.SCHEDULER, "s1", ["127.0.0.1"], folder, **PORTS),
        "ours": issue(authority, Role.CLIENT, "ann", [], folder, **PORTS),
        "theirs": issue(
            create_authority(folder / "x", **PORTS), Role.CLIENT, "eve", [], folder / "x", **PORTS
        ),
    }


async def tell_caller(scope, receive, send):
    """Answer with the scheme and the name that the client's certificate bears."""
    der = scope["state"].get(CERTIFICATE_KEY)
    name = identity_of_der(der).name if der else "nobody"
    body = f"{scope['scheme']} {name}".encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving(certificates, **settings):
    listener = open_listener("http_listen", "127.0.0.1:0")
    port = int(listener_address(listener).rpartition(":")[2])
    context = certificates["server"].server_context()
    task = asyncio.ensure_future(
        serve_with_tls(tell_caller, listener, lambda: context, SystemClock(), **settings)
    )
    try:
        yield port
    finally:
        task.cancel()
        await asyncio.wait({task})


def client_context(certificates, whose):
    context = ssl.create_default_context(cafile=certificates["server"].ca_file)
    if whose:
        files = certificates[whose]
        context.load_cert_chain(files.cert_file, files.key_file)
    return context


async def ask(port, tls=None, headers=""):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    try:
        writer.write(f"GET / HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n".encode())
        await writer.drain()
        return (await asyncio.wait_for(reader.read(), 20)).partition(b"\r\n\r\n")[2].decode()
    finally:
        writer.close()


def test_both_are_served_at_once_and_a_certificate_is_told(certificates):
    async def main():
        async with serving(certificates) as port:
            tls = client_context(certificates, "ours")
            forged = "X-Forwarded-Proto: https\r\nX-Forwarded-For: 1.2.3.4\r\n"
            return await asyncio.gather(
                ask(port), ask(port, tls), ask(port, headers=forged), ask(port, tls)
            )

    assert asyncio.run(main()) == ["http nobody", "https ann", "http nobody", "https ann"]


@pytest.mark.parametrize("whose", ["", "theirs"])
def test_tls_without_a_certificate_of_the_authority_gets_no_answer(certificates, whose):
    async def main():
        async with serving(certificates) as port:
            try:
                refused = await ask(port, client_context(certificates, whose))
            except OSError as error:  # ssl.SSLError is one.
                refused = f"refused: {type(error).__name__}"
            return refused, await ask(port)

    refused, plain = asyncio.run(main())
    assert refused == "" or refused.startswith("refused")
    assert plain == "http nobody", "and it serves on"


def test_who_says_nothing_keeps_nobody_waiting_and_is_let_go(certificates):
    async def main():
        async with serving(certificates, first_byte_s=0.3) as port:
            silent, writer = await asyncio.open_connection("127.0.0.1", port)
            socket.create_connection(("127.0.0.1", port)).close()
            answer = await ask(port)
            end = await asyncio.wait_for(silent.read(), 20)
            writer.close()
            return answer, end

    assert asyncio.run(main()) == ("http nobody", b"")
