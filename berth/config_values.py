"""One setting's value: from what a file, the environment or a flag says to what the program holds.

Duty: convert and check a single value by its declared type, with words that name the fix.
Not here: where values come from and how faults are gathered (berth.config).

Conventions: a float whose name ends in ``_s`` is a duration and also takes ``5s``; an int whose
name ends in ``_bytes`` is a size and also takes ``512m``. Text is read for every type,
because the environment has nothing else; a number is never taken for text.
"""

import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Union

from berth.errors import InvalidRequestError
from berth.model.duration import parse_duration_s
from berth.model.resources import parse_memory

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


class WrongValueError(Exception):
    """A value that a setting cannot have; the text says what to write instead."""


def bare_type(hint: Any) -> tuple[Any, bool]:
    """Strip NewType and Optional from a type; say whether None is allowed."""
    optional = False
    if typing.get_origin(hint) in (Union, types.UnionType):
        arms = [arm for arm in typing.get_args(hint) if arm is not type(None)]
        assert len(arms) == 1, f"a setting cannot have the type {hint}"
        (hint,) = arms
        optional = True
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    return hint, optional


def is_table(hint: Any) -> bool:
    """Return whether a setting of this type is a table of settings of its own."""
    return is_dataclass(bare_type(hint)[0])


def convert(name: str, hint: Any, value: object) -> Any:
    """Return `value` as the setting `name` of type `hint` holds it.

    Args:
        name: the setting's own name; its suffix tells durations and sizes.
        hint: its type.
        value: text, or what TOML or a flag already typed.

    Raises:
        WrongValueError: it does not fit.
    """
    bare, optional = bare_type(hint)
    if value is None and optional:
        return None
    origin = typing.get_origin(bare)
    if origin in (tuple, list):
        items = [convert(name, typing.get_args(bare)[0], item) for item in _items(value)]
        return tuple(items) if origin is tuple else items
    if isinstance(origin, type) and issubclass(origin, Mapping):
        element = typing.get_args(bare)[1]
        return {key: convert(name, element, item) for key, item in _pairs(value).items()}
    if isinstance(bare, type) and issubclass(bare, Enum):
        return _member(bare, value)
    reader = _READERS.get(bare)
    assert reader is not None, f"a setting cannot have the type {bare}"
    return reader(name, value)


def _items(value: object) -> list[object]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, (list, tuple)):
        return list(value)
    raise WrongValueError('is not a list; write ["first", "second"]')


def _pairs(value: object) -> dict[str, object]:
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    pairs: dict[str, object] = {}
    for item in _items(value):
        key, equals, text = str(item).partition("=")
        if not equals or not key:
            raise WrongValueError(f'"{item}" is not KEY=VALUE')
        pairs[key.strip()] = text.strip()
    return pairs


def _member(kind: type[Enum], value: object) -> Enum:
    for member in kind:
        if value == member or value == member.value or str(value).lower() == str(member.value):
            return member
    allowed = ", ".join(str(member.value) for member in kind)
    raise WrongValueError(f"is not one of {allowed}")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise WrongValueError("is not text; put it in quotes")
    return value


def _path(name: str, value: object) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value:
        raise WrongValueError("is not a path; write it in quotes")
    return Path(value).expanduser()


def _bool(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE:
        return True
    if isinstance(value, str) and value.lower() in _FALSE:
        return False
    raise WrongValueError("is neither true nor false")


def _int(name: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        if name.endswith("_bytes"):
            try:
                return parse_memory(value)
            except InvalidRequestError:
                raise WrongValueError("is not a size; write 512m or 2g") from None
        try:
            return int(value)
        except ValueError:
            pass
    raise WrongValueError("is not a whole number")


def _float(name: str, value: object) -> float:
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if math.isfinite(number):
            return number
    if isinstance(value, str) and name.endswith("_s"):
        try:
            return parse_duration_s(value)
        except InvalidRequestError:
            pass
    what = "a duration; write 5s, 1m30s or 500ms" if name.endswith("_s") else "a number"
    raise WrongValueError(f"is not {what}")


_READERS: dict[Any, Callable[[str, object], Any]] = {
    str: _text,
    Path: _path,
    bool: _bool,
    int: _int,
    float: _float,
}
