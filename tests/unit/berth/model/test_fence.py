"""The fence label, as read by schedulers and agents alike."""

import pytest

from berth.errors import InvalidRequestError
from berth.model.fence import FENCE_MARGIN_S, fence_after_s, replace_after_s


@pytest.mark.parametrize(
    ("labels", "seconds"),
    [
        pytest.param({}, None, id="no label"),
        pytest.param({"other": "x"}, None, id="another label"),
        pytest.param({"berth.fence": "after:30s"}, 30.0, id="seconds"),
        pytest.param({"berth.fence": "after:1m30s"}, 90.0, id="minutes and seconds"),
    ],
)
def test_what_is_read(labels, seconds):
    assert fence_after_s(labels) == seconds


@pytest.mark.parametrize("text", ["", "30s", "after:", "after:30", "after:soon", "after:0.5s"])
def test_what_is_refused_names_value_and_fix(text):
    with pytest.raises(InvalidRequestError) as refused:
        fence_after_s({"berth.fence": text})
    assert f'"{text}"' in refused.value.message
    assert "berth.fence=after:30s" in refused.value.message


def test_the_leader_waits_for_fence_grace_and_margin():
    assert replace_after_s(30.0, 10.0) == 40.0 + FENCE_MARGIN_S
