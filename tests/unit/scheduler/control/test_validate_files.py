"""What may be kept, and how it may be asked for: every rule has a row."""

from dataclasses import replace

import pytest

from berth.model.files import FileKind
from berth.model.service import ContainerSpec, FileReference, Mount, MountType
from scheduler.control.validate_files import file_faults, reference_faults

SECRET, CONFIG = FileKind.SECRET, FileKind.CONFIG


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        pytest.param(SECRET, {}, "", id="a secret"),
        pytest.param(CONFIG, {"data": b"x" * 1_023_999}, "", id="the largest config"),
        pytest.param(SECRET, {"data": b"x" * 511_999}, "", id="the largest secret"),
        pytest.param(SECRET, {"name": "a.b-c_d"}, "", id="all signs of a name"),
        pytest.param(CONFIG, {"data": b"{{.Node.ID}} {{secret `pw`}}", "driver": "golang"}, "",
                     id="a template"),
        pytest.param(SECRET, {"name": ""}, "name: is empty", id="no name"),
        pytest.param(SECRET, {"name": "a" * 65}, "at most 64", id="a long name"),
        pytest.param(SECRET, {"name": "a/b"}, "is not a name", id="a path as name"),
        pytest.param(SECRET, {"name": "-a"}, "is not a name", id="a sign at the edge"),
        pytest.param(SECRET, {"data": b""}, "at least one byte", id="empty"),
        pytest.param(SECRET, {"data": b"x" * 512_000}, "less than 512000 bytes", id="too large"),
        pytest.param(CONFIG, {"data": b"x" * 1_024_000}, "less than 1024000", id="a large config"),
        pytest.param(SECRET, {"labels": {"": "x"}}, "empty key", id="a label without key"),
        pytest.param(SECRET, {"labels": {"a": "x" * 70_000}}, "at most 65536", id="long labels"),
        pytest.param(SECRET, {"driver": "jinja"}, "use golang or none", id="another driver"),
        pytest.param(CONFIG, {"data": b"{{.No}}", "driver": "golang"}, "unknown field", id="field"),
        pytest.param(CONFIG, {"data": b"\xff", "driver": "golang"}, "UTF-8", id="binary template"),
    ],
)  # fmt: skip
def test_new_files(kind: FileKind, changes: dict[str, object], words: str) -> None:
    given = {"name": "pw", "labels": {}, "driver": "", "data": b"x", **changes}
    faults = file_faults(kind, given["name"], given["labels"], given["driver"], given["data"])
    told = "; ".join(map(str, faults))
    assert words in told
    assert bool(words) == bool(told)


def test_a_secrets_template_is_not_quoted() -> None:
    (fault,) = file_faults(SECRET, "pw", {}, "golang", b"hunter2 {{.hunter2 never closed")
    assert "hunter2" not in str(fault)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({}, "", id="a name alone"),
        pytest.param({"uid": "1000", "gid": "0", "mode": 0o400}, "", id="owner and mode"),
        pytest.param({"name": ""}, "names no secret", id="no name"),
        pytest.param({"target": "a/"}, "not the path of a file", id="a folder"),
        pytest.param({"target": "/"}, "not the path of a file", id="the root"),
        pytest.param({"target": "/data"}, "/data is taken by a mount", id="a mount's target"),
        pytest.param({"uid": "ada"}, "uid: \"ada\" is not a number", id="a user's name"),
        pytest.param({"gid": "-1"}, "gid: \"-1\" is not a number", id="a negative group"),
        pytest.param({"uid": "4294967295"}, "is not a number", id="no one's ID"),
        pytest.param({"mode": 0o4755}, "not within 0..0o777", id="set-user-ID"),
    ],
)  # fmt: skip
def test_references(changes: dict[str, object], words: str) -> None:
    reference = replace(FileReference(name="pw"), **changes)  # type: ignore[arg-type]
    mounts = (Mount(MountType.VOLUME, "v", "/data/"),)
    faults = list(reference_faults(ContainerSpec(secrets=(reference,), mounts=mounts), "c"))
    told = "; ".join(map(str, faults))
    assert words in told
    assert bool(words) == bool(told)
    assert all(fault.path.startswith("c.secrets[0]") for fault in faults)


def test_two_files_cannot_have_one_target() -> None:
    container = ContainerSpec(
        secrets=(FileReference(name="a", target="/x"),),
        configs=(FileReference(name="b", target="x"),),
    )
    (fault,) = reference_faults(container, "c")
    assert str(fault) == 'c.secrets[0].target: /x is taken by config "b"; choose another target'
