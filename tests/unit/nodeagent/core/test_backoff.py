"""Delays as arithmetic: the agent's own, and the restart delays that it shares with the leader."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berth.model.backoff import ends_in_row, restart_delay_s, stable_after_s
from berth.model.defaults import RESTART_BACKOFF_MAX_S
from nodeagent.core import backoff

COUNTS = st.integers(1, 10_000)


@pytest.mark.parametrize(
    ("delay_s", "delays_s"),
    [
        pytest.param(5.0, [5, 10, 20, 40, 60, 60], id="doubles up to a minute"),
        pytest.param(0.0, [0, 0.2, 0.4, 0.8, 1.6, 3.2], id="no delay backs off all the same"),
        pytest.param(90.0, [90, 90, 90], id="a long delay is its own cap"),
    ],
)
def test_restart_delays(delay_s, delays_s):
    told = [restart_delay_s(delay_s, ends) for ends in range(1, len(delays_s) + 1)]
    assert told == pytest.approx(delays_s)


@pytest.mark.parametrize(
    ("before", "ran_s", "ends"),
    [
        pytest.param(0, 0.0, 1, id="the first"),
        pytest.param(3, 109.9, 4, id="it did not run long enough"),
        pytest.param(3, 110.0, 1, id="it ran for 60 s and ten delays: a new row"),
    ],
)
def test_ends_in_row(before, ran_s, ends):
    assert stable_after_s(5.0) == 110.0
    assert ends_in_row(before, ran_s, 5.0) == ends


@given(st.floats(0, 1e6), COUNTS)
def test_a_restart_delay_never_falls_and_is_capped(delay_s, ends):
    delay, longer = restart_delay_s(delay_s, ends), restart_delay_s(delay_s, ends + 1)
    assert delay_s <= delay <= longer <= max(RESTART_BACKOFF_MAX_S, delay_s)


@given(COUNTS, st.text(max_size=5))
def test_call_delays_never_fall_and_are_capped(failures, key):
    for retry_s, most_s in (
        (backoff.pull_retry_s, backoff.PULL_MAX_S),
        (backoff.engine_retry_s, backoff.ENGINE_MAX_S),
    ):
        assert 0 < retry_s(key, failures) <= retry_s(key, failures + 1) <= most_s
    assert backoff.connect_retry_s(failures) <= backoff.CONNECT_MAX_S


def test_nodes_do_not_retry_in_step():
    delays_s = {backoff.pull_retry_s(f"task{number}", 5) for number in range(50)}
    assert len(delays_s) > 30
