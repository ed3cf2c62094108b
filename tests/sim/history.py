"""What happened in a run, line by line, and what was found to be wrong.

Duty: keep lines with their virtual time; give their digest, by which two runs are compared.
Not here: what is wrong (checkers).
"""

import hashlib
from collections.abc import MutableMapping
from typing import Any

import structlog

from tests.sim.loop import SimLoop, current_process


class History:
    """The story of one run."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self._lines: list[tuple[float, str, str]] = []
        self.violations: list[str] = []
        self.is_closed = False
        """True once the run is over: nothing counts any more."""

    def note(self, who: str, what: str) -> None:
        """Add a line."""
        if not self.is_closed:
            self._lines.append((self._loop.time(), who, what))

    def violate(self, rule: str, what: str) -> None:
        """Note that a rule was broken; the run ends soon after."""
        text = f"{rule}: {what}"
        if self.is_closed:
            return
        self.violations.append(text)
        self.note("CHECKER", f"VIOLATION {text}")

    def check(self, holds: bool, rule: str, what: str) -> None:
        """Note a violation unless `holds`."""
        if not holds:
            self.violate(rule, what)

    def lines(self) -> list[str]:
        return [f"{at - 1000.0:10.4f}  {who:<10} {what}" for at, who, what in self._lines]

    def digest(self) -> str:
        """Return a digest of everything that was noted."""
        digest = hashlib.sha256()
        for line in self.lines():
            digest.update(line.encode())
        return digest.hexdigest()

    def take_log(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Take a log entry of a simulated process as a line (a structlog processor)."""
        process = current_process()
        who = "world" if process is None else process.name
        words = " ".join(f"{key}={value}" for key, value in event.items() if key != "event")
        self.note(who, f"{event['event']} {words}")
        raise structlog.DropEvent
