"""How the demo looks: steps with their times, commands as a user types them, facts.

Duty: everything that is printed; colours and a spinner on a terminal, plain lines elsewhere.
Not here: what is done (steps).
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.text import Text

_WIDTH_MAX = 128
_COMMAND_WIDTH_MAX = 104
_WIDE_COLUMN = re.compile(r"\S*@sha256:[0-9a-f]+")
_STATES = {
    r"\b(Running|Ready|Active|healthy|leader)\b": "green",
    r"\b(Failed|Rejected|Down|Orphaned)\b": "red",
    r"\b(Pending|Assigned|Accepted|Preparing|Starting|Drain|Shutdown|Disconnected)\b": "yellow",
}


@dataclass(slots=True)
class StepRecord:
    """One step that was shown."""

    title: str
    took_s: float = 0.0
    facts: list[str] = field(default_factory=list)


class Stage:
    """Prints the demo."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.records: list[StepRecord] = []
        self._began = time.monotonic()

    @contextmanager
    def step(self, title: str) -> Iterator[StepRecord]:
        """Show a step; its line of success, with the time, comes when the block ends well."""
        number = len(self.records) + 1
        record = StepRecord(title)
        self.records.append(record)
        began = time.monotonic()
        self.console.print()
        self.console.print(f"[bold]{number}. {escape(title)}[/]")
        try:
            yield record
        finally:
            record.took_s = time.monotonic() - began
        self.console.print(f"   [green]✓[/] [dim]{record.took_s:.1f} s[/]")

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Show a spinner on a terminal while the block runs; nothing elsewhere."""
        if not self.console.is_terminal:
            yield
            return
        with self.console.status(f"[dim]{escape(what)}[/]"):
            yield

    def command(self, typed: str) -> None:
        """Show a command as a user types it."""
        for number, line in enumerate(_folded(typed)):
            prompt = "$" if number == 0 else " "
            self.console.print(f"   [bold cyan]{prompt} {escape(line)}[/]", soft_wrap=True)

    def output(self, text: str) -> None:
        """Show what a command printed."""
        for line in text.rstrip().splitlines():
            shown = Text(_clipped(line))
            for pattern, style in _STATES.items():
                shown.highlight_regex(pattern, style)
            self.console.print(Text("   ") + shown, soft_wrap=True)

    def say(self, text: str) -> None:
        """Explain in a sentence what is about to happen."""
        self.console.print(f"   [dim]{escape(text)}[/]", soft_wrap=True)

    def fact(self, text: str) -> None:
        """Show something that was measured or checked."""
        if self.records:
            self.records[-1].facts.append(text)
        self.console.print(f"   [green]→[/] {escape(text)}", soft_wrap=True)

    def fail(self, text: str) -> None:
        """Show why the demo ends here."""
        self.console.print("\n[bold red]✗ the demo failed[/]")
        self.console.print(Text(text), soft_wrap=True)

    def finish(self) -> None:
        """Show all steps with their times."""
        self.console.print()
        self.console.print("[bold]What was shown[/]")
        for number, record in enumerate(self.records, start=1):
            begin = f"{number:2}. {record.took_s:5.1f} s  {record.title}"
            best = _clipped(record.facts[-1], _WIDTH_MAX - len(begin) - 8) if record.facts else ""
            self.console.print(
                f" [green]✓[/] {escape(begin)}  [dim]{escape(best)}[/]", soft_wrap=True
            )
        total_s = time.monotonic() - self._began
        self.console.print(
            f"\n[bold green]all {len(self.records)} steps passed[/] in {total_s:.0f} s"
        )


def _clipped(line: str, width: int = _WIDTH_MAX) -> str:
    """Shorten what would wrap: digests, then the line."""
    line = _WIDE_COLUMN.sub(lambda found: found[0][:40] + "…", line)
    return line if len(line) <= width else line[: width - 1] + "…"


def _folded(typed: str) -> list[str]:
    """Break a long command before its flags, as one would type it."""
    lines = [""]
    for part in re.split(r" (?=--)", typed):
        if lines[-1] and len(lines[-1]) + len(part) > _COMMAND_WIDTH_MAX:
            lines[-1] += " \\"
            lines.append(f"    {part}")
        else:
            lines[-1] = f"{lines[-1]} {part}".strip() if len(lines) == 1 else f"{lines[-1]} {part}"
    return lines
