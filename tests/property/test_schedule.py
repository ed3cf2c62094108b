"""Schedules, for whatever users write and whenever they ask."""

from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from berth.errors import InvalidRequestError
from berth.model.instant import Timestamp
from berth.model.schedule import SCHEDULE_LABEL, TIMEZONE_LABEL, Schedule, schedule_of

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata")
# Years around which the clocks of those zones change as they do now.
MOMENTS = st.floats(1.7e9, 2.0e9).map(Timestamp)
FIELDS = (
    st.sampled_from(("*", "*/5", "0", "7,37", "30", "*/20", "59")),
    st.sampled_from(("*", "*/2", "0", "2", "1-3", "23")),
    st.sampled_from(("*", "1", "25-31", "L", "29")),
    st.sampled_from(("*", "3", "10", "2,11")),
    st.sampled_from(("*", "0", "1-5", "7", "MON#1")),
)
EXPRESSIONS = st.tuples(*FIELDS).map(" ".join)


@given(EXPRESSIONS, st.sampled_from(ZONES), MOMENTS)
def test_a_due_time_is_later_than_what_it_was_asked_for(expression, zone, moment):
    due = Schedule(expression, zone).next_after(moment)
    assert due is None or due > moment


@given(EXPRESSIONS, st.sampled_from(ZONES), MOMENTS)
@example("* 23 * 10 0", "Australia/Lord_Howe", Timestamp(1720837700.0))
def test_between_two_due_times_there_is_none(expression, zone, moment):
    """Whoever asks in between is told the same: a leader that takes over goes on where it was."""
    schedule = Schedule(expression, zone)
    due = schedule.next_after(moment)
    if due is not None:
        for part in (0.25, 0.5, 0.99):
            assert schedule.next_after(Timestamp(moment + (due - moment) * part)) == due


def refusal_of(labels: dict[str, str]) -> str:
    try:
        schedule = schedule_of(labels)
    except InvalidRequestError as error:
        return error.message
    assert schedule is not None
    assert schedule.next_after(Timestamp(1.8e9)) is not None
    return ""


@given(st.text("0123456789*/,-#L WSUNabc", max_size=14) | st.text(max_size=8))
def test_any_text_is_a_schedule_or_refused(text):
    refusal = refusal_of({SCHEDULE_LABEL: text, TIMEZONE_LABEL: "Europe/Berlin"})
    assert not refusal or SCHEDULE_LABEL in refusal


@given(st.text(max_size=20))
def test_any_text_is_a_time_zone_or_refused(text):
    refusal = refusal_of({SCHEDULE_LABEL: "* * * * *", TIMEZONE_LABEL: text})
    assert not refusal or TIMEZONE_LABEL in refusal


def utc(text: str) -> Timestamp:
    return Timestamp(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def dues(expression: str, since: str, count: int, zone: str = "Europe/Berlin") -> list[str]:
    schedule, moment, found = Schedule(expression, zone), utc(since), []
    for _ in range(count):
        due = schedule.next_after(moment)
        assert due is not None
        found.append(f"{datetime.fromtimestamp(due, UTC):%d %H:%M}")
        moment = due
    return found


def test_a_time_that_a_day_does_not_have_is_due_when_the_clock_has_jumped_over_it():
    """On 2026-03-29 the clocks of Berlin go from 02:00 to 03:00, which is 01:00 UTC."""
    assert dues("30 2 * * *", "2026-03-28 12:00", 2) == ["29 01:00", "30 00:30"]


def test_a_time_that_a_day_has_twice_is_due_once():
    """On 2026-10-25 the clocks of Berlin go from 03:00 back to 02:00, which is 01:00 UTC."""
    assert dues("30 2 * * *", "2026-10-24 12:00", 2) == ["25 00:30", "26 01:30"]


def test_schedules_of_every_hour_go_on_when_clocks_change():
    assert dues("0 * * * *", "2026-10-24 23:30", 4) == [
        "25 00:00",
        "25 01:00",
        "25 02:00",
        "25 03:00",
    ]
    assert dues("0 * * * *", "2026-03-28 23:30", 3) == ["29 00:00", "29 01:00", "29 02:00"]
