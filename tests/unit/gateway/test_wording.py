"""The words of refusals."""

import pytest

from gateway.wording import in_swarms_words


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('service "web" not found; list services to see what there is', "service web not found"),
        ('node "n1" not found; list nodes to see what there is', "node n1 not found"),
        (
            'service "web" already exists; choose another name, or update or remove that one',
            "name conflicts with an existing object: service web already exists",
        ),
        (
            'service "web" has no previous spec to roll back to: it was never updated; use update',
            "service web does not have a previous spec",
        ),
        ('secret "pw" not found; list secrets to see what there is', "secret pw not found"),
        (
            'config "c" already exists, and what it holds cannot change; choose another name',
            "rpc error: code = AlreadyExists desc = config c already exists",
        ),
        ('the registry says: service "web" not found; who knows', None),
        ("page not found", None),
    ],
)
def test_refusals_that_others_match_are_said_as_swarm_says_them(
    said: str, words: str | None
) -> None:
    assert in_swarms_words(said) == (words or said)
