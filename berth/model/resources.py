"""CPU, memory and generic resources: amounts, arithmetic, parsing.

CPU is counted in billionths of a core (`nano_cpus`), memory in bytes, as Docker does. A generic
resource is a kind with either a number (`ssd=3`) or a set of names (`gpu=uuid1,uuid2`) on the node;
a task asks for a number of a kind.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from berth.errors import InvalidRequestError

NANO_CPUS_PER_CPU = 1_000_000_000

_MEMORY = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?\s*$", re.IGNORECASE)
_MEMORY_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


@dataclass(frozen=True, slots=True)
class NodeResources:
    """What a node offers.

    `generic_counts` has the plain numbers; `generic_names` has the named ones, each name being one
    unit. A kind is in at most one of the two.
    """

    nano_cpus: int = 0
    memory_bytes: int = 0
    generic_counts: Mapping[str, int] = field(default_factory=dict)
    generic_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a task asks to have set aside; 0 = nothing. Only this counts for placement."""

    nano_cpus: int = 0
    memory_bytes: int = 0
    generic: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the Engine enforces on a running container; 0 = unlimited. Never used for placement."""

    nano_cpus: int = 0
    memory_bytes: int = 0
    pids: int = 0


def parse_cpus(text: str) -> int:
    """Return nano-CPUs for text such as ``0.5`` or ``2``.

    Raises:
        InvalidRequestError: not a number of CPUs, or finer than a billionth of one.
    """
    try:
        nano = Decimal(text) * NANO_CPUS_PER_CPU
    except InvalidOperation:
        raise InvalidRequestError(f'"{text}" is not a number of CPUs; write 0.5 or 2') from None
    if not nano.is_finite() or nano < 0 or nano != nano.to_integral_value():
        raise InvalidRequestError(f'"{text}" is not a number of CPUs; write 0.5 or 2')
    return int(nano)


def parse_memory(text: str) -> int:
    """Return bytes for text such as ``512m``, ``1.5GiB`` or ``1048576``; units are powers of 1024.

    Raises:
        InvalidRequestError: not an amount of memory.
    """
    match = _MEMORY.match(text)
    if match is None:
        raise InvalidRequestError(f'"{text}" is not an amount of memory; write 512m or 2g')
    return int(Decimal(match[1]) * 1024 ** _MEMORY_UNITS[match[2].lower()])
