"""Run a real docker CLI against a scheduler's Docker API, as a user would type it.

Duty: the command, DOCKER_HOST, its outcome. Not here: Engines of single hosts (tests.hosts).
Invariant: no configuration of the user's own is read.
"""

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.cluster.berth_cli import CliError, CliResult

DOCKER_CLIS: Mapping[str, str] = {
    name: path
    for name, path in (("new", "/usr/local/bin/docker"), ("debian", "/usr/bin/docker"))
    if Path(path).exists()
}
"""Clients of this machine: one of today, and Debian's old one."""


class DockerCli:
    """Calls one docker client; the object is called like the command."""

    def __init__(
        self, program: str, host: Callable[[], str], config: Path, *, cert_path: Path | None = None
    ) -> None:
        """Prepare.

        Args:
            program: path of the client.
            host: DOCKER_HOST, asked for each call.
            config: an empty folder for its configuration.
            cert_path: folder of ca.pem, cert.pem and key.pem; None = speak plainly.
        """
        self._program = program
        self._host = host
        self._config = config
        self._cert_path = cert_path

    def __call__(
        self, *argv: str, check: bool = True, timeout_s: float = 90.0, stdin: str = ""
    ) -> CliResult:
        """Run one command to its end.

        Raises:
            CliError: it failed and `check` is on, or it took too long.
        """
        try:
            done = subprocess.run(
                [self._program, *argv],
                capture_output=True,
                text=True,
                input=stdin,
                timeout=timeout_s,
                env=self.environment(),
            )
        except subprocess.TimeoutExpired as error:
            said = (error.stdout or b"").decode(errors="replace")
            raise CliError(
                CliResult(argv, -9, said, f"killed after {timeout_s:g} s", "docker")
            ) from None
        result = CliResult(argv, done.returncode, done.stdout, done.stderr, "docker")
        if check and result.exit_code != 0:
            raise CliError(result)
        return result

    def lines(self, *argv: str) -> list[str]:
        """Run a command and return the lines that it printed."""
        return self(*argv).stdout.splitlines()

    def popen(self, *argv: str) -> "subprocess.Popen[str]":
        """Start a command that goes on, such as `events`; whoever asks ends it."""
        return subprocess.Popen(
            [self._program, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment(),
        )

    def environment(self) -> dict[str, str]:
        """Return the variables that the client gets."""
        kept = {name: value for name, value in os.environ.items() if "DOCKER" not in name}
        found = {**kept, "DOCKER_HOST": self._host(), "DOCKER_CONFIG": str(self._config)}
        if self._cert_path is not None:
            found |= {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(self._cert_path)}
        return found
