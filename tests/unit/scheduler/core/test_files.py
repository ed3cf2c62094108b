"""The shelf of configs and secrets, and what references mean."""

from dataclasses import replace

import pytest

from berth.model.files import FileId, FileKind
from berth.model.service import FileReference, ServiceSpec
from scheduler.core.files import FileRecord, FileShelf, resolve_references
from tests.builders import a_spec

SECRET, CONFIG = FileKind.SECRET, FileKind.CONFIG


def a_file(name: str = "pw", kind: FileKind = SECRET) -> FileRecord:
    return FileRecord(kind, FileId(f"{name}-id"), name, sealed=b"sealed-bytes", size_bytes=7)


def with_files(
    spec: ServiceSpec, *secrets: FileReference, configs: tuple[FileReference, ...] = ()
) -> ServiceSpec:
    container = replace(spec.task.container, secrets=secrets, configs=configs)
    return replace(spec, task=replace(spec.task, container=container))


@pytest.fixture
def shelf() -> FileShelf:
    shelf = FileShelf()
    for record in (a_file("pw"), a_file("key"), a_file("pw", CONFIG)):
        shelf.put(record)
    return shelf


def test_what_was_put_is_found(shelf: FileShelf) -> None:
    assert shelf.get((SECRET, FileId("pw-id"))) == shelf.named(SECRET, "pw") == a_file("pw")
    assert shelf.named(CONFIG, "key") is None
    assert [record.name for record in shelf.of_kind(SECRET)] == ["key", "pw"]
    assert (shelf.count(SECRET), shelf.count(CONFIG)) == (2, 1)


def test_a_name_is_free_once_its_file_is_gone(shelf: FileShelf) -> None:
    shelf.drop(a_file("pw"))
    assert shelf.named(SECRET, "pw") is None
    assert shelf.named(CONFIG, "pw") is not None


def test_a_record_shows_nothing_of_what_it_holds() -> None:
    assert "sealed-bytes" not in repr(a_file())


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        pytest.param(FileReference("pw-id", "pw"), "", id="by both"),
        pytest.param(FileReference("", "pw"), "", id="by name"),
        pytest.param(FileReference("pw-id", ""), "", id="by ID"),
        pytest.param(FileReference("", "no"), 'secret "no" not found; create it', id="unknown"),
        pytest.param(FileReference("x", "pw"), '"pw" with the ID x not found', id="another ID"),
        pytest.param(FileReference("key-id", "pw"), 'called "key", not "pw"', id="another name"),
    ],
)
def test_references(shelf: FileShelf, sent: FileReference, fault: str) -> None:
    spec, faults = resolve_references(shelf, with_files(a_spec(), replace(sent, target="t")))
    if fault:
        assert [each.path for each in faults] == ["task.container.secrets[0]"]
        assert fault in faults[0].problem
    else:
        assert spec.task.container.secrets == (FileReference("pw-id", "pw", "t"),)
        assert not faults


def test_all_unknown_references_are_told_at_once(shelf: FileShelf) -> None:
    missing = FileReference("", "no")
    spec = with_files(a_spec(), missing, FileReference("", "pw"), missing, configs=(missing,))
    paths = [fault.path.rpartition(".")[2] for fault in resolve_references(shelf, spec)[1]]
    assert paths == ["configs[0]", "secrets[0]", "secrets[2]"]
