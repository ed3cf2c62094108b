"""Statuses as they leave."""

import pytest

from berth.model.task import TaskState
from berth.wire.convert import to_proto
from nodeagent.core.state import Phase
from nodeagent.link.encode import status_message
from tests.unit.nodeagent.core.builders import NOW, a_task

FULL = {
    "observed_since": NOW - 3,
    "message": "failed",
    "error": "task: non-zero exit (3)",
    "exit_code": 0,
    "pid": 77,
    "image_digest": "sha256:1",
    "platform": "linux/amd64",
    "local_restarts": 2,
    "ports": (("tcp", 80, 30000), ("udp", 53, 30001)),
    "addresses": (("lan", "10.0.0.2/24"),),
}


@pytest.mark.parametrize(
    "task",
    [
        pytest.param(a_task(), id="nothing but what it is"),
        pytest.param(a_task(TaskState.FAILED, Phase.ENDED, **FULL), id="everything"),
        pytest.param(a_task(observed_since=NOW + 1), id="a clock that went back"),
    ],
)
def test_a_status_is_made_the_quick_way_as_the_general_one_does(task):
    assert status_message(task, NOW) == to_proto(task.status(NOW))
