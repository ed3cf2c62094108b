"""Values that are made by the hundred thousand: frozen for whoever reads the code, cheap to make.

Duty: one decorator, for the few kinds of value of which a burst makes several a task, or a service.
Not here: all other values, which are frozen dataclasses.

A frozen dataclass sets each field by a call, so that one with fifteen fields takes 1.9 µs to make
and an ordinary one 0.24 (timeit, Python 3.11). mypy refuses changes of either kind alike.
"""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def hot_value(cls: type[T]) -> type[T]:
    """Make `cls` a dataclass with slots and a hash that nobody may change: mypy sees to it."""
    return dataclass(slots=True, unsafe_hash=True)(cls)
