"""Write the tables of docs/task-lifecycle.md from the code; `--check` only compares.

Duty: the part between the two markers. Everything else in the document is prose.
"""

import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
DOCUMENT = TOP / "docs/task-lifecycle.md"
BEGIN, END = "<!-- generated: begin -->\n", "<!-- generated: end -->\n"


def tables() -> str:
    """Return the tables as Markdown."""
    from berth.model.task import DESIRED_STATES, TRANSITIONS_BY_OWNER, TaskState

    lines = ["| state | number | ended | may be desired |", "|---|---|---|---|"]
    for state in TaskState:
        ended = "yes" if state.is_terminal else ""
        desired = "yes" if state in DESIRED_STATES else ""
        lines.append(f"| {state.name} | {state.value} | {ended} | {desired} |")
    for owner, transitions in TRANSITIONS_BY_OWNER.items():
        lines += ["", f"Made by the {owner.value}:", "", "| from | to |", "|---|---|"]
        for old, news in sorted(transitions.items()):
            lines.append(f"| {old.name} | {', '.join(new.name for new in sorted(news))} |")
    return "\n".join(lines) + "\n"


def renewed(text: str) -> str:
    """Return the document with fresh tables."""
    before, _, rest = text.partition(BEGIN)
    _, marker, after = rest.partition(END)
    assert marker, f"{DOCUMENT} lacks its markers"
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


def main() -> int:
    """Write, or compare."""
    sys.path.insert(0, str(TOP))
    text = DOCUMENT.read_text("utf-8")
    fresh = renewed(text)
    if "--check" in sys.argv[1:]:
        return 0 if fresh == text else 1
    DOCUMENT.write_text(fresh, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
