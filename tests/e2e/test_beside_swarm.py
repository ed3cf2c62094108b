"""The same docker commands at a real Docker Swarm and at Berth, on the same Engines, compared.

What differs is declared with its reason in tests/beside/differences.toml, from which a part of
docs/swarm-differences.md is made: `python -m tests.beside`.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.beside.command import run_script
from tests.beside.differences import DECLARED_PATH, declared, faults, hunks_between
from tests.beside.script import SCRIPT
from tests.beside.swarm import swarm_of
from tests.cluster import DOCKER_CLIS, DockerCli, TestCluster
from tests.hosts import Lab

pytestmark = pytest.mark.e2e


def words_of_the_script(lab: Lab, folder: Path) -> Mapping[str, str]:
    """Return what the script's @words stand for, on either side."""
    images = lab.images
    sleeper = images.sleeper("1.0")
    small = {
        "image": sleeper,
        "deploy": {"replicas": 2, "resources": {"limits": {"memory": "64M"}}},
    }
    other = {"image": sleeper, "environment": {"X": "1"}}
    files = {
        "compose": {"version": "3.8", "services": {"a": small, "b": other}},
        "smaller": {"version": "3.8", "services": {"a": small}},
        "broken": {"version": "3.8", "services": {"a": {"image": "x", "colour": "red"}}},
    }
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return {
        "sleeper": sleeper,
        "newer": images.sleeper("1.1"),
        "talker": images.talker("1.0"),
        "crasher": images.crasher("1.0"),
        "finisher": images.finisher("1.0"),
        "absent": f"{lab.registry.address}/berth/absent:1.0",
        **{name: str(folder / f"{name}.json") for name in files},
    }


def test_berth_answers_as_a_real_swarm_does(
    cluster: TestCluster, lab3: Lab, tmp_path: Path
) -> None:
    program = DOCKER_CLIS.get("new") or DOCKER_CLIS["debian"]
    words = words_of_the_script(lab3, tmp_path)
    with swarm_of(lab3.hosts) as swarm:
        # One after the other: on a shared Engine the client of one side sees the bridges that the
        # other makes for the same stack, takes them for its own, and the stack stays empty.
        told = [
            run_script(SCRIPT, DockerCli(program, lambda at=at: at, tmp_path), words)
            for at in (swarm.docker_host, cluster.standbys()[0].docker_host)
        ]
        seen = hunks_between(SCRIPT, *told)
    wrong = faults(seen, declared(DECLARED_PATH.read_text(encoding="utf-8")))
    assert not wrong, "\n".join(wrong)
