"""Run one Docker Engine for one host.

Duty: start, stop, kill and await a dockerd with folders, socket and cgroup of its own.
Not here: the host's namespaces (netns), ending what a dead Engine leaves behind (host, ledger).
Invariant: two Engines share nothing but the kernel: not even the ID, nor the machine's
/etc/docker/daemon.json.
"""

import json
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import docker

from tests.hosts.errors import LabError
from tests.hosts.processes import Processes, ProcessHandle
from tests.hosts.procfs import identify, is_running

_SOCKET_PATH_MAX = 60  # A socket's path may have 107 bytes; containerd's lie deeper than ours.
_POLL_S = 0.05


class Engine:
    """A dockerd. `enter` is the command prefix that puts it into its host's namespaces."""

    def __init__(
        self,
        folder: Path,
        processes: Processes,
        enter: Sequence[str],
        cgroup: str,
        insecure_registries: Sequence[str],
    ) -> None:
        if len(str(folder)) > _SOCKET_PATH_MAX:
            raise LabError(
                f"work folder {folder} is too long for sockets in it: "
                f"choose one of at most {_SOCKET_PATH_MAX} characters"
            )
        self._folder = folder
        self._processes = processes
        self._enter = tuple(enter)
        self._cgroup = cgroup
        self._insecure_registries = tuple(insecure_registries)
        self._daemon: ProcessHandle | None = None
        self.live_restore = False
        self.socket_path = folder / "docker.sock"
        self.log_path = folder / "dockerd.log"
        self._containerd_pid_path = folder / "exec/containerd/containerd.pid"

    @property
    def url(self) -> str:
        """What to give to `docker --host` or DOCKER_HOST."""
        return f"unix://{self.socket_path}"

    @property
    def is_running(self) -> bool:
        """Tell whether dockerd itself runs."""
        return self._daemon is not None and self._daemon.is_running

    @property
    def daemon(self) -> ProcessHandle:
        """The dockerd process, for SIGSTOP and the like."""
        assert self._daemon is not None, "the Engine was never started"
        return self._daemon

    def client(self, timeout_s: float = 60.0) -> docker.DockerClient:
        """Make a client of this Engine; whoever asks for it closes it."""
        return docker.DockerClient(base_url=self.url, timeout=timeout_s)

    def start(self, live_restore: bool = False) -> None:
        """Start dockerd without waiting for it.

        Args:
            live_restore: keep containers while dockerd is away, and adopt them on its return.
        """
        assert not self.is_running, f"{self.url} runs already"
        self.live_restore = live_restore
        config = {
            "data-root": str(self._folder / "data"),
            "exec-root": str(self._folder / "exec"),
            "pidfile": str(self._folder / "docker.pid"),
            "hosts": [self.url],
            "live-restore": live_restore,
            "insecure-registries": list(self._insecure_registries),
            # systemd's driver would need a systemd that knows this host.
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "cgroup-parent": f"/{self._cgroup}",
            # Otherwise the Engine's ID comes from one file in /etc/docker and all share it.
            "deprecated-key-path": str(self._folder / "key.json"),
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        config_path = self._folder / "daemon.json"
        config_path.write_text(json.dumps(config, indent=2))
        # What a killed one left: the number may be somebody else's by now, or a zombie's, which
        # dockerd takes for a containerd that still runs.
        (self._folder / "docker.pid").unlink(missing_ok=True)
        self._containerd_pid_path.unlink(missing_ok=True)
        self._daemon = self._processes.start(
            [*self._enter, "dockerd", "--config-file", str(config_path)], self.log_path
        )

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """Wait until the Engine answers.

        Raises:
            LabError: dockerd ended, or did not answer within `timeout_s`; holds the log's end.
        """
        deadline = time.monotonic() + timeout_s
        while not self._answers():
            if not self.is_running or time.monotonic() > deadline:
                raise LabError(f"Engine {self.url} does not answer; its log ends:\n{self._tail()}")
            time.sleep(_POLL_S)

    def stop(self, timeout_s: float = 60.0) -> None:
        """Stop dockerd in good order: it stops its containers, unless live_restore is on."""
        if self._daemon is not None and self._daemon.is_running:
            self._daemon.terminate()
            self._daemon.wait(timeout_s)

    def kill(self) -> None:
        """Kill dockerd as a crash would: its containerd goes with it, its containers stay."""
        if self._daemon is not None:
            self._daemon.kill9()
            self._wait_for_containerd(timeout_s=60.0)

    def _wait_for_containerd(self, timeout_s: float) -> None:
        # The kernel kills containerd when its dockerd dies; the next must not find it half dead.
        try:
            pid = int(self._containerd_pid_path.read_text())
        except (FileNotFoundError, ValueError):
            return
        containerd = identify(pid)
        deadline = time.monotonic() + timeout_s
        while containerd is not None and is_running(containerd):
            if time.monotonic() > deadline:
                raise LabError(f"containerd {pid} outlived its dockerd by {timeout_s:g} s")
            time.sleep(_POLL_S)

    def _answers(self) -> bool:
        # Not by the docker package: a client whose first request fails leaves its socket open.
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20.0)
            try:
                connection.connect(str(self.socket_path))
                connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")
                status = connection.recv(64)
            except OSError:
                return False
        return b" 200 " in status

    def _tail(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()
        return "\n".join(lines[-15:])
