from urllib.parse import unquote_plus

import pytest

from gateway.logs import Stream, context_text, frame, line_text, task_context


def test_a_frame_says_its_stream_and_length():
    assert frame(Stream.STDERR, b"hello\n") == b"\x02\0\0\0\0\0\0\x06hello\n"
    assert frame(Stream.STDOUT, b"x" * 70_000)[:8] == b"\x01\0\0\0\x00\x01\x11\x70"


@pytest.mark.parametrize(
    ("data", "options", "text"),
    [
        pytest.param(b"a\n", {}, b"a\n", id="as it is"),
        pytest.param(b"a", {}, b"a\n", id="one that was cut gets its newline"),
        pytest.param(b"\n", {}, b"\n", id="an empty line stays one"),
        pytest.param(
            b"a\n",
            {"time_ns": 1_700_000_000_000_000_005},
            b"2023-11-14T22:13:20.000000005Z a\n",
            id="a time of fixed width before it",
        ),
        pytest.param(
            b"a\n",
            {"time_ns": 0, "context": {"k": "v"}},
            b"1970-01-01T00:00:00.000000000Z k=v a\n",
            id="the time before the context",
        ),
        pytest.param(
            b"a\n",
            {"context": {"k": "v"}, "attributes": "team=red"},
            b"k=v,team=red a\n",
            id="what the log driver adds joins the context",
        ),
        pytest.param(b"a\n", {"attributes": "team=red"}, b"a\n", id="not asked for, not told"),
    ],
)
def test_lines(data, options, text):
    assert line_text(data, **options) == text


def test_a_context_is_one_sorted_word_that_can_be_read_back():
    context = {"z": "a b", "com.docker.swarm.node.id": "n,1=2"}
    text = context_text(context)
    assert " " not in text
    pairs = [pair.split("=") for pair in text.split(",")]
    assert [(unquote_plus(key), unquote_plus(value)) for key, value in pairs] == sorted(
        context.items()
    )


def test_the_context_has_what_the_docker_cli_insists_on():
    assert set(task_context("n", "s", "t")) == {
        "com.docker.swarm.node.id",
        "com.docker.swarm.service.id",
        "com.docker.swarm.task.id",
    }
