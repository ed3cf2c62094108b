"""A host: a machine as far as Berth can tell, with its network, its name, its Engine.

Duty: run programs on it, cut its cable, pull its power plug, switch it on again.
Not here: dockerd's settings (engine), the network between hosts (netns), the end of all (ledger).
Invariant: everything of a host runs in its network namespace or below its cgroup, which is how
`power_off` finds all of it, containers included.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.hosts.engine import Engine
from tests.hosts.ledger import (
    Ledger,
    kill_all,
    remove_cgroups,
    remove_shim_sockets,
    run_tool,
    unmount_below,
)
from tests.hosts.netns import NetworkPort
from tests.hosts.processes import Processes, ProcessHandle


class Host:
    """One of the lab's machines."""

    def __init__(
        self,
        name: str,
        folder: Path,
        port: NetworkPort,
        processes: Processes,
        insecure_registries: Sequence[str],
    ) -> None:
        self.name = name
        self.folder = folder
        self.address = port.address
        self.netns = port.netns
        self.cgroup = port.netns
        self.is_on = True
        self._port = port
        self._processes = processes
        self._uts_path = folder / "uts"
        self._enter = (
            "nsenter",
            f"--net={port.netns_path}",
            f"--uts={self._uts_path}",
        )
        self.engine = Engine(
            folder / "engine", processes, self._enter, self.cgroup, insecure_registries
        )

    def __repr__(self) -> str:
        return f"<host {self.name} at {self.address}>"

    def create(self, ledger: Ledger) -> None:
        """Give the host its folder, its own hostname and its place among the cgroups."""
        self.folder.mkdir(parents=True)
        self._uts_path.touch()
        ledger.add_cgroup(self.cgroup)
        run_tool("unshare", f"--uts={self._uts_path}", "hostname", self.name)

    def popen(
        self,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
        cwd: Path | None = None,
    ) -> ProcessHandle:
        """Start a program on this host; it sees the host's network and hostname, and all files.

        Args:
            argv: the program and its arguments.
            env: variables added to this process's own environment.
            log: file for both its streams; default is a new one among the lab's logs.
            cwd: its working directory.
        """
        assert self.is_on, f"{self.name} is powered off"
        return self._processes.start([*self._enter, *argv], log, env, cwd)

    def start_engine(self, live_restore: bool = False, wait: bool = True) -> None:
        """Start the Engine and, if told to, wait until it answers."""
        assert self.is_on, f"{self.name} is powered off"
        self.engine.start(live_restore)
        if wait:
            self.engine.wait_ready()

    def stop_engine(self) -> None:
        """Stop the Engine in good order; its containers stop too, unless live_restore is on."""
        self.engine.stop()

    def kill_engine(self) -> None:
        """Kill dockerd alone; its containers run on, unwatched."""
        self.engine.kill()

    def restart_engine(self) -> None:
        """Stop and start the Engine with the settings that it had."""
        self.engine.stop()
        self.start_engine(self.engine.live_restore)

    def cut_link(self) -> None:
        """Pull the network cable."""
        self._port.cut()

    def restore_link(self) -> None:
        """Plug the network cable in again."""
        self._port.restore()

    def power_off(self) -> None:
        """Pull the power plug: the link goes first, so that no process can say good-bye."""
        self._port.cut()
        kill_all([self.netns], [self.cgroup])
        self.is_on = False

    def power_on(self, start_engine: bool = True) -> None:
        """Switch the host on again; what was on its disk is there, what was in /run is not.

        The Engine starts what its restart policies say. Programs given to `popen` do not return.
        """
        assert not self.is_on, f"{self.name} is on already"
        engine_folder = self.folder / "engine"
        remove_shim_sockets(engine_folder)
        unmount_below(engine_folder)
        remove_cgroups([self.cgroup])
        shutil.rmtree(engine_folder / "exec", ignore_errors=True)
        self.engine.socket_path.unlink(missing_ok=True)
        self._port.restore()
        self.is_on = True
        if start_engine:
            self.start_engine(self.engine.live_restore)
