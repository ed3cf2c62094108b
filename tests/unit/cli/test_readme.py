"""Every `berth` command in the documents is one that the program takes."""

import re
import shlex
from pathlib import Path

import click
import pytest

from cli.main import berth

TOP = Path(__file__).resolve().parents[3]
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/failure-model.md",
    "docs/operations.md",
    "docs/runbook.md",
)
LINE = re.compile(r"^ *(berth .*?)(?:\s+#.*)?$", re.MULTILINE)
COMMANDS = [found for name in DOCUMENTS for found in LINE.findall((TOP / name).read_text("utf-8"))]


def parse(command: click.Command, arguments: list[str], parent: click.Context | None) -> None:
    """Read the arguments as the program would, down to the last command, and run nothing."""
    with command.make_context(command.name, arguments, parent=parent) as context:
        if isinstance(command, click.Group):
            _, inner, rest = command.resolve_command(
                context, [*context._protected_args, *context.args]
            )
            assert inner is not None
            parse(inner, rest, context)


@pytest.mark.parametrize("typed", COMMANDS)
def test_a_documented_command_is_understood(typed: str) -> None:
    parse(berth, shlex.split(typed)[1:], None)


def test_the_tour_is_there() -> None:
    assert len(COMMANDS) > 10
