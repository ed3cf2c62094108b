import json

import pytest

from berth.model.json_text import read_json


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        pytest.param(b'{"a": [1, 2.5, null, true]}', {"a": [1, 2.5, None, True]}, id="plain"),
        pytest.param(b'"gr\xfcn"', "gr�n", id="bytes that are no UTF-8"),
        pytest.param('{"\\ud800": ["\\udc00x"]}', {"�": ["�x"]}, id="halves of no character"),
        pytest.param('"\\uD83D\\uDE00"', "\U0001f600", id="two halves of one"),
        pytest.param('"\\\\ud800"', "\\ud800", id="a backslash before it"),
        pytest.param('{"a": 1, "a": 2}', {"a": 2}, id="of equal keys the last"),
    ],
)
def test_what_is_read(sent, found):
    assert read_json(sent) == found
    json.dumps(read_json(sent), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{} {}", id="two values"),
        pytest.param("NaN", id="no number"),
        pytest.param("[-Infinity]", id="no end"),
        pytest.param("[" * 100_000, id="deep"),
        pytest.param("[" * 900 + '"\\ud800"' + "]" * 900, id="deep, with half a character"),
        pytest.param("9" * 5000, id="more digits than Python reads"),
        pytest.param('{"a": 1}'.encode("utf-16"), id="another encoding"),
        pytest.param(b"\xef\xbb\xbf{}", id="a mark of the byte order"),
    ],
)
def test_what_is_no_json_is_a_value_error(sent):
    with pytest.raises(ValueError, match=r".+"):
        read_json(sent)
