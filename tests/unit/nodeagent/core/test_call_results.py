"""What every result of a call must tell, so that a late one can be known for what it is."""

from inspect import signature
from typing import get_args

import pytest

from nodeagent.core.call_results import CallResult
from nodeagent.core.messages import Event


@pytest.mark.parametrize("result", get_args(CallResult))
def test_a_result_names_its_task_and_its_call_and_is_an_event(result):
    assert list(signature(result).parameters)[:2] == ["task_id", "call_id"]
    assert result in get_args(Event)
