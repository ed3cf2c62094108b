"""What looks for a lab's remains is not disturbed by other labs at work."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.leftovers import cgroups_named


def test_cgroups_are_found_while_others_vanish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuacct" / "ours").mkdir(parents=True)
    (tmp_path / "memory" / "theirs").mkdir(parents=True)
    (tmp_path / "memory" / "ours").mkdir()
    real = os.scandir

    def vanishing(path: Any) -> Any:
        if os.fspath(path).endswith("theirs"):
            raise FileNotFoundError(2, "No such file or directory", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", vanishing)
    assert sorted(cgroups_named(frozenset({"ours"}), tmp_path)) == [
        str(tmp_path / "cpuacct" / "ours"),
        str(tmp_path / "memory" / "ours"),
    ]
