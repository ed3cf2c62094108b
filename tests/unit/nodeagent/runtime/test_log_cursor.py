"""Reading a log again: each line is new once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.runtime.log_cursor import LogCursor
from nodeagent.runtime.port import ContainerLogLine

SECOND = 1_000_000_000


def lines(text):
    """Read `o5 e7`: stdout at 5 s, stderr at 7 s."""
    return [
        ContainerLogLine(word[0] == "e", int(float(word[1:]) * SECOND), word.encode())
        for word in text.split()
    ]


def taken(cursor, text):
    return " ".join(line.data.decode() for line in lines(text) if cursor.take(line))


@pytest.mark.parametrize(
    ("first", "again", "new"),
    [
        pytest.param("o1 o2", "o1 o2 o3", "o3", id="what the first reading missed"),
        pytest.param("o1 o2", "o2", "", id="nothing was missed"),
        pytest.param("o1 o2 o2", "o2 o2 o2 o3", "o2 o3", id="several lines at one time"),
        pytest.param("o1 e2", "o1 e2 o2 e3", "o2 e3", id="each stream for itself"),
        pytest.param("o5", "e4.9 o5 e5 o6", "e5 o6", id="what tail left out stays out"),
        pytest.param("", "o1 e2", "o1 e2", id="nothing was read before"),
    ],
)
def test_a_second_reading(first, again, new):
    cursor = LogCursor(0)
    assert taken(cursor, first) == first
    cursor.begin_pass()
    assert taken(cursor, again) == new
    cursor.begin_pass()
    assert taken(cursor, again) == ""


def test_only_what_comes_is_new_after_a_baseline():
    cursor = LogCursor(5 * SECOND)
    cursor.begin_pass()
    assert (cursor.has_any, cursor.since) == (False, 5.0)
    assert taken(cursor, "o4 e4 o5 e6") == "o5 e6"
    assert (cursor.has_any, cursor.since) == (True, 5.0)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 6)), max_size=12).map(
        lambda rows: sorted(rows, key=lambda row: row[1])
    ),
    st.integers(0, 12),
    st.integers(0, 12),
)
def test_any_two_cuts_of_a_log_give_each_line_once(rows, one, two):
    log = [
        ContainerLogLine(is_stderr, at * SECOND, str(number).encode())
        for number, (is_stderr, at) in enumerate(rows)
    ]
    cursor = LogCursor(0)
    got = [line for line in log[:one] if cursor.take(line)]
    for end in (max(one, two), len(log)):
        cursor.begin_pass()
        again = [line for line in log[:end] if line.time_ns >= cursor.since * SECOND]
        got += [line for line in again if cursor.take(line)]
    assert sorted(line.data for line in got) == sorted(line.data for line in log)
