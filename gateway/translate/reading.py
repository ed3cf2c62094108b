"""Read JSON as Go reads it: keys without case, unknown keys passed over, types checked.

Duty: one object of a request, field by field; every wrong type is noted with its path, so that a
client learns of all of them at once. Not here: which fields there are (spec_in, container_in).
Invariant: a reader never raises; whoever reads asks `Faults.check` at the end.
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeVar

from berth.errors import Fault, InvalidRequestError

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")

NANOSECONDS: Final = 1_000_000_000
_INTEGER_MAX: Final = 2**63


@dataclass(slots=True)
class Faults:
    """What is wrong with a request so far."""

    found: list[Fault] = field(default_factory=list)

    def add(self, path: str, problem: str) -> None:
        """Note a fault."""
        self.found.append(Fault(path, problem))

    def check(self, subject: str) -> None:
        """Refuse the request if anything is wrong with it.

        Raises:
            InvalidRequestError: lists every fault.
        """
        if self.found:
            raise InvalidRequestError.from_faults(subject, self.found)


class Struct:
    """One JSON object that stands for a struct; its getters return empty values for absence."""

    def __init__(self, document: Any, path: str, faults: Faults) -> None:
        self.path = path
        self._faults = faults
        self._fields: dict[str, Any] = {}
        if isinstance(document, dict):
            for key, value in document.items():
                # Of keys that differ in case alone Go takes the last.
                if value is not None:
                    self._fields[key.casefold()] = value
        elif document is not None:
            self._refuse("", document, "an object")

    def has(self, name: str) -> bool:
        """Return whether the field is there and not null."""
        return name.casefold() in self._fields

    def fault(self, name: str, problem: str) -> None:
        """Note that a field's value cannot be used."""
        self._faults.add(self._at(name), problem)

    def text(self, name: str, default: str = "") -> str:
        """Return a text."""
        return self._typed(name, str, "text") or default

    def flag(self, name: str) -> bool:
        """Return a boolean; absent = False."""
        return bool(self._typed(name, bool, "true or false"))

    def flag_or_none(self, name: str) -> bool | None:
        """Return a boolean, None where there is none."""
        found: bool | None = self._typed(name, bool, "true or false")
        return found

    def integer_or_none(self, name: str) -> int | None:
        """Return a whole number, None where there is none."""
        value = self._fields.get(name.casefold())
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self._refuse(name, value, "a whole number")
            return None
        if not -_INTEGER_MAX <= value < _INTEGER_MAX:
            self.fault(name, f"{value} is too large")
            return None
        return value

    def integer(self, name: str) -> int:
        """Return a whole number; absent = 0."""
        return self.integer_or_none(name) or 0

    def number_or_none(self, name: str) -> float | None:
        """Return a number, None where there is none."""
        value = self._fields.get(name.casefold())
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._refuse(name, value, "a number")
            return None
        try:
            return float(value)
        except OverflowError:
            self.fault(name, "is too large")
            return None

    def seconds_or_none(self, name: str) -> float | None:
        """Return a duration, sent as nanoseconds, in seconds; None where there is none."""
        value = self.integer_or_none(name)
        return None if value is None else value / NANOSECONDS

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        values = self._list(name)
        for index, value in enumerate(values):
            if not isinstance(value, str):
                self._refuse(f"{name}[{index}]", value, "text")
        return tuple(value for value in values if isinstance(value, str))

    def text_map(self, name: str) -> dict[str, str]:
        """Return an object whose keys are the user's; here case matters."""
        found = self._typed(name, dict, "an object") or {}
        for key, value in found.items():
            if not isinstance(value, str | None):
                self._refuse(f"{name}[{key}]", value, "text")
        return {key: value for key, value in found.items() if isinstance(value, str)}

    def struct(self, name: str) -> "Struct":
        """Return an object, an empty one where there is none."""
        return Struct(self._fields.get(name.casefold()), self._at(name), self._faults)

    def optional(self, name: str, read: Callable[["Struct"], T]) -> T | None:
        """Return what `read` makes of an object, None where there is none."""
        return read(self.struct(name)) if self.has(name) else None

    def structs(self, name: str) -> list["Struct"]:
        """Return a list of objects."""
        return [
            Struct(value, f"{self._at(name)}[{index}]", self._faults)
            for index, value in enumerate(self._list(name))
        ]

    def word(self, name: str, kind: type[E]) -> E | None:
        """Return a member of an enumeration; None where there is none, or it is empty."""
        text = self.text(name)
        if not text:
            return None
        try:
            return kind(text)
        except ValueError:
            words = ", ".join(member.value for member in kind)
            self.fault(name, f'"{text}" does not exist; use one of {words}')
            return None

    def encoded_text(self, name: str) -> str:
        """Return a text that is sent as base64 (a list of bytes in Go)."""
        try:
            return base64.b64decode(self.text(name), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            self.fault(name, "is not text in base64")
            return ""

    def _typed(self, name: str, kind: type, what: str) -> Any:
        value = self._fields.get(name.casefold())
        if value is None or isinstance(value, kind):
            return value
        self._refuse(name, value, what)
        return None

    def _list(self, name: str) -> list[Any]:
        return self._typed(name, list, "a list") or []

    def _refuse(self, name: str, value: Any, wanted: str) -> None:
        self._faults.add(self._at(name), f"is {_kind_of(value)}, not {wanted}")

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path and name else self.path or name


def _kind_of(value: Any) -> str:
    match value:
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return "null"
