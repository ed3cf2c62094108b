"""Files on the node: in memory, for the agent's user alone, whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from berth.errors import RetryRule
from berth.model.ids import TaskId
from nodeagent.runtime.port import RuntimeCallError
from nodeagent.runtime.task_files import TaskFiles, filesystem_of_path
from nodeagent.runtime.translate_files import TaskFile

T1, T2 = TaskId("t1"), TaskId("t2")
OWN = (os.geteuid(), os.getegid())


def a_file(
    content: bytes = b"hunter2", mode: int = 0o440, owner: tuple[int, int] = OWN
) -> TaskFile:
    return TaskFile("/run/secrets/pw", *owner, mode, content)


@pytest.fixture
def files(tmp_path: Path) -> TaskFiles:
    return TaskFiles(tmp_path / "run" / "node", filesystem_of=lambda _: "tmpfs")


def test_files_are_written_with_their_mode_below_a_closed_folder(
    files: TaskFiles, tmp_path: Path
) -> None:
    first, second = files.write(T1, [a_file(), a_file(b"other", 0o444)])
    assert (Path(first.source).read_bytes(), Path(second.source).read_bytes()) == (
        b"hunter2",
        b"other",
    )
    assert stat.S_IMODE(Path(first.source).stat().st_mode) == 0o440
    assert first.target == "/run/secrets/pw"
    for folder in (tmp_path / "run/node", Path(first.source).parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_writing_again_replaces_all(files: TaskFiles) -> None:
    old = files.write(T1, [a_file(), a_file()])
    (new,) = files.write(T1, [a_file(b"new")])
    assert Path(new.source).read_bytes() == b"new"
    assert not Path(old[1].source).exists()


def test_files_go_with_their_task(files: TaskFiles) -> None:
    assert files.held() == frozenset()
    for task_id in (T1, T2):
        (placed,) = files.write(task_id, [a_file()])
    files.remove([T1, TaskId("never")])
    assert files.held() == {T2}
    assert Path(placed.source).exists()


def test_a_folder_on_a_disk_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    root = tmp_path / "node"
    files = TaskFiles(root, filesystem_of=lambda _: "ext4")
    with pytest.raises(RuntimeCallError, match=r"is on ext4.*set files_dir to a folder in memory"
                       ) as refusal:  # fmt: skip
        files.write(T1, [a_file()])
    assert refusal.value.retry is RetryRule.NEVER
    assert list(root.iterdir()) == []


def test_a_folder_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "node").symlink_to(tmp_path / "elsewhere")
    files = TaskFiles(tmp_path / "node", filesystem_of=lambda _: "tmpfs")
    with pytest.raises(RuntimeCallError, match="not a folder of the agent's own user"):
        files.write(T1, [a_file()])
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RuntimeCallError, match="set files_dir to a folder"):
        TaskFiles(tmp_path / "file" / "node").write(T1, [a_file()])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_files_are_given_to_their_owner(files: TaskFiles) -> None:
    (placed,) = files.write(T1, [a_file(mode=0o400, owner=(1234, 2345))])
    found = Path(placed.source).stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1234, 2345, 0o400)


def test_the_type_of_a_file_system_is_known() -> None:
    assert filesystem_of_path(Path("/proc")) == "proc"
    assert filesystem_of_path(Path("/dev/shm")) == "tmpfs"
