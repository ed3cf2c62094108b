"""What may differ between Docker Swarm and Berth, each with its reason, and nothing else. Pure.

Duty: where two runs of the script differ; the declared differences (differences.toml); what of
either has no counterpart; the table for people.
Not here: masks (masks), the script (script).
Invariants (tests/unit/beside/test_differences.py): a difference that is not declared is a fault,
and so is a declared one that is gone.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.beside.command import Command, Told
from tests.beside.masks import lines_of

_DIGEST = re.compile(r"\bsha256:[0-9a-f]{64}\b")

DECLARED_PATH = Path(__file__).with_name("differences.toml")


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines in the answer to one command, where the other side says something else or nothing."""

    command: str
    swarm: tuple[str, ...]
    berth: tuple[str, ...]

    def __str__(self) -> str:
        said = [f"- {line}" for line in self.swarm] + [f"+ {line}" for line in self.berth]
        return "\n".join([f"`{self.command}`", *said])


@dataclass(frozen=True, slots=True)
class Difference:
    """Why some answers differ, and in what."""

    reason: str
    hunks: tuple[Hunk, ...]


def hunks_between(
    script: Sequence[Command], swarm: Mapping[str, Told], berth: Mapping[str, Told]
) -> list[Hunk]:
    """Return where the outputs of the script differ."""
    found: list[Hunk] = []
    for command in script:
        left = lines_of(command, swarm[command.name])
        right = lines_of(command, berth[command.name])
        matcher = difflib.SequenceMatcher(a=left, b=right, autojunk=False)
        found += [
            Hunk(command.name, tuple(map(_shown, left[a:b])), tuple(map(_shown, right[c:d])))
            for what, a, b, c, d in matcher.get_opcodes()
            if what != "equal"
        ]
    return found


def _shown(line: str) -> str:
    """Return a line that differs, without digests: both sides must say the same one, whichever."""
    return _DIGEST.sub("sha256:<DIGEST>", line)


def declared(text: str) -> tuple[Difference, ...]:
    """Read differences.toml: a reason, and per answer the commands that get it and both texts."""
    found = []
    for entry in tomllib.loads(text)["difference"]:
        hunks = tuple(
            Hunk(command, tuple(said.get("swarm", ())), tuple(said.get("berth", ())))
            for said in entry["said"]
            for command in said["commands"]
        )
        assert entry["reason"].strip(), "a difference without a reason"
        found.append(Difference(entry["reason"], hunks))
    return tuple(found)


def faults(seen: Iterable[Hunk], allowed: Sequence[Difference]) -> list[str]:
    """Return what is wrong, in words: differences undeclared, and declared ones that are gone."""
    seen = list(seen)
    known = {hunk for difference in allowed for hunk in difference.hunks}
    wrong = [f"not declared: {hunk}" for hunk in seen if hunk not in known]
    return wrong + [f"declared, but gone: {hunk}" for hunk in known if hunk not in seen]


def as_markdown(differences: Sequence[Difference]) -> str:
    """Return the differences for docs/swarm-differences.md; `-` is Swarm, `+` Berth."""
    parts = []
    for difference in differences:
        commands: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = {}
        for hunk in difference.hunks:
            commands.setdefault((hunk.swarm, hunk.berth), []).append(hunk.command)
        parts.append(f"**{difference.reason}**\n\n```diff")
        for (swarm, berth), names in commands.items():
            parts.append(f"@@ {', '.join(names)}")
            parts += [f"- {line}" for line in swarm] + [f"+ {line}" for line in berth]
        parts.append("```\n")
    return "\n".join(parts)
