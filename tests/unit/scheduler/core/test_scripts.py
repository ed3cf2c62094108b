"""Transcripts in tests/scripts: what follows from each command, as text to be read and judged.

BERTH_REWRITE_SCRIPTS=1 (`make rewrite-scripts`) writes what happens now; the review reads the diff.
"""

import os
from pathlib import Path

import pytest

from tests.unit.scheduler.core.script import played

SCRIPTS = sorted((Path(__file__).resolve().parents[4] / "tests/scripts").glob("*.txt"))


@pytest.mark.parametrize("script", SCRIPTS, ids=[path.stem for path in SCRIPTS])
def test_a_script_goes_as_it_is_written(script: Path) -> None:
    expected = script.read_text("utf-8")
    found = played(expected)
    if os.environ.get("BERTH_REWRITE_SCRIPTS"):
        script.write_text(found, "utf-8")
    else:
        assert found == expected, "judge it, then `make rewrite-scripts`"


def test_there_are_scripts_and_each_says_what_it_shows() -> None:
    assert len(SCRIPTS) >= 10
    for script in SCRIPTS:
        assert script.read_text("utf-8").startswith("# "), script.name
