"""Run the real `berth` command against a cluster, as a user would type it.

Duty: the command, its environment, its outcome; errors that show what it said.
Not here: what the commands do (cli).
"""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.hosts import LabError

_BERTH = str(Path(sys.executable).parent / "berth")


@dataclass(frozen=True, slots=True)
class CliResult:
    """How one command ended."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str
    program: str = "berth"

    @property
    def typed(self) -> str:
        """The command as a user would type it."""
        return shlex.join((self.program, *self.argv))

    @property
    def output(self) -> str:
        """Both streams, stdout first."""
        return self.stdout + self.stderr


class CliError(LabError):
    """A command of which success was asked failed."""

    def __init__(self, result: CliResult) -> None:
        said = result.output.strip()
        super().__init__(f"`{result.typed}` ended with exit code {result.exit_code}:\n{said}")
        self.result = result


class BerthCli:
    """Calls `berth`; the object is called like the command: `berth("service", "ls")`."""

    def __init__(self, environment: Callable[[], Mapping[str, str]]) -> None:
        self._environment = environment

    def __call__(
        self,
        *argv: str,
        check: bool = True,
        timeout_s: float = 60.0,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
    ) -> CliResult:
        """Run one command to its end.

        Args:
            argv: what a user types after `berth`.
            check: raise CliError unless it exits with 0.
            timeout_s: after that it is killed, which is an error whatever `check` says.
            env: more variables.
            stdin: what it may read.

        Raises:
            CliError: it failed, and `check` is on; or it took too long.
        """
        try:
            done = subprocess.run(
                [_BERTH, *argv],
                capture_output=True,
                text=True,
                input=stdin if stdin is not None else "",
                timeout=timeout_s,
                env=self.environment(env),
            )
        except subprocess.TimeoutExpired as error:
            said = (error.stdout or b"").decode(errors="replace")
            raise CliError(
                CliResult(argv, -signal.SIGKILL, said, f"killed after {timeout_s:g} s")
            ) from None
        result = CliResult(argv, done.returncode, done.stdout, done.stderr)
        if check and result.exit_code != 0:
            raise CliError(result)
        return result

    def popen(self, *argv: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        """Start a command that goes on, such as `logs --follow`; whoever asks ends it."""
        return subprocess.Popen(
            [_BERTH, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment(env),
        )

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the variables that a command of this cluster gets."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BERTH_")}
        return {**kept, **self._environment(), **(more or {})}


def typed(argv: Sequence[str]) -> str:
    """Return a `berth` command as a user would type it."""
    return shlex.join(("berth", *argv))
