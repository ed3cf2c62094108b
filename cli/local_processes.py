"""Start the programs of a local cluster in the background, and end them.

Duty: processes that outlive this command, recorded before anything waits for them; ending them by
PID and start time.
Not here: which programs (cli.local_plan), the record's form (cli.local_record).
Invariants (tests/unit/cli/test_local_processes.py): a process whose start time is not the recorded
one is never signalled; what is done within `uninterrupted` is done whole.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

from berth.clock import SystemClock
from berth.errors import UnavailableError
from cli.local_record import ProcessRecord

_PROC = Path("/proc")
_START_TIME_FIELD = 19  # Field 22 of /proc/PID/stat, counted after the command's bracket.
_POLL_S = 0.05
_TAIL_LINES = 8


def start_time(pid: int) -> int | None:
    """Return when process `pid` began, in ticks since boot; None for nobody or a zombie."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else int(fields[_START_TIME_FIELD])


def is_running(record: ProcessRecord) -> bool:
    """Tell whether that very process runs."""
    return record.pid > 0 and start_time(record.pid) == record.started_ticks


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back until the block is done; then whoever handles them is called.

    A process that was started and not yet written down would be nobody's. The signals are noted by
    a handler rather than blocked, since a started process would inherit a blocked one for good.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Signals reach the main thread only.
        return
    came: set[int] = set()

    def note(number: int, _frame: FrameType | None) -> None:
        came.add(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for held, handler in before.items():
            signal.signal(held, handler)
    for number in came:
        signal.raise_signal(number)


def start(record: ProcessRecord) -> ProcessRecord:
    """Start the program in a session of its own; return the record with the process in it.

    Raises:
        UnavailableError: it cannot be started at all.
    """
    log_path = Path(record.log)
    log_path.parent.mkdir(parents=True, exist_ok=True)
    # What the user's shell says about Berth is meant for commands, not for these programs.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("BERTH_")}
    try:
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                record.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**inherited, **record.env},
                cwd="/",
                start_new_session=True,  # Ctrl-C and a closed terminal are for us alone.
            )
    except OSError as error:
        raise UnavailableError(
            f"{record.name} cannot be started: {record.argv[0]}: {error.strerror}"
        ) from error
    began = start_time(process.pid)
    process.returncode = 0  # It is to outlive us; without this, Python warns that it does.
    return replace(record, pid=process.pid, started_ticks=began or 0)


def end_all(records: Iterable[ProcessRecord], grace_s: float) -> list[str]:
    """Ask these processes to end, all at once; kill those that do not within `grace_s` seconds.

    Returns:
        The names of those that had to be killed.
    """
    alive = [record for record in records if is_running(record)]
    for record in alive:
        _signal(record, signal.SIGTERM)
        _signal(record, signal.SIGCONT)  # One that somebody froze could not hear it.
    left = _wait_gone(alive, grace_s)
    for record in left:
        _signal(record, signal.SIGKILL)
    _wait_gone(left, grace_s)
    return [record.name for record in left]


def _signal(record: ProcessRecord, number: signal.Signals) -> None:
    if is_running(record):
        try:
            os.kill(record.pid, number)
        except ProcessLookupError:
            return


def _wait_gone(records: list[ProcessRecord], timeout_s: float) -> list[ProcessRecord]:
    clock = SystemClock()
    give_up_at = clock.instant() + timeout_s
    alive = records
    while alive and clock.instant() < give_up_at:
        time.sleep(_POLL_S)
        alive = [record for record in alive if is_running(record)]
    return alive


def log_tail(record: ProcessRecord) -> str:
    """Return the last lines of a program's log."""
    try:
        lines = Path(record.log).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "(no log)"
    return "\n".join(lines[-_TAIL_LINES:]) or "(its log is empty)"
