import pytest

from berth.errors import InvalidRequestError
from berth.model.ids import NodeId, ServiceId, TaskId
from berth.model.instant import Timestamp
from berth.views import LogLine, TaskView
from cli.logs import LogOptions, line_prefix, parse_since, time_text

NOW = Timestamp(1_000_000.0)
LINE = LogLine(TaskId("abcdefghijklmnopqrstuvwxy"), time_ns=1_700_000_000_123_456_789)
TASK = TaskView(LINE.task_id, ServiceId("s"), NodeId("n"), "web", 1, node_name="node-1")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m", 999_400.0),
        ("1.5s", 999_998.5),
        ("12345", 12_345.0),
        ("12345.5", 12_345.5),
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T00:01:00", 60.0),
        ("1970-01-02", 86_400.0),
        ("1970-01-01T02:00:00+02:00", 0.0),
    ],
)
def test_since(text: str, seconds: float) -> None:
    assert parse_since(text, NOW) == seconds


def test_since_refuses_what_is_no_time() -> None:
    with pytest.raises(InvalidRequestError, match="write 10m"):
        parse_since("yesterday", NOW)


def test_times_have_nine_digits() -> None:
    assert time_text(LINE.time_ns) == "2023-11-14T22:13:20.123456789Z"


@pytest.mark.parametrize(
    ("options", "prefix"),
    [
        (LogOptions(), "web.1.abcdefghijkl@node-1 | "),
        (LogOptions(is_full=True), "web.1.abcdefghijklmnopqrstuvwxy@node-1 | "),
        (LogOptions(has_task_ids=False), "web.1@node-1 | "),
        (LogOptions(is_raw=True), ""),
        (LogOptions(is_raw=True, has_times=True), "2023-11-14T22:13:20.123456789Z "),
    ],
)
def test_prefixes(options: LogOptions, prefix: str) -> None:
    assert line_prefix(LINE, TASK, options) == prefix


def test_a_forgotten_task_is_shown_by_its_id() -> None:
    assert line_prefix(LINE, None, LogOptions()) == "abcdefghijkl | "
