"""Set up several hosts, a registry and images on this one machine, and leave nothing behind.

Duty: `with lab(hosts=3) as it:`.
Not here: the parts (their modules), Berth itself: whoever uses a lab starts schedulers and agents.
Invariants: whatever happens to this process, the lab ends: on return, on an error, on Ctrl-C and
SIGTERM here; on SIGKILL by the watcher, a process that sees our end of a pipe close; and if that
was killed too, by `python -m tests.hosts --clean`.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from tests.hosts.errors import LabError
from tests.hosts.host import Host
from tests.hosts.images import ImageFactory
from tests.hosts.ledger import Ledger, clean
from tests.hosts.netns import HostNetwork
from tests.hosts.processes import Processes
from tests.hosts.registry import Registry

WORK_DIR_PREFIX = "berth-lab-"
_TOP = Path(__file__).resolve().parents[2]
_WATCHER_DONE = b"done"


@dataclass(slots=True)
class Lab:
    """A running lab."""

    work_dir: Path
    network: HostNetwork
    processes: Processes
    hosts: list[Host]
    _registry: Registry | None = None
    _images: ImageFactory | None = None

    @property
    def registry(self) -> Registry:
        """The lab's registry."""
        assert self._registry is not None, "this lab was made without a registry"
        return self._registry

    @property
    def images(self) -> ImageFactory:
        """The factory that fills the lab's registry."""
        assert self._images is not None, "this lab was made without a registry"
        return self._images

    def start_registry(
        self, name: str = "registry", user: str | None = None, password: str | None = None
    ) -> Registry:
        """Start one more registry; every Engine of the lab trusts it without TLS."""
        folder = self.work_dir / name
        registry = Registry(self.network.address, folder, self.processes, user, password)
        registry.start()
        return registry

    def use_registry(self) -> None:
        """Start the lab's own registry and its image factory."""
        self._registry = self.start_registry()
        self._images = ImageFactory(self._registry)

    def start_engines(self, live_restore: bool = False) -> None:
        """Start the Engines of all hosts at once and wait for all."""
        with ThreadPoolExecutor(max_workers=max(1, len(self.hosts))) as pool:
            for started in [pool.submit(host.start_engine, live_restore) for host in self.hosts]:
                started.result()

    def heal(self) -> None:
        """Bring every host back to new: on, linked, Engine up, no containers, images kept.

        Programs that were started stay; whoever started them ends them first.
        """
        with ThreadPoolExecutor(max_workers=max(1, len(self.hosts))) as pool:
            for healed in [pool.submit(_heal, host) for host in self.hosts]:
                healed.result()


def _heal(host: Host) -> None:
    host.restore_link()
    if not host.is_on:
        host.power_on(start_engine=False)
    if host.engine.is_running:
        host.engine.daemon.resume()
    else:
        host.start_engine(host.engine.live_restore)
    with contextlib.closing(host.engine.client()) as client:
        for container in client.api.containers(all=True, quiet=True):
            client.api.remove_container(container["Id"], force=True, v=True)


@contextlib.contextmanager
def lab(
    hosts: int = 3,
    work_dir: Path | None = None,
    registry: bool = True,
    live_restore: bool = False,
) -> Iterator[Lab]:
    """Run a lab as long as the `with` block.

    Args:
        hosts: how many; each has an Engine that answers when the block begins.
        work_dir: folder to make for it; must be new or empty, is removed at the end. Default: a
            new one among the temporary files. Where the variable BERTH_LAB_LOGS names a folder,
            the logs are copied there before.
        registry: whether to start a registry too.
        live_restore: see Engine.start.

    Raises:
        LabError: this is not root, or something did not start; nothing is left behind then.
    """
    if os.geteuid() != 0:
        raise LabError("a lab makes network namespaces and starts Engines: run it as root")
    folder = _make_work_dir(work_dir)
    ledger = Ledger(folder)
    ledger.open()
    with _sigterm_raises(), _watched(folder):
        processes = Processes(ledger, folder / "logs")
        try:
            network = HostNetwork(ledger)
            network.create()
            it = Lab(folder, network, processes, _create_hosts(hosts, network, ledger, processes))
            if registry:
                it.use_registry()
            it.start_engines(live_restore)
            yield it
        finally:
            _keep_logs(folder)
            _close(folder, processes)


def _close(folder: Path, processes: Processes) -> None:
    with contextlib.ExitStack() as stack:
        stack.callback(clean, folder)  # Last: it needs the ledger and all handles let go.
        stack.callback(processes.reap)


def _make_work_dir(work_dir: Path | None) -> Path:
    if work_dir is None:
        return Path(tempfile.mkdtemp(prefix=WORK_DIR_PREFIX))
    work_dir.mkdir(parents=True, exist_ok=True)
    if any(work_dir.iterdir()):
        raise LabError(f"work folder {work_dir} is not empty: name a new one")
    return work_dir.resolve()


def _create_hosts(
    count: int, network: HostNetwork, ledger: Ledger, processes: Processes
) -> list[Host]:
    hosts = []
    for number in range(1, count + 1):
        name = f"host-{number}"
        folder = ledger.work_dir / f"h{number}"
        host = Host(name, folder, network.add_port(), processes, [str(network.subnet)])
        host.create(ledger)
        hosts.append(host)
    return hosts


def _keep_logs(folder: Path) -> None:
    wanted = os.environ.get("BERTH_LAB_LOGS")
    if not wanted:
        return
    for log in [*folder.glob("*.log"), *folder.glob("*/*.log"), *folder.glob("h*/engine/*.log")]:
        target = Path(wanted) / folder.name / log.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log, target)


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Turn SIGTERM into SystemExit, so that `with` blocks end; a handler of others stays."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.getsignal(signal.SIGTERM)
    if before is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _watched(folder: Path) -> Iterator[None]:
    """Keep a process that cleans `folder` up if this one ends without having done so."""
    watcher = subprocess.Popen(
        [sys.executable, "-m", "tests.hosts", "--watch", str(folder)],
        stdin=subprocess.PIPE,
        cwd=_TOP,
        start_new_session=True,
    )
    assert watcher.stdin is not None
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):
            if not folder.exists():  # Else the clean-up failed, and the watcher tries again.
                watcher.stdin.write(_WATCHER_DONE)
            watcher.stdin.close()
        watcher.wait()


def watch(folder: Path) -> None:
    """Wait for the end of standard input; clean up unless it said that all is done."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.stdin.buffer.read() != _WATCHER_DONE and folder.exists():
        clean(folder)
