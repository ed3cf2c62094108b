"""Small words for writing JSON as Go does. Pure.

Duty: times, durations, leaving out what is empty. Not here: any object.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from berth.model.instant import NO_TIME, Timestamp
from gateway.translate.reading import NANOSECONDS

ZERO_TIME: Final = "0001-01-01T00:00:00Z"
"""Go's way to say that there is no time; an empty text would fail the decoding of a whole list."""


def without_empty(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return `fields` without None, "", 0, False and empty lists and objects (Go's omitempty)."""
    return {key: value for key, value in fields.items() if value}


def without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return `fields` without None, as Go leaves out nil pointers."""
    return {key: value for key, value in fields.items() if value is not None}


def nanoseconds(duration_s: float | None) -> int | None:
    """Return a duration as Docker has it."""
    return None if duration_s is None else round(duration_s * NANOSECONDS)


def go_number(value: float | None) -> float | None:
    """Return a number as Go writes it: whole ones without a point."""
    return int(value) if value is not None and value.is_integer() else value


def time_text(moment: Timestamp | None) -> str:
    """Return RFC 3339 with a zone."""
    if moment is None or moment == NO_TIME:
        return ZERO_TIME
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def precise_time_text(time_ns: int) -> str:
    """Return RFC 3339 with all nine decimals, as logs are stamped."""
    seconds, rest_ns = divmod(time_ns, NANOSECONDS)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{rest_ns:09d}Z"
