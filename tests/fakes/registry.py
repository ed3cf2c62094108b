"""A real Debian `docker-registry` on a free port, a token service for it, and images to push."""

import asyncio
import base64
import hashlib
import json
import re
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from berth.clock import SystemClock
from berth.model.registry_auth import RegistryAuth
from scheduler.registry import ImageResolver, RegistrySettings, ResolvedImage

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"

USER, PASSWORD = "ada", "s3cret"
# `htpasswd -Bbn ada s3cret`, kept as text so that the tests need no apache2-utils.
HTPASSWD = "ada:$2y$05$Iq.G1ZT/ioPmId25W4hYxe/sYrLi3eSfWstHDbDxUT53.yToGo5ky\n"


ADA = RegistryAuth(USER, PASSWORD)


def digest_of(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()


class RegistryProcess:
    """`docker-registry serve` with the given `auth:` section, listening on 127.0.0.1."""

    def __init__(self, folder: Path, auth: str = "", tls: tuple[Path, Path] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "config.yml"
        lines = [
            "version: 0.1",
            "log: {level: info}",
            f"storage: {{filesystem: {{rootdirectory: {folder / 'blobs'}}}}}",
            "http:",
            "  addr: 127.0.0.1:0",
        ]
        if tls:
            lines += ["  tls:", f"    certificate: {tls[0]}", f"    key: {tls[1]}"]
        config.write_text("\n".join([*lines, auth]) + "\n")
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["docker-registry", "serve", str(config)], stdout=log, stderr=subprocess.STDOUT
            )
        self.authority = f"127.0.0.1:{self._wait_port()}"
        self.origin = f"http{'s' if tls else ''}://{self.authority}"

    def _wait_port(self) -> int:
        for _ in range(400):
            if found := re.search(r"listening on 127\.0\.0\.1:(\d+)", self.log.read_text()):
                return int(found.group(1))
            if self.process.poll() is not None:
                break
            threading.Event().wait(0.05)
        self.stop()
        raise AssertionError(f"docker-registry does not listen:\n{self.log.read_text()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@dataclass
class Pusher:
    """Uploads over HTTP as `docker push` does, with whatever credentials `session` bears."""

    origin: str
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.trust_env = False  # Else the environment's authorities replace the test's.

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def blob(self, repository: str, body: bytes) -> dict[str, object]:
        begun = self.session.post(f"{self.origin}/v2/{repository}/blobs/uploads/")
        assert begun.status_code == 202, begun.text
        done = self.session.put(
            begun.headers["Location"],
            params={"digest": digest_of(body)},
            data=body,
            headers={"Content-Type": "application/octet-stream"},
        )
        assert done.status_code == 201, done.text
        return {"digest": digest_of(body), "size": len(body)}

    def manifest(self, repository: str, tag: str, document: dict[str, object]) -> str:
        body = json.dumps(document).encode()
        done = self.session.put(
            f"{self.origin}/v2/{repository}/manifests/{tag or digest_of(body)}",
            data=body,
            headers={"Content-Type": str(document["mediaType"])},
        )
        assert done.status_code == 201, done.text
        return digest_of(body)

    def image(
        self, repository: str, tag: str, platform: dict[str, str], kind: str = DOCKER_MANIFEST
    ) -> dict[str, object]:
        """Push an image without layers for `platform`; return its descriptor."""
        config = json.dumps({**platform, "rootfs": {"type": "layers", "diff_ids": []}}).encode()
        config_type = (
            "application/vnd.docker.container.image.v1+json"
            if kind == DOCKER_MANIFEST
            else "application/vnd.oci.image.config.v1+json"
        )
        document = {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": {"mediaType": config_type, **self.blob(repository, config)},
            "layers": [],
        }
        digest = self.manifest(repository, tag, document)
        return {"mediaType": kind, "digest": digest, "size": len(json.dumps(document))}


class TokenService:
    """Plays the token service of a registry: gives signed tokens that a real registry accepts.

    `asked` keeps each request as (method, Authorization header, parameters).
    """

    def __init__(self, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._self_signed()
        self.bundle = folder / "tokens.pem"
        self.bundle.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.status = 200
        self.expires_in: int | None = 300
        self.refresh_token = "r3fresh"
        service = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
                service.asked.append(("GET", self.headers.get("Authorization", ""), query))
                basic = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
                self._answer(self.headers.get("Authorization") == basic, query)

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = {k: v[0] for k, v in parse_qs(raw).items()}
                service.asked.append(("POST", self.headers.get("Authorization", ""), form))
                self._answer(form.get("refresh_token") == service.refresh_token, form)

            def _answer(self, is_known: bool, wanted: dict[str, str]) -> None:
                status = service.status if is_known or service.status != 200 else 401
                body = json.dumps(
                    service.answer(wanted) if status == 200 else {"details": "wrong password"}
                ).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server, self.authority = serve(Answers)
        self.realm = f"http://{self.authority}/token"

    @property
    def registry_auth(self) -> str:
        return (
            "auth:\n  token:\n"
            f"    realm: {self.realm}\n    service: berth-test\n    issuer: test\n"
            f"    rootcertbundle: {self.bundle}\n"
        )

    def answer(self, wanted: dict[str, str]) -> dict[str, object]:
        token = self.token(wanted["scope"])
        return {"token": token} | ({"expires_in": self.expires_in} if self.expires_in else {})

    def token(self, scope: str, life_s: int = 300) -> str:
        kind, name, actions = scope.split(":")
        now = int(datetime.now(UTC).timestamp())
        head = {
            "typ": "JWT",
            "alg": "ES256",
            "x5c": [
                base64.b64encode(
                    self._certificate.public_bytes(serialization.Encoding.DER)
                ).decode()
            ],
        }
        claims = {
            "iss": "test",
            "sub": USER,
            "aud": "berth-test",
            "iat": now - 600,
            "nbf": now - 600,
            "exp": now + life_s,
            "jti": f"{len(self.asked)}",
            "access": [{"type": kind, "name": name, "actions": actions.split(",")}],
        }
        signed = (
            f"{_base64url(json.dumps(head).encode())}.{_base64url(json.dumps(claims).encode())}"
        )
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _self_signed(self) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tokens")])
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )


def serve(answers: type[BaseHTTPRequestHandler]) -> tuple[ThreadingHTTPServer, str]:
    """Serve HTTP on a free port of loopback from a thread; end it by shutdown and server_close."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), answers)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server, f"127.0.0.1:{server.server_address[1]}"


class FakeAnswers:
    """A server that answers every request by `reply(handler)`, for what no registry would do."""

    def __init__(self, reply: Callable[[BaseHTTPRequestHandler], None]) -> None:
        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                reply(self)

            do_HEAD = do_GET  # noqa: N815 - the name is http.server's

            def log_message(self, *_: object) -> None: ...

        self._server, self.authority = serve(Answers)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def resolve(
    reference: str,
    auth: RegistryAuth | None = None,
    *,
    resolver: ImageResolver | None = None,
    **settings: Any,
) -> ResolvedImage:
    """Resolve with `resolver`, or with one of its own made from `settings`."""

    async def ask() -> ResolvedImage:
        own = resolver or ImageResolver(RegistrySettings(**settings), SystemClock())
        try:
            return await own.resolve(reference, auth)
        finally:
            if resolver is None:
                own.close()

    return asyncio.run(ask())
