"""Berth's refusals in Swarm's words, where scripts and clients look for those. Pure.

Duty: a table of texts. Not here: statuses (errors), what is refused (the control API).
Invariant (tests/unit/gateway/test_wording.py): a text that no rule knows stays as it is. That the
words are Swarm's is held by tests/e2e/test_beside_swarm.py, which asks a real one.
"""

import re
from typing import Final

_RULES: Final = (
    (re.compile(r'(service|node|config|secret) "([^"]*)" not found; .*'), r"\1 \2 not found"),
    (
        re.compile(r'service "([^"]*)" already exists; .*'),
        r"name conflicts with an existing object: service \1 already exists",
    ),
    (
        re.compile(r'(config|secret) "([^"]*)" already exists, .*'),
        r"rpc error: code = AlreadyExists desc = \1 \2 already exists",
    ),
    (
        re.compile(r'service "([^"]*)" has no previous spec to roll back to: .*'),
        r"service \1 does not have a previous spec",
    ),
)


def in_swarms_words(message: str) -> str:
    """Return `message` as Swarm says it, if Swarm has words for it that others rely on."""
    for pattern, words in _RULES:
        if pattern.fullmatch(message):
            return pattern.sub(words, message)
    return message
