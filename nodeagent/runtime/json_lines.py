"""Cut a stream of bytes into JSON documents, one a line, wherever the pieces were broken."""

import json
from collections.abc import Iterator
from typing import Any


class JsonLines:
    """Feed it pieces; it yields each document once its line is complete."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[dict[str, Any]]:
        """Yield the documents that `piece` completes; lines end in LF or CR LF.

        Raises:
            ValueError: a line is not JSON.
        """
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)
