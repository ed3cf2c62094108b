"""Declared differences: exactly those, and all of them on the page for users."""

from tests.beside.__main__ import DOCUMENT, with_differences
from tests.beside.command import Command, Told
from tests.beside.differences import DECLARED_PATH, declared, faults, hunks_between
from tests.beside.script import SCRIPT

ALLOWED = """
[[difference]]
reason = "it counts in twos"
[[difference.said]]
commands = ["count"]
swarm = ["1"]
berth = ["2"]
"""
COUNT = (Command("count", "count"),)


def said(text: str) -> dict[str, Told]:
    return {"count": Told(0, text, "")}


def test_what_is_declared_may_differ() -> None:
    assert faults(hunks_between(COUNT, said("1"), said("2")), declared(ALLOWED)) == []


def test_what_is_not_declared_may_not() -> None:
    (fault,) = faults(hunks_between(COUNT, said("1"), said("2")), ())
    assert fault == "not declared: `count`\n- 1\n+ 2"
    assert len(faults(hunks_between(COUNT, said("1"), said("3")), declared(ALLOWED))) == 2


def test_what_is_declared_must_differ() -> None:
    (fault,) = faults(hunks_between(COUNT, said("1"), said("1")), declared(ALLOWED))
    assert fault.startswith("declared, but gone: `count`")


def test_another_exit_code_is_a_difference() -> None:
    (hunk,) = hunks_between(COUNT, said("1"), {"count": Told(1, "1", "")})
    assert (hunk.swarm, hunk.berth) == (("exit code: 0",), ("exit code: 1",))


def test_digests_may_change_for_both_but_not_for_one() -> None:
    one, other = f"app@sha256:{'1' * 64}", f"app@sha256:{'2' * 64}"
    (hunk,) = hunks_between(COUNT, said(f"{one} a"), said(f"{one} b"))
    assert (hunk.swarm, hunk.berth) == (("app@sha256:<DIGEST> a",), ("app@sha256:<DIGEST> b",))
    assert faults(hunks_between(COUNT, said(one), said(other)), ()) != []


def test_the_script_is_long_and_declared_differences_name_commands_of_it() -> None:
    names = [command.name for command in SCRIPT]
    assert len(names) == len(set(names)) >= 40
    found = declared(DECLARED_PATH.read_text(encoding="utf-8"))
    assert {hunk.command for each in found for hunk in each.hunks} <= set(names)


def test_the_page_for_users_lists_every_difference() -> None:
    page = DOCUMENT.read_text(encoding="utf-8")
    assert with_differences(page) == page, "run: python -m tests.beside"
