"""One command of the script: run it, and wait where its answer is not there at once.

Duty: `Command`, `Told` (what was said), `run_script`. Not here: the commands (script), masks
(masks), judging (differences).
Invariant: a command that never says what it waits for fails with what it said last.
"""

import re
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from tests.cluster import DockerCli

_PATIENCE_S = 120.0
_PAUSE_S = 0.15


class Form(Enum):
    """How the output of a command is compared."""

    TEXT = "text"
    """Line by line."""
    TABLE = "table"
    """Line by line, as a set: an order that nobody promises does not count."""
    TASKS = "tasks"
    """A table of tasks: which node got which is the scheduler's own business."""
    PROGRESS = "progress"
    """What a waiting client prints: the kinds of lines, and how it ends."""
    JSON = "json"
    """Path by path."""


@dataclass(frozen=True, slots=True)
class Command:
    """A line of the script."""

    name: str
    """By which declared differences and the documentation refer to it."""
    typed: str
    """What stands behind `docker`; `@name` stands for an image or a file."""
    form: Form = Form.TEXT
    until: str = ""
    """Repeat the command until its standard output matches this."""
    unless: str = ""
    """And as long as it matches this."""
    stdin: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What one side said to one command."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def is_failure(self) -> bool:
        """Tell whether the command failed."""
        return self.exit_code != 0


def run_script(
    script: Sequence[Command], cli: DockerCli, words: Mapping[str, str]
) -> dict[str, Told]:
    """Run all commands in order; return what each said."""
    names = [command.name for command in script]
    assert len(set(names)) == len(names), "two commands have one name"
    return {command.name: _run(command, cli, words) for command in script}


def _run(command: Command, cli: DockerCli, words: Mapping[str, str]) -> Told:
    argv = [
        words[part[1:]] if part.startswith("@") else part for part in shlex.split(command.typed)
    ]
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        done = cli(*argv, check=False, stdin=command.stdin)
        if _is_settled(command, done.stdout):
            return Told(done.exit_code, done.stdout, done.stderr)
        assert time.monotonic() < deadline, (
            f"`docker {command.typed}` never said {command.until!r} (or went on saying "
            f"{command.unless!r}); at last it said:\n{done.output}"
        )
        time.sleep(_PAUSE_S)


def _is_settled(command: Command, said: str) -> bool:
    if command.until and not re.search(command.until, said, re.MULTILINE):
        return False
    return not (command.unless and re.search(command.unless, said, re.MULTILINE))
