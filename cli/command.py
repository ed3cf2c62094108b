"""What every command shares: the connection, the consoles, the event loop, the environment.

Not here: the commands (cli.services, cli.nodes, cli.cluster), how errors end them (cli.main).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console

from berth.client import ControlClient
from berth.clock import Clock
from berth.entropy import Entropy
from cli.connection import load_connection

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shell:
    """What a command works with."""

    env: Mapping[str, str]
    flags: Mapping[str, object]
    context: Path | None
    out: Console
    err: Console
    clock: Clock
    entropy: Entropy

    def run(self, work: Callable[[ControlClient], Awaitable[T]]) -> T:
        """Run `work` with a client of the cluster, in an event loop of its own."""
        settings = load_connection(env=self.env, flags=self.flags, context=self.context)

        async def connected() -> T:
            async with settings.open_client() as client:
                return await work(client)

        return asyncio.run(connected())

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.err.print(f"Warning: {text}", style="yellow")


pass_shell = click.make_pass_decorator(Shell)
