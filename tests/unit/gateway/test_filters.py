import pytest

from berth.errors import InvalidRequestError
from gateway.filters import Filters

KNOWN = ("dangling", "id", "label", "mode", "name")


def read(text):
    return Filters.from_text(text, KNOWN)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"name": ["web", "api"]}', id="lists, as docker-py sends"),
        pytest.param('{"name": {"web": true, "api": true}}', id="sets, as the docker CLI sends"),
        pytest.param('{"name": {"web": true, "api": true, "db": false}}', id="false is not asked"),
    ],
)
def test_both_forms_are_read(text):
    assert sorted(read(text).get("name")) == ["api", "web"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "not an object"),
        ('{"colour": ["red"]}', "invalid filter 'colour'"),
        ('{"name": "web"}', "list of texts"),
        ('{"name": [1]}', "list of texts"),
    ],
)
def test_other_forms_are_refused(text, words):
    with pytest.raises(InvalidRequestError, match=words):
        read(text)


@pytest.mark.parametrize("text", ["", "{}", '{"name": []}', '{"name": {}}'])
def test_no_values_ask_for_all(text):
    filters = read(text)
    assert filters.exact("name", "web")
    assert filters.prefix("id", "abc")
    assert filters.part("id", "abc")
    assert filters.labels("label", {})


def test_values_of_a_key_are_ored():
    filters = read('{"name": ["we", "ap"], "mode": ["global", "replicated"]}')
    assert filters.prefix("name", "web")
    assert filters.prefix("name", "x", "api")
    assert not filters.prefix("name", "db")
    assert filters.exact("mode", "global")
    assert not filters.exact("mode", "glob")
    assert filters.part("name", "xwex")


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (["a"], True),
        (["a=1"], True),
        (["a=1", "b"], True),
        (["a=2"], False),
        (["a=1", "c"], False),
        (["b="], True),
        (["a="], False),
    ],
)
def test_of_labels_all_must_match(wanted, matches):
    filters = Filters({"label": tuple(wanted)})
    assert filters.labels("label", {"a": "1", "b": ""}) is matches


@pytest.mark.parametrize(
    ("text", "value"),
    [("", False), ('{"dangling": ["true"]}', True), ('{"dangling": {"0": true}}', False)],
)
def test_booleans(text, value):
    assert read(text).flag("dangling") is value


@pytest.mark.parametrize("values", ['["maybe"]', '["true", "false"]'])
def test_what_is_no_boolean_is_refused(values):
    with pytest.raises(InvalidRequestError, match="dangling"):
        read(f'{{"dangling": {values}}}').flag("dangling")


def test_a_value_out_of_a_closed_set_is_refused():
    filters = read('{"mode": ["global"]}')
    assert filters.one_of("mode", ["global", "replicated"]) == ("global",)
    with pytest.raises(InvalidRequestError, match="mode=global"):
        filters.one_of("mode", ["replicated"])
