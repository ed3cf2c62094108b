"""Make small real images and put them into a registry, without a network and without an Engine.

Duty: one base layer from Debian's static busybox, one small layer per version, one behaviour per
kind; pushed through the registry's HTTP API, so that a test knows each digest exactly.
Not here: the registry (registry), pulling and running (that is what is tested).
Invariant: the same kind and version always has the same digest; another version has another.
"""

import gzip
import hashlib
import io
import json
import platform
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.hosts.errors import LabError
from tests.hosts.ledger import run_tool
from tests.hosts.registry import Registry

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
ARCHITECTURE = _ARCHITECTURES.get(platform.machine(), platform.machine())
_CREATED = "2024-01-01T00:00:00Z"  # Fixed, since it goes into the digest.
_TIMEOUT_S = 30
_MS = 1_000_000  # Health checks count nanoseconds.

_PASSWD = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"
_GROUP = b"root:x:0:\nnogroup:x:65534:\nstaff:x:50:nobody\n"

# PID 1 has no default signal actions: a shell must trap TERM, or a stop takes the whole grace. What
# a container writes tells that it may be stopped, so the trap comes before the first word.
_TRAP = "trap 'exit 0' TERM INT"
_SLEEP = "while :; do sleep 3600 & wait $!; done"


@dataclass(frozen=True, slots=True)
class Kind:
    """How the containers of an image behave."""

    script: str
    healthcheck: Mapping[str, Any] | None = None


def _health(test: str, retries: int) -> dict[str, Any]:
    return {
        "Test": ["CMD-SHELL", test],
        "Interval": 500 * _MS,
        "Timeout": 20_000 * _MS,
        "Retries": retries,
    }


KINDS: Mapping[str, Kind] = {
    "sleeper": Kind(f"{_TRAP}; echo sleeper $VERSION; {_SLEEP}"),
    "crasher": Kind("echo crasher $VERSION; sleep 0.2; exit 1"),
    "finisher": Kind("echo finisher $VERSION; sleep 0.2; exit 0"),
    "stubborn": Kind("trap '' TERM INT; echo stubborn $VERSION; while :; do sleep 1; done"),
    "talker": Kind(
        f"{_TRAP}; n=0; while :; do n=$((n+1)); echo line $n; "
        "echo error $n >&2; sleep 0.1 & wait $!; done"
    ),
    "healthy": Kind(f"{_TRAP}; echo healthy $VERSION; {_SLEEP}", _health("true", 2)),
    "sick": Kind(f"{_TRAP}; echo sick $VERSION; {_SLEEP}", _health("false", 2)),
    "web": Kind(
        "httpd -f -p 80 -h /www & server=$!; trap 'kill $server; exit 0' TERM INT; "
        "echo web $VERSION; wait $server",
        # A busy machine's first checks come before the server listens.
        _health("wget -q -O /dev/null http://127.0.0.1/", 60),
    ),
}


class ImageReference(str):
    """`registry/repository:tag`, a plain string, that also knows what it named when pushed."""

    __slots__ = ("digest", "repository", "tag")

    digest: str
    repository: str
    tag: str

    def __new__(cls, registry: str, repository: str, tag: str, digest: str) -> "ImageReference":
        self = super().__new__(cls, f"{registry}/{repository}:{tag}")
        self.digest = digest
        self.repository = repository
        self.tag = tag
        return self

    @property
    def pinned(self) -> str:
        """`registry/repository@digest`."""
        return f"{self.removesuffix(':' + self.tag)}@{self.digest}"


@dataclass(frozen=True, slots=True)
class _Blob:
    data: bytes
    diff_id: str = ""  # Digest of the layer before compression; empty for a config.
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", _digest(self.data))


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _layer(entries: Sequence[tuple[tarfile.TarInfo, bytes]]) -> _Blob:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    raw = buffer.getvalue()
    return _Blob(gzip.compress(raw, compresslevel=6, mtime=0), diff_id=_digest(raw))


