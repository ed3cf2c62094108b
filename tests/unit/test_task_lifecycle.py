"""docs/task-lifecycle.md shows the transitions that the code allows."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from berth.model.task import TRANSITIONS_BY_OWNER, TaskState

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lifecycle", TOP / "deploy/dev/lifecycle.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_fresh(script: ModuleType) -> None:
    text = script.DOCUMENT.read_text("utf-8")
    assert script.renewed(text) == text, "run python deploy/dev/lifecycle.py"


def test_every_state_is_explained(script: ModuleType) -> None:
    prose = script.DOCUMENT.read_text("utf-8").partition(script.END)[2]
    assert [state.name for state in TaskState if state.name not in prose] == []


def test_states_only_rise() -> None:
    for transitions in TRANSITIONS_BY_OWNER.values():
        for old, news in transitions.items():
            assert all(new > old for new in news)
