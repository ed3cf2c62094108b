"""One machine: a container with systemd as PID 1, and commands that run on it.

Duty: boot it, run commands, ask systemd about units, shut it down.
Not here: its image (image), what must hold (tests/systemd).
Invariant: the machine shares the network of its Engine's host and sees that host's Engine, so what
its agent starts are siblings of the machine: they outlive its programs, and a test ends them.
"""

import contextlib
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from docker.models.containers import Container

from tests.cluster import wait_until
from tests.hosts import Host
from tests.machine.image import TOP, root_archive, wheels

_IMAGE = "berth-test-systemd"


class Machine:
    """A booted machine."""

    def __init__(self, container: Container) -> None:
        self.container = container

    def __call__(self, command: str, *, check: bool = True) -> str:
        """Run a shell command as root; return what it printed, both streams.

        Args:
            command: for bash.
            check: fail if its exit code is not 0.
        """
        code, output = self.container.exec_run(["bash", "-c", command])
        text: str = output.decode(errors="replace").strip()
        assert not check or code == 0, f"{command}: exit code {code}\n{text}"
        return text

    def write(self, path: str, text: str, mode: str = "0644") -> None:
        """Write a file."""
        self(f"install -D -m {mode} /dev/null {path} && printf %s {shlex.quote(text)} >{path}")

    def wait_off(self) -> None:
        """Wait until it is off; its files stay."""
        self.container.wait(timeout=180)

    def boot(self) -> None:
        """Switch it on, and wait until it has booted."""
        self.container.start()
        self.wait_booted()

    def wait_booted(self) -> None:
        """Wait until all units that start at boot were started, or tried."""
        # As a machine's own systemd does; in a container it leaves mounts private, and then no
        # service would see the credentials that are mounted for it, at boot neither.
        self("mount --make-rshared /")
        wait_until(
            "the machine has booted",
            lambda: self("systemctl is-system-running", check=False) in ("running", "degraded"),
            90,
            describe=lambda: self("systemctl list-jobs; journalctl -n 60 --no-pager", check=False),
        )

    def unit(self, name: str, key: str) -> str:
        """Return a property of a unit, such as ActiveState or MainPID."""
        return self(f"systemctl show --property={key} --value {name}")

    def wait_active(self, *names: str, timeout_s: float = 60.0) -> None:
        """Wait until units are active, which for Type=notify means that they said READY."""
        wait_until(
            f"{', '.join(names)} are active",
            lambda: all(self.unit(name, "ActiveState") == "active" for name in names),
            timeout_s,
            describe=lambda: self("journalctl -n 60 --no-pager -o cat", check=False),
        )


@contextlib.contextmanager
def booted(host: Host, mounts: Mapping[Path, str] | None = None) -> Iterator[Machine]:
    """Run a machine on a host's Engine as long as the `with` block."""
    with contextlib.closing(host.engine.client()) as client:
        with root_archive().open("rb") as archive:
            image = client.api.import_image_from_data(archive.read(), repository=_IMAGE)
        assert '"error"' not in image, image
        folders = {
            TOP: "/src",
            wheels(): "/wheels",
            host.engine.socket_path.parent: "/engine",
            **(mounts or {}),
        }
        container = client.containers.run(
            _IMAGE,
            "/sbin/init",
            detach=True,
            network_mode="host",
            cgroupns="host",
            cap_add=["SYS_ADMIN", "NET_ADMIN"],
            security_opt=["seccomp=unconfined", "apparmor=unconfined"],
            tmpfs={"/run": "", "/tmp": "exec"},
            environment={"container": "docker"},
            volumes=[
                "/sys/fs/cgroup:/sys/fs/cgroup:rw",
                *(f"{path}:{place}" for path, place in folders.items()),
            ],
        )
        try:
            machine = Machine(container)
            machine.wait_booted()
            yield machine
        finally:
            container.remove(force=True, v=True)
