"""Take out of an output what differs between any two clusters, even two Swarms. Pure.

Duty: IDs, times, addresses, versions, keys; which node got a task; one line per fact of an answer.
Not here: differences between Swarm and Berth (differences).
Invariant (tests/unit/beside/test_masks.py): no word of a message, no column and no exit code is
masked.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.beside.command import Command, Form, Told

_MASKS = tuple(
    (re.compile(pattern, re.DOTALL), mask)
    for pattern, mask in (
        (r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----(\\n|\n)?", "<CERTIFICATE>"),
        (r"(Issuer ?(?:Subject|Public ?Key)(?::|\" = \"|: \"| = \")\s*)[\w+/=]+", r"\1<KEY>"),
        (r"(?<!sha256:)\b[0-9a-f]{64}\b", "<CONTAINER>"),
        (r"\bscheduler-\d+\b", "<SCHEDULER>"),
        (r"SWMTKN-\S+", "<TOKEN>"),
        (r"\b[0-9a-z]{25}\b", "<ID>"),
        (r"(?<=\.\d\.)[0-9a-z]{12}(?=@)", "<ID>"),  # In the names of tasks before log lines.
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?(Z|[+-]\d\d:?\d\d))?( UTC)?", "<TIME>"),
        (r"(About an? (minute|hour)|[Ll]ess than a second|\d+ (second|minute)s?) ago", "<AGO>"),
        (r"\b10\.\d+\.\d+\.\d+(?::\d+)?\b", "<ADDRESS>"),
        (r"\bgo\d\.\S+|\bpython\d\.\S+", "<LANGUAGE>"),
        (r"((?i:version|downgraded from|commit):? +)[\w.~+-]+", r"\1<VERSION>"),
        (r"\b\d\d\.\d+\.\d+\+\S+", "<VERSION>"),  # An Engine's.
        (r"\bBerth \d[\w.]+", "Berth <VERSION>"),
        (r"((?:Built|OS/Arch): +)[^\n]+", r"\1<OF HERE>"),
    )
)
_SHORT_ID = re.compile(r"^(\s*(?:\\_ )?)[0-9a-z]{12}(?=\s|$)")
_NODE = re.compile(r"\bhost-\d+\b")
_STEP = re.compile(
    r"^(\d+/\d+: |<ID>: |verify: (Waiting|Detected task failure)|overall progress: )"
)
_INDEX = re.compile(r"(Version\.Index = )\d+")
_WIDE = re.compile(r"\s{2,}")


def masked(text: str) -> str:
    """Return `text` without IDs, times and addresses."""
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return text


def lines_of(command: Command, told: Told) -> list[str]:
    """Return what a command said, as lines to compare: stdout, stderr, exit code."""
    said = list(_stdout_lines(command, told))
    if command.form in (Form.TABLE, Form.TASKS, Form.JSON):
        said.sort()
    errors = [f"stderr: {line}" for line in _plain_lines(told.stderr)]
    return [*said, *errors, f"exit code: {told.exit_code}"]


def _plain_lines(text: str) -> list[str]:
    lines = [_SHORT_ID.sub(r"\1<ID>", line.rstrip()) for line in masked(text).splitlines()]
    return [_WIDE.sub("  ", line.replace("\t", "  ")) for line in lines if line]


def _stdout_lines(command: Command, told: Told) -> list[str]:
    said = told.stdout
    if command.form is Form.JSON and said.strip().startswith(("{", "[")):
        return [_INDEX.sub(r"\1<VERSION>", masked(line)) for line in _paths(json.loads(said))]
    lines = _plain_lines(said)
    if command.form is Form.TASKS:
        return [_NODE.sub("<NODE>", line) for line in lines]
    if command.form is Form.PROGRESS:
        return _without_steps(lines, is_whole=told.exit_code == 0)
    return lines


def _without_steps(lines: list[str], *, is_whole: bool) -> list[str]:
    """Return the lines of a waiting client without its steps, which hang on how fast all is.

    So does the last count where it gave up: whether it saw a task run that ended at once.
    """
    totals = [line for line in lines if is_whole and line.startswith("overall progress: ")]
    kept = [line for line in lines if not _STEP.match(line)]
    return [*dict.fromkeys(kept), *totals[-1:]]


def _paths(value: Any, path: str = "") -> Iterator[str]:
    """Return one line per leaf: `[].Spec.Mode.Replicated.Replicas = 3`."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _paths(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for item in value:
            yield from _paths(item, f"{path}[]")
    else:
        yield f"{path} = {json.dumps(value)}"
