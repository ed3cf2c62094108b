"""Output cut into lines: the same lines, however the bytes arrive."""

import struct
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodeagent.runtime.log_lines import FramedLines, TerminalLines
from nodeagent.runtime.port import ContainerLogLine

STAMP = "1970-01-01T00:00:00.{:09d}Z "
PART = 16 * 1024


def message(number, data):
    return STAMP.format(number).encode() + data


def frame(stream, number, data):
    body = message(number, data)
    return struct.pack(">BxxxL", stream, len(body)) + body


def fed(parser, stream, cuts):
    lines = []
    position = 0
    for cut in [*sorted(cuts), len(stream)]:
        lines += parser.feed(stream[position:cut])
        position = cut
    return lines + list(parser.finish())


def out(number, data):
    return ContainerLogLine(False, number, data)


def err(number, data):
    return ContainerLogLine(True, number, data)


LONG = b"x" * PART
FRAMED = (
    frame(1, 1, b"one\n")
    + frame(2, 2, b"bad\n")
    + frame(1, 3, b"\n")
    + frame(1, 4, LONG)
    + frame(2, 5, b"between\n")
    + frame(1, 6, b"tail of long\n")
    + frame(1, 7, b"\xff no \r line feed")
)
FRAMED_LINES = [
    out(1, b"one"),
    err(2, b"bad"),
    out(3, b""),
    err(5, b"between"),
    out(4, LONG + b"tail of long"),
    out(7, b"\xff no \r line feed"),
]
TERMINAL = (
    message(1, b"one\r\n")
    + message(2, LONG)
    + message(3, LONG)
    + message(4, b"end\r\n")
    + message(5, message(9, b"printed by the program\r\n"))
    + message(6, b"open")
)
TERMINAL_LINES = [
    out(1, b"one\r"),
    out(2, LONG + LONG + b"end\r"),
    out(5, message(9, b"printed by the program\r")),
    out(6, b"open"),
]


@given(st.lists(st.integers(0, len(FRAMED)), max_size=30))
def test_frames_give_the_same_lines_wherever_they_are_cut(cuts):
    assert fed(FramedLines(), FRAMED, cuts) == FRAMED_LINES


@given(st.lists(st.integers(0, len(TERMINAL)), max_size=30))
def test_a_terminal_gives_the_same_lines_wherever_it_is_cut(cuts):
    assert fed(TerminalLines(), TERMINAL, cuts) == TERMINAL_LINES


def test_byte_by_byte():
    assert fed(FramedLines(), FRAMED, range(len(FRAMED))) == FRAMED_LINES


@pytest.mark.parametrize("parser", [FramedLines, TerminalLines])
def test_no_output_has_no_lines(parser):
    assert fed(parser(), b"", []) == []


def test_a_message_without_a_time_is_kept_whole():
    assert fed(TerminalLines(), b"bare\n", []) == [out(0, b"bare")]


DETAILED = [(1, "", b"one\n"), (2, "team=red,a%2Cb=x+y", b" two=2 \n"), (3, "k=v", LONG)]


@pytest.mark.parametrize("parser", [FramedLines, TerminalLines])
def test_details_are_what_the_log_driver_adds_before_a_line(parser):
    messages = [(n, f"{attributes} ".encode() + data) for n, attributes, data in DETAILED]
    messages.append((4, b"k=v end\n"))  # The rest of the long line, whose head comes again.
    pack = message if parser is TerminalLines else partial(frame, 1)
    stream = b"".join(pack(number, data) for number, data in messages)
    assert fed(parser(has_details=True), stream, [7, 60]) == [
        ContainerLogLine(False, 1, b"one", ""),
        ContainerLogLine(False, 2, b" two=2 ", "team=red,a%2Cb=x+y"),
        ContainerLogLine(False, 3, LONG + b"end", "k=v"),
    ]
