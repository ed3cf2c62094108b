"""JSON is written once for the same values, and anew for others."""

from functools import partial

from gateway.answers import KEPT_BYTES_MAX
from gateway.renderings import BODIES_BYTES_MAX, Renderings


def test_the_same_values_are_written_once_and_others_anew():
    renderings, written = Renderings(), []

    def render(kind, *parts):
        def write():
            written.append((kind, parts))
            return {"kind": kind, "parts": [part[0] for part in parts]}

        return renderings.of(write, kind, *parts)

    one, two = ["one"], ["two"]
    assert render("a", one) == render("a", one) == b'{"kind":"a","parts":["one"]}'
    assert render("b", one) == b'{"kind":"b","parts":["one"]}'
    assert render("a", one, two) == b'{"kind":"a","parts":["one","two"]}'
    assert render("a", ["one"]) == render("a", one)
    assert len(written) == 4


def test_what_is_kept_is_bounded_and_outlives_its_values():
    renderings = Renderings(room=3)
    for number in range(50):
        # Each is freed at once unless it is kept: the next may then lie where it lay.
        assert renderings.of(partial(int, number), "n", [number]) == str(number).encode()
    assert len(renderings._kept) == 3


def test_a_long_list_drives_nothing_out():
    renderings = Renderings(room=8)
    kept = ["kept"]
    renderings.of(lambda: 1, "n", kept)
    for_long = renderings.for_list(3)
    for number in range(20):
        assert for_long.of(partial(int, number), "n", [number]) == str(number).encode()
    assert renderings.of(lambda: 2, "n", kept) == b"1"
    assert renderings.for_list(2) is renderings


def test_a_body_is_given_again_for_the_very_same_values():
    renderings, values = Renderings(), [object()]
    assert renderings.body("nodes", "", values) is None
    renderings.keep_body("nodes", "", values, b"[]")
    assert renderings.body("nodes", "", values) == b"[]"
    assert renderings.body("nodes", "{}", values) is None
    assert renderings.body("tasks", "", values) is None
    assert renderings.body("nodes", "", list(values)) is None


def test_bodies_have_bounds():
    renderings, too_long = Renderings(), [0]
    renderings.keep_body("nodes", "", too_long, b" " * (KEPT_BYTES_MAX + 1))
    assert renderings.body("nodes", "", too_long) is None
    lists = [[number] for number in range(40)]
    for values in lists:
        renderings.keep_body("nodes", "", values, b" " * (BODIES_BYTES_MAX // 16))
        renderings.keep_body("nodes", "", values, b" " * (BODIES_BYTES_MAX // 16))
    kept = [renderings.body("nodes", "", values) is not None for values in lists]
    assert kept == [False] * 24 + [True] * 16
