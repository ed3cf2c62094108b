"""`berth config` and `berth secret`, and the flags that name some."""

import io
import json
import sys
from pathlib import Path

import pytest

from berth.errors import InvalidRequestError
from berth.model.service import FileReference
from cli.file_flags import parse_file_reference
from tests.unit.cli.conftest import Line


def test_create_from_a_file_list_inspect_and_remove(berth: Line, tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"hunter2")
    for kind in ("config", "secret"):
        created = berth(kind, "create", "--label", "a=b", "pw", str(file))
        assert created.code == 0, created.err
        assert created.lines[0].startswith(f"{kind}pw")
        assert berth(kind, "ls").lines[0].split()[:2] == ["ID", "NAME"]
        assert "pw" in berth(kind, "ls", "--filter", "label=a=b").out
        assert "pw" not in berth(kind, "ls", "--filter", "name=x").out
        (shown,) = json.loads(berth(kind, "inspect", "pw").out)
        assert shown["labels"] == {"a": "b"}
        assert shown.get("data") == ("hunter2" if kind == "config" else None)
        assert "Labels:" in berth(kind, "inspect", "--pretty", "pw").out
        assert berth(kind, "rm", "pw").lines == ["pw"]
        assert berth(kind, "inspect", "pw").code == 1


def test_create_from_standard_input(berth: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\x00binary")))
    assert berth("config", "create", "--template-driver", "golang", "c", "-").code == 0
    (file,) = berth.control.files.values()
    assert (file.data, file.template_driver) == (b"\x00binary", "golang")


def test_a_file_that_is_not_there_is_named(berth: Line) -> None:
    answer = berth("secret", "create", "pw", "/nowhere")
    assert answer.code == 1
    assert 'cannot read "/nowhere": No such file or directory' in answer.err


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pw", FileReference("", "pw", "pw", "0", "0")),
        ("source=pw", FileReference("", "pw", "pw", "0", "0")),
        (
            "src=pw,target=/a/b,uid=5,gid=6,mode=0400",
            FileReference("", "pw", "/a/b", "5", "6", 256),
        ),
    ],
)
def test_references(text: str, found: FileReference) -> None:
    assert parse_file_reference(text) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("target=/a", "names nothing"),
        ("source=pw,mode=9", "is not octal"),
        ("source=pw,owner=me", '"owner=me" is not KEY=VALUE'),
    ],
)
def test_references_that_make_no_sense(text: str, words: str) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        parse_file_reference(text)
