"""What a new user reads: the lists of commands, and what a wrong input is answered."""

import pytest

from tests.unit.cli.conftest import Line


def test_a_node_update_that_changes_nothing_says_what_is_missing(berth: Line) -> None:
    answer = berth("node", "update", "node-1")
    assert answer.code == 2
    assert "name at least one change" in answer.err
    assert berth.control.calls == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("service", "scale", "web"), '"web" is not SERVICE=REPLICAS; write web=3'),
        (
            ("service", "create", "--env-file", "/nowhere", "nginx"),
            'cannot read "/nowhere": No such file or directory; name a file of NAME=VALUE lines',
        ),
        (
            ("service", "create", "--mount", "type=disk,target=/a", "nginx"),
            'type "disk" is not one of bind, volume, tmpfs',
        ),
        (("service", "create", "--gpus", "some", "nginx"), '"some" chooses no GPUs; write all'),
    ],
)
def test_a_wrong_value_is_named_with_what_to_write(
    berth: Line, words: tuple[str, ...], said: str
) -> None:
    answer = berth(*words)
    assert answer.code == 2
    assert said in answer.err.replace("\n", " ")
    assert berth.control.calls == []


def test_the_short_words_of_every_command_fit_a_terminal(berth: Line) -> None:
    for group in (
        (),
        ("service",),
        ("node",),
        ("config",),
        ("secret",),
        ("cluster",),
        ("certificate",),
    ):
        answer = berth(*group, "--help")
        listed = answer.out.partition("Commands:")[2]
        assert listed.strip()
        assert "..." not in listed, listed
