"""How much of a resource a task asks for, and who has the most of it: for `berth explain`. Pure.

Not here: whether it is enough (scheduler.core.placement.filters).
"""

from collections.abc import Callable

import numpy as np

from berth.model.amount_text import cpus_text, memory_text
from scheduler.control.views import node_name
from scheduler.core.placement.bits import rows_in, without
from scheduler.core.placement.columns import AmountColumn
from scheduler.core.placement.demand import Demand
from scheduler.core.placement.filters import FilterKind
from scheduler.core.state import LeaderState


def room_words(state: LeaderState, demand: Demand, kind: FilterKind) -> str:
    """Say what one task asks for and what the roomiest node that takes tasks has free.

    Returns:
        "" for what is not a matter of room, or where no node takes tasks.
    """
    match kind:
        case FilterKind.CPU:
            return _words(state, state.table.cpu, demand.nano_cpus, _cpus)
        case FilterKind.MEMORY:
            return _words(state, state.table.memory, demand.memory_bytes, memory_text)
        case _:
            return ""


def _words(state: LeaderState, column: AmountColumn, asked: int, text: Callable[[int], str]) -> str:
    table = state.table
    taking = table.present
    for refusing in table.refusing.values():
        taking = without(taking, refusing)
    if not taking:
        return ""
    rows = rows_in(taking, table.width)
    row = int(rows[np.argmax(column.free.view[rows])])
    name = node_name(state.nodes[table.node_id_at(row)])
    free, capacity = max(column.free.values[row], 0), column.capacity.values[row]
    return (
        f"a task asks for {text(asked)}; most is free on {name}: {text(free)} of {text(capacity)}"
    )


def _cpus(nano_cpus: int) -> str:
    return f"{cpus_text(nano_cpus)} CPU"
