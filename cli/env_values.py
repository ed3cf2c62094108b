"""Environment variables as flags give them: from this process, from a file.

Not here: the flags (cli.spec_flags).
"""

import os
from collections.abc import Mapping
from pathlib import Path

from berth.errors import InvalidRequestError


def with_own_value(text: str, environ: Mapping[str, str]) -> str:
    """Give a bare ``NAME`` the value that it has here, as `docker run -e NAME` does."""
    if "=" in text or text not in environ:
        return text
    return f"{text}={environ[text]}"


def read_env_file(path: str) -> tuple[str, ...]:
    """Return the variables of a file: one per line, ``#`` begins a comment line."""
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise InvalidRequestError(
            f'cannot read "{path}": {reason}; name a file of NAME=VALUE lines'
        ) from None
    stripped = (line.lstrip() for line in lines)
    return tuple(
        with_own_value(line, os.environ) for line in stripped if line and not line.startswith("#")
    )
