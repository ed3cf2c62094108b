"""The agent's state directory: its identity, its journal, and one agent in it at a time.

Duty: make the directory, lock it, create the node's ID once and read it ever after.
Not here: the journal's content (nodeagent.journal).
"""

import fcntl
import os
from pathlib import Path
from typing import NoReturn, Self

from berth.entropy import Entropy
from berth.errors import ConfigError, Fault
from berth.model.ids import ID_LENGTH, NodeId
from nodeagent.journal import write_atomically

_NODE_ID_FILE = "node-id"
_LOCK_FILE = "lock"
_JOURNAL_FILE = "journal.json"
_IMAGES_FILE = "pulled-images.json"


class StateDir:
    """A locked state directory; the lock ends with the process."""

    def __init__(self, path: Path, lock: int) -> None:
        self._path = path
        self._lock = lock

    @classmethod
    def open(cls, path: Path) -> Self:
        """Make the directory if need be, and lock it.

        Raises:
            ConfigError: it cannot be written, or another agent has it; the message names the fix.
        """
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(path / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            _refuse(path, f"cannot be used: {error.strerror}; choose one that the agent may write")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            _refuse(
                path, "belongs to an agent that runs; stop it, or give this one its own state_dir"
            )
        return cls(path, lock)

    @property
    def journal_path(self) -> Path:
        """Where the journal is."""
        return self._path / _JOURNAL_FILE

    @property
    def images_path(self) -> Path:
        """Where the list of pulled images is."""
        return self._path / _IMAGES_FILE

    def node_id(self, entropy: Entropy) -> NodeId:
        """Return the node's ID: drawn on the first start, the same ever after.

        Raises:
            ConfigError: the file cannot be read or is damaged. A node must not change its name
                silently: its containers would be strangers to it.
        """
        file = self._path / _NODE_ID_FILE
        try:
            text = file.read_text("ascii").strip()
        except FileNotFoundError:
            node_id = NodeId(entropy.new_id())
            try:
                write_atomically(file, f"{node_id}\n".encode())
            except OSError as error:
                _refuse(self._path, f"cannot be written: {error.strerror}; free some space")
            return node_id
        except (OSError, UnicodeDecodeError) as error:
            _refuse(self._path, f"has an unreadable {_NODE_ID_FILE}: {error}")
        if len(text) != ID_LENGTH or not text.isalnum() or text != text.lower():
            _refuse(
                self._path,
                f'has a damaged {_NODE_ID_FILE} ("{text}"); write the ID that `docker node ls` '
                "shows for this node, or delete the file to join as a new node",
            )
        return NodeId(text)

    def close(self) -> None:
        """Give the lock back."""
        os.close(self._lock)


def _refuse(path: Path, problem: str) -> NoReturn:
    fault = Fault("state_dir", f'"{path}" {problem}')
    raise ConfigError(str(fault), [fault])
