"""Read JSON that somebody sent, as Go's decoder reads it. Pure.

Duty: bytes or text -> plain values, or one kind of error. Not here: what the values mean.
Invariant (tests/unit/berth/model/test_json_text.py): every text that comes out can be written as
UTF-8; whatever goes in, nothing but ValueError is raised.
"""

import json
import re
from typing import Any, Final

_LONE: Final = re.compile(r"\\u[dD][89a-fA-F]")
"""How half a character may be written in JSON; Python would keep it, and could write it nowhere."""


def read_json(sent: bytes | str) -> Any:
    """Return the value that `sent` stands for; bytes and halves of no character become U+FFFD.

    Raises:
        ValueError: it is no JSON, or nested too deeply. The text may quote a part of it.
    """
    text = sent.decode("utf-8", errors="replace") if isinstance(sent, bytes) else sent
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
        return _with_whole_characters(found) if _LONE.search(text) else found
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _with_whole_characters(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_with_whole_characters(item) for item in value]
    if isinstance(value, dict):
        return {
            _with_whole_characters(key): _with_whole_characters(item) for key, item in value.items()
        }
    return value
