"""The table of timers tells what the code does, and names tests that exist."""

import dataclasses
import importlib
import re
from pathlib import Path
from typing import Any

import pytest

TOP = Path(__file__).resolve().parents[2]
ROW = re.compile(
    r"\| (?P<timer>[^|]+) \| (?P<value>[^|]+) \| `(?P<where>[^`]+)` \| (?P<test>[^|]+) \|"
)
LINES = (TOP / "docs/failure-model.md").read_text("utf-8").splitlines()
ROWS = [found for found in map(ROW.fullmatch, LINES) if found]


def value_of(where: str) -> Any:
    """Follow `module:NAME` or `module:Class.field`; a dataclass's field gives its default."""
    module, _, path = where.partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        if dataclasses.is_dataclass(found) and isinstance(found, type):
            found = next(f.default for f in dataclasses.fields(found) if f.name == name)
        else:
            found = getattr(found, name)
    return found


@pytest.mark.parametrize("row", ROWS, ids=[row["timer"] for row in ROWS])
def test_a_timer_is_what_the_table_says(row: re.Match[str]) -> None:
    if ":" not in row["where"]:
        assert (TOP / row["where"]).is_file()
        return
    assert float(value_of(row["where"])) == float(row["value"].removesuffix(" s"))


@pytest.mark.parametrize("row", ROWS, ids=[row["timer"] for row in ROWS])
def test_the_test_that_a_row_names_exists(row: re.Match[str]) -> None:
    path, _, name = row["test"].strip("`").partition("::")
    assert re.search(rf"def {name}\(", (TOP / path).read_text("utf-8")), row["test"]


def test_there_are_many_timers() -> None:
    assert len(ROWS) > 50
