"""Configs and secrets as files on this node: in memory (tmpfs), for root alone, one folder a task.

Duty: write a task's files, tell whose there are, remove those that are over. Each is bound into its
container, read-only; the folder above keeps everybody else of this machine out.
Not here: what is in them (translate_files), when they go (nodeagent.core.files).
Invariants (tests/unit/nodeagent/runtime/test_task_files.py, tests/e2e/test_secrets.py): nothing is
written where a disk could keep it; a file appears whole, with its owner and mode, or not at all.
"""

import errno
import os
import shutil
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn

import structlog

from berth.errors import RetryRule
from berth.model.ids import TaskId
from nodeagent.runtime.port import RuntimeCallError
from nodeagent.runtime.translate_files import PlacedFile, TaskFile

log = structlog.get_logger(__name__)

IN_MEMORY: Final = ("tmpfs", "ramfs")
_READABLE_BY_ALL: Final = 0o004


class TaskFiles:
    """The folder of one node's task files; every method blocks, so call it in a thread."""

    def __init__(self, root: Path, *, filesystem_of: "Callable[[Path], str] | None" = None) -> None:
        """Prepare; nothing is made before a task needs it.

        Args:
            root: the folder of this node alone.
            filesystem_of: tells the type of the file system that holds a path.
        """
        self._root = root
        self._filesystem_of = filesystem_of or filesystem_of_path

    def write(self, task_id: TaskId, files: Sequence[TaskFile]) -> tuple[PlacedFile, ...]:
        """Write a task's files anew; return where they are.

        Raises:
            RuntimeCallError: NEVER where the folder cannot be used for secrets, LATER where memory
                is short.
        """
        try:
            self._open_root()
            folder = self._root / task_id
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            placed = []
            for number, file in enumerate(files):
                path = folder / str(number)
                self._write_one(path, file)
                placed.append(PlacedFile(str(path), file.target))
            return tuple(placed)
        except OSError as error:
            is_short = error.errno in (errno.ENOSPC, errno.ENOMEM, errno.EDQUOT)
            fix = (
                "make room there, or give it more memory"
                if is_short
                else "set files_dir to a folder in memory that the agent may write"
            )
            raise RuntimeCallError(
                f'cannot write configs and secrets to "{self._root}": {error.strerror}; {fix}',
                retry=RetryRule.LATER if is_short else RetryRule.NEVER,
            ) from error

    def held(self) -> frozenset[TaskId]:
        """Return the tasks that have files here."""
        try:
            return frozenset(TaskId(entry.name) for entry in self._root.iterdir())
        except OSError:
            return frozenset()

    def remove(self, tasks: Sequence[TaskId]) -> None:
        """Remove the files of `tasks`; what cannot be removed now is found again by `held`."""
        for task_id in tasks:
            shutil.rmtree(self._root / task_id, ignore_errors=True)

    def _open_root(self) -> None:
        """Make the folder, and make sure that it is ours and in memory.

        Raises:
            RuntimeCallError: it is not.
            OSError: it cannot be made.
        """
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self._root.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            self._refuse("is not a folder of the agent's own user; remove it")
        self._root.chmod(0o700)
        kind = self._filesystem_of(self._root)
        if kind not in IN_MEMORY:
            self._refuse(
                f"is on {kind}, where a disk would keep it: set files_dir to a folder in memory "
                "(tmpfs), such as /run/berth-files or /dev/shm/berth-files"
            )

    def _refuse(self, problem: str) -> NoReturn:
        raise RuntimeCallError(
            f'cannot deliver configs and secrets: "{self._root}" {problem}', retry=RetryRule.NEVER
        )

    def _write_one(self, path: Path, file: TaskFile) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        with os.fdopen(descriptor, "wb") as written:
            written.write(file.content)
            written.flush()
            os.fchmod(descriptor, file.mode)
            self._give(descriptor, file)

    def _give(self, descriptor: int, file: TaskFile) -> None:
        """Give a file its owner; an agent without that right can do so only where it is no matter.

        Raises:
            RuntimeCallError: the container's user could not read it.
        """
        if (file.uid, file.gid) == (os.geteuid(), os.getegid()):
            return
        try:
            os.fchown(descriptor, file.uid, file.gid)
        except PermissionError:
            if file.mode & _READABLE_BY_ALL:
                log.warning("task_file_owner_not_set", target=file.target, uid=file.uid)
                return
            raise RuntimeCallError(
                f"cannot give {file.target} to user {file.uid} and group {file.gid}: the agent may "
                "not change owners; run it as root or with the capability CAP_CHOWN, or let "
                "everybody in the container read the file (mode=0444)",
                retry=RetryRule.NEVER,
            ) from None


def filesystem_of_path(path: Path) -> str:
    """Return the type of the file system that holds `path`, "an unknown file system" if none is."""
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines():
        fields, _, rest = line.partition(" - ")
        if fields.split()[2] == wanted:
            return rest.split()[0]
    return "an unknown file system"
