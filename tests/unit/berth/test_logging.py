import io
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from berth.logging import REDACTED, LogFormat, LogLevel, LogSettings, configure_logging
from berth.model.instant import Instant, Timestamp


class FixedClock:
    def instant(self) -> Instant:
        return Instant(0.0)

    def timestamp(self) -> Timestamp:
        return Timestamp(0.0)

    async def sleep(self, delay_s: float) -> None:
        raise AssertionError


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def set_up(stream: io.StringIO, level: LogLevel = LogLevel.INFO) -> None:
    configure_logging(
        LogSettings(level, LogFormat.AUTO),
        stream=stream,
        clock=FixedClock(),
        context={"program": "agent"},
    )


def test_a_line_is_json_with_time_level_and_context(stream: io.StringIO) -> None:
    set_up(stream)
    structlog.get_logger().bind(node_id="n1").info("task_started", task_id="t1")
    assert lines(stream) == [
        {
            "event": "task_started",
            "level": "info",
            "time": "1970-01-01T00:00:00.000000Z",
            "program": "agent",
            "node_id": "n1",
            "task_id": "t1",
        }
    ]


def test_lines_below_the_level_are_left_out(stream: io.StringIO) -> None:
    set_up(stream, LogLevel.WARNING)
    structlog.get_logger().info("quiet")
    structlog.get_logger().error("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


@pytest.mark.parametrize("key", ["password", "registry_auth", "X-Auth-Token", "identity_token"])
def test_secrets_are_never_written(stream: io.StringIO, key: str) -> None:
    set_up(stream)
    secret = "hush-hush"
    structlog.get_logger().info(
        "pulled", **{key: secret}, outer={"inner": [{key: secret}]}, pair=({key: secret},)
    )
    assert secret not in stream.getvalue()
    assert lines(stream)[0][key] == REDACTED


def test_words_about_secrets_are_written(stream: io.StringIO) -> None:
    set_up(stream)
    structlog.get_logger().info("x", private_key_file="/k.pem", secret_names=["a"], password="")
    (line,) = lines(stream)
    assert line["private_key_file"] == "/k.pem"
    assert line["secret_names"] == ["a"]
    assert line["password"] == ""


def test_an_error_is_written_with_its_trace_but_no_local_variables(stream: io.StringIO) -> None:
    set_up(stream)
    try:
        local_password = "hush"
        raise ValueError(len(local_password))
    except ValueError as error:
        structlog.get_logger().error("crashed", exc_info=error)
    (line,) = lines(stream)
    assert "ValueError: 4" in line["exception"]
    assert "hush" not in stream.getvalue().replace('local_password = "hush"', "")


def test_libraries_log_in_the_same_form_and_quietly(stream: io.StringIO) -> None:
    set_up(stream)
    logging.getLogger("some.library").info("hello %s", "there")
    logging.getLogger("urllib3").info("too much")
    (line,) = lines(stream)
    assert line["event"] == "hello there"
    assert line["logger"] == "some.library"
    assert line["program"] == "agent"


def test_on_a_terminal_lines_are_for_people(stream: io.StringIO) -> None:
    configure_logging(LogSettings(format=LogFormat.CONSOLE), stream=stream, clock=FixedClock())
    structlog.get_logger().info("task_started", task_id="t1")
    assert "task_started" in stream.getvalue()
    assert "task_id=t1" in stream.getvalue()
    assert "{" not in stream.getvalue()


@pytest.mark.parametrize("is_journal", [True, False])
def test_lines_for_systemds_journal_carry_their_level(
    stream: io.StringIO, tmp_path: Path, is_journal: bool
) -> None:
    path = tmp_path / "log"
    with path.open("w+") as target:
        found = os.fstat(target.fileno())
        inode = found.st_ino if is_journal else found.st_ino + 1
        configure_logging(
            LogSettings(), stream=target, env={"JOURNAL_STREAM": f"{found.st_dev}:{inode}"}
        )
        log = structlog.get_logger()
        log.info("fine")
        log.warning("odd")
        log.error("bad", exc_info=ValueError("with\nlines"))
        logging.getLogger("library").warning("theirs")
    written = path.read_text().splitlines()
    levels = [line.partition("{")[0] for line in written]
    assert levels == (["<6>", "<4>", "<3>", "<4>"] if is_journal else [""] * 4)
    assert [json.loads(line[line.index("{") :])["event"] for line in written] == [
        "fine", "odd", "bad", "theirs",
    ]  # fmt: skip


def test_a_stream_without_a_file_is_no_journal(stream: io.StringIO) -> None:
    configure_logging(LogSettings(), stream=stream, env={"JOURNAL_STREAM": "8:1"})
    structlog.get_logger().info("fine")
    assert lines(stream)[0]["event"] == "fine"
