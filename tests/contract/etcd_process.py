"""Start real etcd members for a test, and hurt them.

Duty: clusters of one or three members in a temporary directory on free ports; kill -9, SIGSTOP,
SIGCONT, restart.
Not here: what a test concludes from it.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from berth.clock import SystemClock
from berth.errors import BerthError
from scheduler.store.etcd_client import EtcdClient
from scheduler.store.etcd_settings import EtcdSettings
from tests.cluster import ETCDCTL_ENV
from tests.hosts.ports import free_port

START_TIMEOUT_S = 60.0


class EtcdMember:
    """One etcd process."""

    def __init__(
        self, name: str, directory: Path, client_port: int, peer_port: int, tls: "TlsFiles | None"
    ) -> None:
        self.name = name
        self.address = f"127.0.0.1:{client_port}"
        self.peer_url = f"http://127.0.0.1:{peer_port}"
        self._directory = directory
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.address}"

    def start(self, members: Sequence["EtcdMember"], flags: Sequence[str] = ()) -> None:
        cluster = ",".join(f"{m.name}={m.peer_url}" for m in members)
        command = [
            "etcd",
            f"--name={self.name}",
            f"--data-dir={self._directory / self.name}",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={self.peer_url}",
            f"--initial-advertise-peer-urls={self.peer_url}",
            f"--initial-cluster={cluster}",
            "--initial-cluster-state=new",
            "--logger=zap",
            "--log-level=error",
            *flags,
        ]
        if self._tls:
            command += [
                f"--cert-file={self._tls.server_cert}",
                f"--key-file={self._tls.server_key}",
                f"--trusted-ca-file={self._tls.ca}",
                "--client-cert-auth",
            ]
        with (self._directory / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def pause(self) -> None:
        """Hang: connections stay up, nobody answers."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    @property
    def is_started(self) -> bool:
        return self._process is not None

    def kill(self) -> None:
        """End at once, without any clean-up."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class TlsFiles:
    """A CA, a server's and a client's certificate, made by the openssl command."""

    def __init__(self, directory: Path) -> None:
        self.ca = directory / "ca.pem"
        self.server_cert, self.server_key = directory / "server.pem", directory / "server.key"
        self.client_cert, self.client_key = directory / "client.pem", directory / "client.key"
        ca_key = directory / "ca.key"
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        self._openssl(
            "req", "-x509", *key, "-keyout", ca_key, "-out", self.ca, "-subj", "/CN=test-ca",
            "-days", "2",
        )  # fmt: skip
        for name, cert, private in (
            ("server", self.server_cert, self.server_key),
            ("client", self.client_cert, self.client_key),
        ):
            request = directory / f"{name}.csr"
            extension = directory / f"{name}.ext"
            extension.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
            self._openssl("req", *key, "-keyout", private, "-out", request, "-subj", f"/CN={name}")
            self._openssl(
                "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", ca_key,
                "-CAcreateserial", "-out", cert, "-days", "2", "-extfile", extension,
            )  # fmt: skip

    @staticmethod
    def _openssl(*arguments: str | Path) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class EtcdCluster:
    """Members that form one cluster. Use `etcd_cluster`, which ends them whatever happens."""

    def __init__(self, size: int, flags: Sequence[str], *, uses_tls: bool) -> None:
        # In memory where possible: tests end processes, not machines, so nothing rests on the disk.
        shared_memory = Path("/dev/shm")
        base = shared_memory if os.access(shared_memory, os.W_OK) else None
        self.directory = Path(tempfile.mkdtemp(prefix="berth-etcd-", dir=base))
        self.tls = TlsFiles(self.directory) if uses_tls else None
        ports = [free_port() for _ in range(2 * size)]
        self.members = [
            EtcdMember(f"m{i}", self.directory, ports[2 * i], ports[2 * i + 1], self.tls)
            for i in range(size)
        ]
        self._flags = flags

    def start(self, member: EtcdMember | None = None) -> None:
        """Start `member`, or all of them."""
        for it in [member] if member else self.members:
            it.start(self.members, self._flags)

    def settings(self, **changes: object) -> EtcdSettings:
        """Return settings for all members, or for what `changes` say."""
        values: dict[str, object] = {"endpoints": tuple(m.url for m in self.members)}
        if self.tls:
            values |= {
                "ca_file": str(self.tls.ca),
                "cert_file": str(self.tls.client_cert),
                "key_file": str(self.tls.client_key),
            }
        return EtcdSettings(**(values | changes))  # type: ignore[arg-type] # kept short on purpose

    async def wait_ready(self) -> None:
        """Wait until every member knows the cluster's leader."""
        clock = SystemClock()
        give_up_at = clock.instant() + START_TIMEOUT_S
        client = EtcdClient(self.settings(), clock)
        try:
            for member in self.members:
                while True:
                    with contextlib.suppress(BerthError):
                        if (await client.status(member.address)).leader:
                            break
                    if clock.instant() > give_up_at:
                        log = (self.directory / f"{member.name}.log").read_text()
                        raise TimeoutError(f"{member.name} did not start:\n{log[-3000:]}")
                    await asyncio.sleep(0.05)
        finally:
            await client.aclose()

    async def leader(self, client: EtcdClient) -> EtcdMember:
        """Return the member that leads the etcd cluster."""
        for member in self.members:
            with contextlib.suppress(BerthError):
                status = await client.status(member.address)
                if status.leader == status.header.member_id:
                    return member
        raise LookupError("no etcd member leads")

    def heal(self) -> None:
        """Bring every member back and wait until they agree."""
        for member in self.members:
            if member.is_started:
                member.resume()
            else:
                self.start(member)
        asyncio.run(self.wait_ready())

    def etcdctl(self, *arguments: str) -> str:
        """Run etcdctl against the first member (needs Debian's etcd-client)."""
        command = ["etcdctl", f"--endpoints={self.members[0].url}", *arguments]
        if self.tls:
            command += [
                f"--cacert={self.tls.ca}",
                f"--cert={self.tls.client_cert}",
                f"--key={self.tls.client_key}",
            ]
        environment = {**ETCDCTL_ENV, **os.environ}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        return done.stdout

    def close(self) -> None:
        """End all members and remove their files."""
        for member in self.members:
            member.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


@contextlib.contextmanager
def etcd_cluster(
    size: int = 1, flags: Sequence[str] = (), *, uses_tls: bool = False
) -> Iterator[EtcdCluster]:
    """Run a cluster that is ready for as long as the block."""
    cluster = EtcdCluster(size, flags, uses_tls=uses_tls)
    try:
        cluster.start()
        asyncio.run(cluster.wait_ready())
        yield cluster
    finally:
        cluster.close()


@contextlib.asynccontextmanager
async def etcd_client(cluster: EtcdCluster, **changes: object) -> AsyncIterator[EtcdClient]:
    """Connect to `cluster` for as long as the block."""
    client = EtcdClient(cluster.settings(**changes), SystemClock())
    try:
        yield client
    finally:
        await client.aclose()
