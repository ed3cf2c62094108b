"""Start processes, write them down, and keep a hand on each.

Duty: `Processes.start` gives a `ProcessHandle`; every start is in the lab's ledger.
Not here: where a process runs (host.popen enters a host's namespaces), cleaning up (ledger).
Invariants: each process has a session of its own, so Ctrl-C reaches only us and we decide the
order of the end; a signal goes only to a child that we have not waited for, so never to a stranger.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.hosts.errors import LabError
from tests.hosts.ledger import Ledger


class ProcessHandle:
    """One running program: end it, kill it, freeze it, wait for it."""

    def __init__(self, popen: subprocess.Popen[bytes], argv: Sequence[str], log_path: Path) -> None:
        self._popen = popen
        self.argv = tuple(argv)
        self.log_path = log_path

    def __repr__(self) -> str:
        return f"<{Path(self.argv[0]).name} pid={self.pid} returncode={self._popen.poll()}>"

    @property
    def pid(self) -> int:
        """The process's PID, as the whole machine sees it."""
        return self._popen.pid

    @property
    def is_running(self) -> bool:
        """Tell whether it has not ended (a frozen process runs)."""
        return self._popen.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; does nothing if the process has ended."""
        self._popen.send_signal(number)

    def terminate(self) -> None:
        """Ask it to end: SIGTERM."""
        self.signal(signal.SIGTERM)

    def kill9(self) -> None:
        """End it as a crash would: SIGKILL, and wait for its end."""
        self.signal(signal.SIGKILL)
        self._popen.wait()

    def pause(self) -> None:
        """Freeze it: SIGSTOP."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on: SIGCONT."""
        self.signal(signal.SIGCONT)

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait for its end and return its exit code (-9 for SIGKILL).

        Raises:
            LabError: it still runs after `timeout_s`.
        """
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise LabError(
                f"{self!r} still runs after {timeout_s:g} s; its log: {self.log_path}"
            ) from None

    def stop(self, grace_s: float = 10.0) -> int:
        """Ask it to end, kill it if it does not within `grace_s`; return its exit code."""
        self.terminate()
        self.resume()
        try:
            return self._popen.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.kill9()
            return self._popen.wait()

    def log(self) -> str:
        """Return what it has printed so far, both streams."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def wait_for_log(self, text: str, timeout_s: float = 60.0) -> None:
        """Wait until its log holds `text`.

        Raises:
            LabError: it ended, or `timeout_s` went by, before that.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            running = self.is_running
            if text in self.log():
                return
            if not running or time.monotonic() > deadline:
                tail = self.log()[-2000:]
                raise LabError(f'{self!r} did not log "{text}"; its log ends:\n{tail}')
            time.sleep(0.02)


class Processes:
    """All processes that one lab has started. Threads may share it."""

    def __init__(self, ledger: Ledger, log_dir: Path) -> None:
        self._ledger = ledger
        self._log_dir = log_dir
        self._lock = threading.Lock()
        self._handles: list[ProcessHandle] = []

    @property
    def handles(self) -> tuple[ProcessHandle, ...]:
        """Everything started so far, ended or not, oldest first."""
        with self._lock:
            return tuple(self._handles)

    def start(
        self,
        argv: Sequence[str],
        log_path: Path | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> ProcessHandle:
        """Start a program.

        Args:
            argv: the program and its arguments.
            log_path: file that gets both its streams, appended; default is a new one in the lab.
            env: variables added to this process's own environment.
            cwd: its working directory; default is ours.
        """
        with self._lock:
            number = len(self._handles) + 1
            path = log_path or self._log_dir / f"{number:03}-{Path(argv[0]).name}.log"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as log:
                popen = subprocess.Popen(
                    list(argv),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **(env or {})},
                    cwd=cwd,
                    start_new_session=True,
                )
            self._ledger.add_process(popen.pid)
            handle = ProcessHandle(popen, argv, path)
            self._handles.append(handle)
            return handle

    def reap(self) -> None:
        """Kill what still runs and wait for every child, so that no zombie stays."""
        for handle in self.handles:
            handle.kill9()
