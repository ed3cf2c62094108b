"""Write the declared differences into docs/swarm-differences.md: `python -m tests.beside`."""

from pathlib import Path

from tests.beside.differences import DECLARED_PATH, as_markdown, declared

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "swarm-differences.md"
BEGIN = "<!-- made by python -m tests.beside from tests/beside/differences.toml -->\n"
END = "<!-- end -->\n"


def with_differences(document: str) -> str:
    """Return the page with the part between the two marks made anew."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    made = as_markdown(declared(DECLARED_PATH.read_text(encoding="utf-8")))
    return f"{before}{BEGIN}\n{made}\n{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(with_differences(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
