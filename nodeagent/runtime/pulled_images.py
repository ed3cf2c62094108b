"""Remember which images Berth pulled, so that cleaning up never touches anybody else's.

An Engine's images cannot be labelled after the fact, so the memory is a small file in the agent's
state directory. Losing it is harmless: images stay longer than needed.
"""

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import structlog

from berth.model.instant import Timestamp

log = structlog.get_logger(__name__)


class PulledImages(Protocol):
    """References that Berth pulled, with the time when each was last seen in use.

    Calls are made off the event loop and may block for a moment.
    """

    def record(self, reference: str, used_at: Timestamp) -> None:
        """Remember `reference` as pulled by Berth and in use at `used_at`."""
        ...

    def last_used(self) -> Mapping[str, Timestamp]:
        """Return everything remembered."""
        ...

    def forget(self, reference: str) -> None:
        """Drop `reference`; harmless when it is not remembered."""
        ...


class MemoryPulledImages:
    """Remembers until the process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: dict[str, Timestamp] = {}

    def record(self, reference: str, used_at: Timestamp) -> None:
        """Remember it."""
        with self._lock:
            self._used[reference] = used_at
            self._keep()

    def last_used(self) -> Mapping[str, Timestamp]:
        """Return a copy."""
        with self._lock:
            return dict(self._used)

    def forget(self, reference: str) -> None:
        """Drop it."""
        with self._lock:
            if self._used.pop(reference, None) is not None:
                self._keep()

    def _keep(self) -> None:
        """Called with the lock held, after each change."""


class FilePulledImages(MemoryPulledImages):
    """Remembers in a JSON file, replaced as a whole; an unreadable file counts as empty.

    One that cannot be written (a full disk) costs no pull: an image that the next start does not
    know of is merely never swept.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._told = ""
        try:
            document = json.loads(path.read_text())
            self._used = {str(key): Timestamp(float(value)) for key, value in document.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            self._used = {}

    def _keep(self) -> None:
        written = self._path.with_name(self._path.name + ".new")
        try:
            written.write_text(json.dumps(self._used, indent=1, sort_keys=True))
            os.replace(written, self._path)
        except OSError as error:
            if str(error) != self._told:
                log.warning("pulled_images_not_written", why=str(error))
            self._told = str(error)
        else:
            self._told = ""
