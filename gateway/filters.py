"""The `filters` of a query: which objects a client asks for.

Duty: read both forms of the JSON, refuse unknown keys, match. Pure.
Invariants (tests/unit/gateway/test_filters.py): values of one key are ORed, keys are ANDed; of
labels all must match.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Self

from berth.errors import InvalidRequestError
from berth.model.json_text import read_json

_TRUE = frozenset({"1", "true", "True", "TRUE", "t", "T"})
_FALSE = frozenset({"0", "false", "False", "FALSE", "f", "F"})
_KEPT_BYTES_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class Filters:
    """Wanted values by key; no key = everything is wanted."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def from_text(cls, text: str, known: Collection[str]) -> Self:
        """Read ``{"name": ["web"]}`` or the older ``{"name": {"web": true}}``.

        Args:
            text: the parameter; "" = no filter.
            known: keys that this list has.

        Raises:
            InvalidRequestError: neither form, or an unknown key.
        """
        if len(text) > _KEPT_BYTES_MAX:
            return cls(_read(text, tuple(known)))
        return cls(_read_before(text, tuple(known)))

    def get(self, key: str) -> tuple[str, ...]:
        """Return the values of `key`; empty = not asked for."""
        return self.values.get(key, ())

    def exact(self, key: str, *candidates: str) -> bool:
        """Return whether `key` is not asked for, or one of its values is a candidate."""
        wanted = self.get(key)
        return not wanted or any(candidate in wanted for candidate in candidates)

    def prefix(self, key: str, *candidates: str) -> bool:
        """Return whether `key` is not asked for, or a candidate begins with one of its values."""
        wanted = self.get(key)
        return not wanted or any(candidate.startswith(wanted) for candidate in candidates)

    def part(self, key: str, *candidates: str) -> bool:
        """Return whether `key` is not asked for, or one of its values is within a candidate."""
        wanted = self.get(key)
        return not wanted or any(value in found for value in wanted for found in candidates)

    def labels(self, key: str, labels: Mapping[str, str]) -> bool:
        """Return whether `labels` have all that `key` asks for: ``k`` or ``k=v``."""
        return all(_has_label(labels, wanted) for wanted in self.get(key))

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Return the boolean value of `key`.

        Raises:
            InvalidRequestError: it is none, or both.
        """
        wanted = set(self.get(key))
        if not wanted:
            return default
        if wanted <= _TRUE:
            return True
        if wanted <= _FALSE:
            return False
        raise InvalidRequestError(f"invalid filter '{key}={','.join(sorted(wanted))}': no boolean")

    def one_of(self, key: str, allowed: Iterable[str]) -> tuple[str, ...]:
        """Return the values of `key`.

        Raises:
            InvalidRequestError: one of them is not allowed.
        """
        names = list(allowed)
        for value in self.get(key):
            if value not in names:
                raise InvalidRequestError(
                    f"invalid filter '{key}={value}'; there are {', '.join(names)}"
                )
        return self.get(key)


def _read(text: str, known: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    if not text:
        return {}
    try:
        document = read_json(text)
    except ValueError:
        raise InvalidRequestError(f"invalid filter: {text[:200]!r} is not JSON") from None
    if not isinstance(document, dict):
        raise InvalidRequestError("invalid filter: its JSON is not an object")
    values = {}
    for key, given in document.items():
        if key not in known:
            names = ", ".join(sorted(known))
            raise InvalidRequestError(f"invalid filter '{key}'; there are {names}")
        values[key] = _values(key, given)
    return {key: found for key, found in values.items() if found}


_read_before = lru_cache(maxsize=256)(_read)
"""A docker CLI that waits asks by the same text five times a second."""


def _values(key: str, given: Any) -> tuple[str, ...]:
    if isinstance(given, dict):
        given = [value for value, is_wanted in given.items() if is_wanted]
    if not isinstance(given, list) or not all(isinstance(value, str) for value in given):
        raise InvalidRequestError(f"invalid filter '{key}': give a list of texts")
    return tuple(given)


def _has_label(labels: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)
