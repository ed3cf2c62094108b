"""The state directory: one agent, one identity."""

import pytest

from berth.entropy import SeededEntropy
from berth.errors import ConfigError
from nodeagent.state_dir import StateDir


def test_the_id_is_drawn_once(tmp_path):
    directory = StateDir.open(tmp_path / "a" / "b")
    first = directory.node_id(SeededEntropy(1))
    directory.close()
    again = StateDir.open(tmp_path / "a" / "b")
    assert again.node_id(SeededEntropy(2)) == first
    assert len(first) == 25
    again.close()


def test_two_agents_cannot_share_one(tmp_path):
    directory = StateDir.open(tmp_path)
    with pytest.raises(ConfigError, match="belongs to an agent that runs"):
        StateDir.open(tmp_path)
    directory.close()
    StateDir.open(tmp_path).close()


def test_a_damaged_id_is_not_replaced(tmp_path):
    directory = StateDir.open(tmp_path)
    (tmp_path / "node-id").write_text("half an i")
    with pytest.raises(ConfigError, match="half an i"):
        directory.node_id(SeededEntropy(1))
    assert (tmp_path / "node-id").read_text() == "half an i"
    directory.close()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"state_dir: .*/file"):
        StateDir.open(tmp_path / "file")
