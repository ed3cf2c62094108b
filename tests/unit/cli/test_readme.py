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


def test_the_first_screens_type_dockers_command() -> None:
    text = (TOP / "README.md").read_text("utf-8")
    assert "export DOCKER_HOST=unix://$HOME/.local/share/berth/run/scheduler-1.sock" in text
    typed = re.findall(r"^docker (\w+ \w+) ", text, re.MULTILINE)
    assert typed == [
        "service create",
        "service ps",
        "service scale",
        "service update",
        "node update",
    ]
    assert text.index("make demo") < text.index("docs/demo.svg") < text.index("\ndocker ")
