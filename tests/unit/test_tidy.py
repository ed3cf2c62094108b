"""House rules as tests: sizes, leftovers, numbering, mirrors. Lists of exceptions only shrink."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
FOLDERS = ("berth", "scheduler", "nodeagent", "gateway", "cli", "tests", "bench")
GENERATED = ("berth/v1", "scheduler/store/etcdpb", "scheduler/store/recordpb")
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
PURE_PACKAGES = ("scheduler/core", "nodeagent/core")
# Spelt so that this file does not find itself.
LEFTOVERS = re.compile(r"\b(FIX" + r"ME|TO" + r"DO|XX" + r"X|HA" + r"CK)\b")
VAGUE_MODULES = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
VAGUE_FUNCTIONS = re.compile(r"_*(handle|manage|do)_(?!GET|PUT|POST|HEAD|PATCH|DELETE)")

LONG_FILES: dict[str, int] = {}
"""Files that may be longer, with the length that they may have. Never add one."""

LONG_FUNCTIONS: dict[str, int] = {
    "tests/contract/test_commit_faults.py:"
    "test_leaders_that_are_cut_off_and_come_back_never_interleave": 82,
}
"""Functions that may be longer, as `path:name`. Never add one."""

WITHOUT_MIRROR: set[str] = {
    "nodeagent/core/messages.py",  # Dataclasses alone.
    "scheduler/core/cluster_record.py",
    "scheduler/core/invariants.py",
    "scheduler/core/now.py",  # A dataclass alone.
}
"""Modules of a core without a test file of their own name. Never add one."""


def sources() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((TOP / folder).rglob("*.py")):
            if not path.relative_to(TOP).as_posix().startswith(GENERATED):
                yield path


def named(path: Path) -> str:
    return path.relative_to(TOP).as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_files_are_short() -> None:
    lengths = {named(path): len(path.read_text("utf-8").splitlines()) for path in sources()}
    too_long = {
        name: length
        for name, length in lengths.items()
        if length > LONG_FILES.get(name, FILE_LINES_MAX)
    }
    assert not too_long, f"split these by duty (at most {FILE_LINES_MAX} lines): {too_long}"
    settled = {name for name in LONG_FILES if lengths.get(name, 0) <= FILE_LINES_MAX}
    assert not settled, f"short now: take them off LONG_FILES: {settled}"


def test_functions_are_short() -> None:
    lengths = {
        f"{named(path)}:{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in sources()
        for node in functions(path)
    }
    too_long = {
        name: length
        for name, length in lengths.items()
        if length > LONG_FUNCTIONS.get(name, FUNCTION_LINES_MAX)
    }
    assert not too_long, f"split these (at most {FUNCTION_LINES_MAX} lines): {too_long}"
    settled = {name for name in LONG_FUNCTIONS if lengths.get(name, 0) <= FUNCTION_LINES_MAX}
    assert not settled, f"short now: take them off LONG_FUNCTIONS: {settled}"


def test_nothing_is_left_for_later() -> None:
    found = [
        f"{named(path)}:{number}: {line.strip()}"
        for path in sources()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if LEFTOVERS.search(line)
    ]
    assert not found, "do it, or write it where work is planned:\n" + "\n".join(found)


def test_names_say_a_duty() -> None:
    vague = [named(path) for path in sources() if path.stem in VAGUE_MODULES]
    vague += [
        f"{named(path)}:{node.lineno}: {node.name}"
        for path in sources()
        for node in functions(path)
        if VAGUE_FUNCTIONS.match(node.name)
    ]
    assert not vague, f"name these by what they decide or do: {vague}"


def test_every_module_says_its_duty() -> None:
    silent = [
        named(path)
        for path in sources()
        if path.stat().st_size
        and not ast.get_docstring(ast.parse(path.read_text("utf-8")))
        and not path.relative_to(TOP).as_posix().startswith("tests/unit")
    ]
    assert not silent, f"open these with a docstring: {silent}"


@pytest.mark.parametrize("package", PURE_PACKAGES)
def test_every_module_of_a_core_has_a_test_of_its_name(package: str) -> None:
    without = set()
    for path in sorted((TOP / package).rglob("*.py")):
        inner = path.relative_to(TOP)
        mirror = TOP / "tests/unit" / inner.parent / f"test_{path.name}"
        properties = TOP / "tests/property" / f"test_{path.name}"
        if path.name != "__init__.py" and not (mirror.exists() or properties.exists()):
            without.add(inner.as_posix())
    excused = {name for name in WITHOUT_MIRROR if name.startswith(f"{package}/")}
    assert not without - excused, f"write tests/unit/…/test_<module>.py for {without - excused}"
    assert not excused - without, f"they have one now: take them off {excused - without}"


def test_decisions_are_numbered_without_gaps() -> None:
    names = sorted(path.name for path in (TOP / "docs/adr").glob("*.md"))
    numbers = [int(name[:4]) for name in names]
    assert numbers == list(range(1, len(names) + 1)), names


def test_every_decision_says_why_and_what_would_change_it() -> None:
    for path in sorted((TOP / "docs/adr").glob("*.md")):
        text = path.read_text("utf-8")
        assert re.match(rf"# {int(path.name[:4])}\. ", text), f"{path.name}: number in the title"
        for heading in ("Context", "Decision", "Consequences", "What would change our mind"):
            assert f"\n## {heading}\n" in text, f"{path.name}: no section {heading}"


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    for path in [*TOP.glob("*.md"), *sorted((TOP / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text("utf-8")):
            if "://" not in target and not (path.parent / target).exists():
                broken.append(f"{named(path)}: {target}")
    assert not broken, broken
