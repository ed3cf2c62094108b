import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berth.errors import InvalidRequestError
from berth.model.files import FileId, FileKind
from berth.views import FileView
from gateway.translate.files import read_file_spec, write_file

NAMES = st.text("abc-_.", min_size=1, max_size=8)
SPECS = st.fixed_dictionaries(
    {
        "Name": NAMES,
        "Labels": st.dictionaries(NAMES, NAMES, max_size=3),
        "Data": st.binary(min_size=1, max_size=64).map(lambda d: base64.b64encode(d).decode()),
    },
    optional={"Templating": st.just({"Name": "golang"})},
)


@given(SPECS)
def test_a_config_comes_back_as_it_was_sent(spec):
    sent = read_file_spec(spec, FileKind.CONFIG)
    view = FileView(
        FileId("c1"), FileKind.CONFIG, sent.name, sent.labels, sent.template_driver, data=sent.data
    )
    assert write_file(view)["Spec"] == spec


@given(SPECS)
def test_a_secret_comes_back_without_its_data(spec):
    sent = read_file_spec(spec, FileKind.SECRET)
    view = FileView(
        FileId("s1"), FileKind.SECRET, sent.name, sent.labels, sent.template_driver, data=sent.data
    )
    assert write_file(view)["Spec"] == {k: v for k, v in spec.items() if k != "Data"}
    assert repr(sent.data) not in repr(sent) + repr(view)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        pytest.param({"Data": "hunter2!"}, "Data: is not base64", id="no base64"),
        pytest.param({"Data": 7}, "Data", id="no text"),
        pytest.param({"Driver": {"Name": "vault"}}, "other stores", id="a driver"),
        pytest.param({"Templating": {"Name": "golang", "Options": {"a": "b"}}}, "Options",
                     id="options of a template"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_told_without_quoting_it(spec, words):
    with pytest.raises(InvalidRequestError, match=words) as refusal:
        read_file_spec({"Name": "pw", **spec}, FileKind.SECRET)
    assert "hunter2" not in refusal.value.message


def test_both_alphabets_of_base64_are_read():
    for text in ("-_8=", "+/8="):
        assert read_file_spec({"Data": text}, FileKind.SECRET).data == b"\xfb\xff"
