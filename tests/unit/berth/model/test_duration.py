import pytest
from hypothesis import given
from hypothesis import strategies as st

from berth.errors import InvalidRequestError
from berth.model.duration import duration_text, parse_duration_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5.0),
        ("1m30s", 90.0),
        ("1h", 3600.0),
        ("500ms", 0.5),
        ("1.5s", 1.5),
        ("250us", 0.00025),
        ("10ns", 1e-8),
        ("0", 0.0),
        ("-2s", -2.0),
    ],
)
def test_reads_go_durations(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == pytest.approx(seconds, abs=1e-12)


@pytest.mark.parametrize("text", ["5", "", "s", "5 s", "5s3", "1d", "five"])
def test_refuses_what_is_no_duration(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="is not a duration"):
        parse_duration_s(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (5.0, "5s"),
        (90, "1m30s"),
        (3600, "1h"),
        (0.25, "250ms"),
        (1.5, "1.5s"),
        (3661.5, "1h1m1.5s"),
        (0.00025, "250us"),
        (1e-9, "1ns"),
        (-5, "-5s"),
        (0.9999999999, "1s"),
    ],
)
def test_prints_them_shortly(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@given(st.integers(min_value=0, max_value=10**15))
def test_what_is_printed_reads_as_the_same(nanoseconds: int) -> None:
    again = parse_duration_s(duration_text(nanoseconds / 1e9))
    assert round(again * 1e9) == pytest.approx(nanoseconds, abs=1, rel=1e-12)
