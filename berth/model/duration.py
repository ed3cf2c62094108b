"""Durations as people write them: ``5s``, ``1m30s``, ``500ms``; Go's grammar, in seconds.

Not here: which durations are allowed where (each setting's or spec's own validation).
Invariant (tests/unit/berth/model/test_duration.py): what `duration_text` prints,
`parse_duration_s` reads as the same number, to the nanosecond.
"""

import re

from berth.errors import InvalidRequestError

_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNIT_S = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}


def parse_duration_s(text: str) -> float:
    """Return seconds for text such as ``5s``, ``1h30m`` or ``-1.5s``; a bare ``0`` needs no unit.

    Raises:
        InvalidRequestError: it is not a duration. A bare number is refused: 5 what?
    """
    stripped = text.strip()
    sign = -1.0 if stripped.startswith("-") else 1.0
    body = stripped.removeprefix("-") if sign < 0 else stripped.removeprefix("+")
    if body == "0":
        return 0.0
    parts = _PART.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise InvalidRequestError(f'"{text}" is not a duration; write 5s, 1m30s or 500ms')
    total = sum(float(number) * _UNIT_S[unit] for number, unit in parts)
    return sign * round(total, 9)


def duration_text(seconds: float) -> str:
    """Return the shortest text for `seconds`: ``1m30s``, ``1.5s``, ``500ms``, ``0s``."""
    if seconds < 0:
        return "-" + duration_text(-seconds)
    nanoseconds = round(seconds * 1_000_000_000)
    if nanoseconds < 1_000:
        return f"{nanoseconds}ns" if nanoseconds else "0s"
    if nanoseconds < 1_000_000:
        return f"{_plain(nanoseconds, 1_000)}us"
    if nanoseconds < 1_000_000_000:
        return f"{_plain(nanoseconds, 1_000_000)}ms"
    minutes, rest = divmod(nanoseconds, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    text = (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "")
    return text + (f"{_plain(rest, 1_000_000_000)}s" if rest else "")


def _plain(amount: int, unit: int) -> str:
    """Print amount / unit exactly, without trailing zeros."""
    whole, part = divmod(amount, unit)
    digits = f"{part:0{len(str(unit)) - 1}d}".rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
