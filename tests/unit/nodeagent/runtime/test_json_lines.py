"""Documents from a stream, wherever it is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.runtime.json_lines import JsonLines

STREAM = '{"a": 1}\r\n\r\n{"b": "é"}\n{"c": [2]}\n'.encode()


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_cuts_do_not_matter(cuts):
    lines = JsonLines()
    found = []
    position = 0
    for cut in [*sorted(cuts), len(STREAM)]:
        found += lines.feed(STREAM[position:cut])
        position = cut
    assert found == [{"a": 1}, {"b": "é"}, {"c": [2]}]


def test_what_is_no_json_is_refused():
    with pytest.raises(ValueError, match="Expecting"):
        list(JsonLines().feed(b"nonsense\n"))
