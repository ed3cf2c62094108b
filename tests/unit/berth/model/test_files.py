import pytest

from berth.model.files import FileId, FileKind, FilePayload, container_path, file_keys
from berth.model.service import ContainerSpec, FileReference


@pytest.mark.parametrize(
    ("kind", "name", "target", "path"),
    [
        pytest.param(FileKind.SECRET, "pw", "", "/run/secrets/pw", id="a secret's own name"),
        pytest.param(FileKind.SECRET, "pw", "db/pw", "/run/secrets/db/pw", id="below the folder"),
        pytest.param(FileKind.SECRET, "pw", "/etc/pw", "/etc/pw", id="anywhere"),
        pytest.param(FileKind.SECRET, "pw", "../pw", "/run/pw", id="out of the folder"),
        pytest.param(FileKind.CONFIG, "c", "", "/c", id="a config's own name"),
        pytest.param(FileKind.CONFIG, "c", "//etc//c", "/etc/c", id="slashes are joined"),
    ],
)
def test_where_a_file_appears(kind: FileKind, name: str, target: str, path: str) -> None:
    assert container_path(kind, FileReference(name=name, target=target)) == path


def test_each_file_is_needed_once() -> None:
    one, other = FileReference("s1", "pw"), FileReference("s1", "pw", "other")
    container = ContainerSpec(secrets=(one, other), configs=(FileReference("s1", "c"),))
    assert file_keys(container) == ((FileKind.CONFIG, "s1"), (FileKind.SECRET, "s1"))
    assert file_keys(ContainerSpec()) == ()


def test_a_payload_is_never_shown() -> None:
    payload = FilePayload(FileKind.SECRET, FileId("s1"), "pw", data=b"hunter2")
    assert "hunter2" not in repr(payload)