def _file(path: str, data: bytes, mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(path)
    info.size, info.mode = len(data), mode
    return info, data


def _folder(path: str, mode: int = 0o755) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(path)
    info.type, info.mode = tarfile.DIRTYPE, mode
    return info, b""


def _link(path: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(path)
    info.type, info.linkname, info.mode = tarfile.SYMTYPE, target, 0o777
    return info, b""


def _base_layer() -> _Blob:
    """Pack busybox, its applets, and the few files that programs expect."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise LabError("busybox is missing: run deploy/dev/setup.sh")
    applets = sorted(set(run_tool(busybox, "--list").split()) - {"busybox"})
    folders = ["bin", "dev", "etc", "proc", "root", "run", "sys", "usr", "usr/bin", "var", "www"]
    return _layer(
        [
            *(_folder(path) for path in folders),
            _folder("tmp", 0o1777),
            _file("bin/busybox", Path(busybox).read_bytes(), 0o755),
            *(_link(f"bin/{applet}", "busybox") for applet in applets),
            _file(
                "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"
            ),
            _file("etc/group", b"root:x:0:\nnogroup:x:65534:\nstaff:x:50:nobody\n"),
        ]
    )


class ImageFactory:
    """Make images and push them. Each method pushes anew, which moves the tag (back)."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._base: _Blob | None = None

    def busybox(self, tag: str = "latest") -> ImageReference:
        """Push an image whose default command is a shell."""
        return self._push("berth/busybox", tag, Kind("exec sh"), tag, ARCHITECTURE)

    def sleeper(self, version: str = "1.0") -> ImageReference:
        """Push one that sleeps and ends at once when told to."""
        return self.build("sleeper", version)

    def crasher(self, version: str = "1.0") -> ImageReference:
        """Push one that exits with code 1 after 0.2 s."""
        return self.build("crasher", version)

    def finisher(self, version: str = "1.0") -> ImageReference:
        """Push one that exits with code 0 after 0.2 s."""
        return self.build("finisher", version)

    def stubborn(self, version: str = "1.0") -> ImageReference:
        """Push one that ignores SIGTERM."""
        return self.build("stubborn", version)

    def talker(self, version: str = "1.0") -> ImageReference:
        """Push one that writes ten numbered lines a second to each of stdout and stderr."""
        return self.build("talker", version)

    def healthy(self, version: str = "1.0") -> ImageReference:
        """Push one whose health check passes."""
        return self.build("healthy", version)

    def sick(self, version: str = "1.0") -> ImageReference:
        """Push one that starts well and whose health check then fails (after about 1 s)."""
        return self.build("sick", version)

    def web(self, version: str = "1.0") -> ImageReference:
        """Push a web server on port 80 that answers with its version and a newline."""
        return self.build("web", version)

    def build(
        self,
        kind: str,
        version: str = "1.0",
        *,
        repository: str | None = None,
        architecture: str = ARCHITECTURE,
    ) -> ImageReference:
        """Push an image of one of KINDS.

        Args:
            kind: how its containers behave.
            version: tag, content of /etc/version and of the variable VERSION.
            repository: default is `berth/KIND`.
            architecture: what the image claims to be for; its busybox is this machine's.
        """
        return self._push(
            repository or f"berth/{kind}", version, KINDS[kind], version, architecture
        )

    def retag(self, reference: ImageReference, content: ImageReference) -> ImageReference:
        """Let the tag of `reference` name `content`, as a careless release does.

        The content may come from another repository of this registry; its blobs are then mounted.
        """
        manifest = self._get_manifest(content)
        for blob in [manifest["config"], *manifest["layers"]]:
            self._mount(reference.repository, content.repository, blob["digest"])
        data = json.dumps(manifest).encode()
        assert _digest(data) == content.digest
        return self._put_manifest(reference.repository, reference.tag, MANIFEST, data)

    def manifest_list(
        self, repository: str, tag: str, architectures: Sequence[str], kind: str = "sleeper"
    ) -> ImageReference:
        """Push an image for several platforms behind one tag."""
        entries = []
        for architecture in architectures:
            name = f"{tag}-{architecture}"
            image = self._push(repository, name, KINDS[kind], tag, architecture)
            size = len(json.dumps(self._get_manifest(image)).encode())
            entries.append(
                {
                    "mediaType": MANIFEST,
                    "size": size,
                    "digest": image.digest,
                    "platform": {"architecture": architecture, "os": "linux"},
                }
            )
        body = {"schemaVersion": 2, "mediaType": MANIFEST_LIST, "manifests": entries}
        return self._put_manifest(repository, tag, MANIFEST_LIST, json.dumps(body).encode())

    def _push(
        self, repository: str, tag: str, kind: Kind, version: str, architecture: str
    ) -> ImageReference:
        self._base = self._base or _base_layer()
        text = f"{version}\n".encode()
        layers = [
            self._base,
            _layer([_file("etc/version", text), _file("www/index.html", text)]),
        ]
        config = self._image_config(kind, version, architecture, layers)
        for blob in [*layers, config]:
            self._put_blob(repository, blob)
        body = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": _CONFIG, "size": len(config.data), "digest": config.digest},
            "layers": [
                {"mediaType": _LAYER, "size": len(layer.data), "digest": layer.digest}
                for layer in layers
            ],
        }
        return self._put_manifest(repository, tag, MANIFEST, json.dumps(body).encode())

    @staticmethod
    def _image_config(
        kind: Kind, version: str, architecture: str, layers: Sequence[_Blob]
    ) -> _Blob:
        settings: dict[str, Any] = {
            "Env": ["PATH=/bin:/usr/bin", f"VERSION={version}"],
            "Cmd": ["/bin/sh", "-c", kind.script],
            "Labels": {"test.version": version},
        }
        if kind.healthcheck is not None:
            settings["Healthcheck"] = dict(kind.healthcheck)
        body = {
            "architecture": architecture,
            "os": "linux",
            "created": _CREATED,
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": [{"created": _CREATED, "created_by": "tests.hosts"} for _ in layers],
        }
        return _Blob(json.dumps(body).encode())

    def _put_blob(self, repository: str, blob: _Blob) -> None:
        known = self._ask("HEAD", f"{repository}/blobs/{blob.digest}", accept=(200, 404))
        if known.status_code == requests.codes.ok:
            return
        self._upload(self._ask("POST", f"{repository}/blobs/uploads/", accept=(202,)), blob)

    def _upload(self, started: requests.Response, blob: _Blob) -> None:
        answer = requests.put(
            started.headers["Location"],
            params={"digest": blob.digest},
            data=blob.data,
            headers={"Content-Type": "application/octet-stream"},
            auth=self.registry.auth,
            timeout=_TIMEOUT_S,
        )
        _expect(answer, (201,))

    def _mount(self, repository: str, source: str, digest: str) -> None:
        if repository != source:
            path = f"{repository}/blobs/uploads/?mount={digest}&from={source}"
            self._ask("POST", path, accept=(201,))

    def _get_manifest(self, image: ImageReference) -> Any:
        path = f"{image.repository}/manifests/{image.digest}"
        return self._ask("GET", path, accept=(200,), headers={"Accept": MANIFEST}).json()

    def _put_manifest(
        self, repository: str, tag: str, media_type: str, data: bytes
    ) -> ImageReference:
        path = f"{repository}/manifests/{tag}"
        headers = {"Content-Type": media_type}
        answer = self._ask("PUT", path, accept=(201,), headers=headers, data=data)
        digest = answer.headers["Docker-Content-Digest"]
        assert digest == _digest(data)
        return ImageReference(self.registry.address, repository, tag, digest)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        accept: Sequence[int],
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> requests.Response:
        answer = requests.request(
            method,
            f"{self.registry.url}/v2/{path}",
            headers=headers,
            data=data,
            auth=self.registry.auth,
            timeout=_TIMEOUT_S,
        )
        _expect(answer, accept)
        return answer


def _expect(answer: requests.Response, accept: Sequence[int]) -> None:
    if answer.status_code not in accept:
        raise LabError(
            f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:500]}"
        )
