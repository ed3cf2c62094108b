"""A program whose event loop hangs while its other threads run on."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.hosts import Lab
from tests.machine.machine import Machine


@contextlib.contextmanager
def hung_loop(lab: Lab, machine: Machine, unit: str) -> Iterator[None]:
    """Hold a unit's event loop where it waits for events: its first thread, and no other.

    A watchdog that a thread of its own feeds would not notice.
    """
    tracer = lab.processes.start(
        ["strace", f"--attach={_pid_outside(machine, machine.unit(unit, 'MainPID'))}",
         "--trace=epoll_wait", "--inject=epoll_wait:delay_enter=120s"]
    )  # fmt: skip
    try:
        yield
    finally:
        tracer.stop()
    assert "(DELAYED)" in tracer.log() or "unfinished" in tracer.log(), tracer.log()


def _pid_outside(machine: Machine, pid: str) -> str:
    """Return the number that a process of the machine has on this one."""
    for outside in (row[0] for row in machine.container.top(ps_args="-eo pid")["Processes"]):
        with contextlib.suppress(FileNotFoundError):
            for line in Path(f"/proc/{outside}/status").read_text("utf-8").splitlines():
                if line.startswith("NSpid:") and line.split()[-1] == pid:
                    return outside
    raise AssertionError(f"process {pid} of the machine is not seen here")
