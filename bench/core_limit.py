"""The limit of rows 1, 2 and 12: what the core cannot do without, and nothing around it.

For each service one AND of three bitsets of nodes and its lowest rows; for each task its ID, an
object with its fields, one dictionary entry, and its two pieces of bytes (stored, told). No
supervision, no load levels, no per-node index, no states, no history: what no leader in Python that
keeps an object a task can beat. `bench.core` runs it in the same process, just before.
"""

import random
import time

from berth.model.ids import TaskId, new_service_id
from berth.model.instant import Instant, Timestamp
from berth.model.task import Task, newborn_tasks
from scheduler.core.placement.bits import lowest_rows
from scheduler.core.task_names import task_ids

_WIDTH_STEP = 64


def limit_us_per_task(nodes: int, services: int, replicas: int, rng: random.Random) -> float:
    """Return the microseconds of CPU that each task costs at the least."""
    width = -(-nodes // _WIDTH_STEP) * _WIDTH_STEP
    everyone = (1 << nodes) - 1
    masks = [rng.getrandbits(nodes) | rng.getrandbits(nodes) for _ in range(8)]
    tasks: dict[TaskId, Task] = {}
    size = 0
    begun = time.process_time()
    for number in range(services):
        service = new_service_id(f"{number:024}")
        chosen = everyone & masks[number % 8] & masks[(number + 3) % 8]
        rows = lowest_rows(chosen, replicas, width)
        slots = range(1, replicas + 1)
        ids = task_ids(service, slots, 1)
        made = newborn_tasks(
            ids, slots, service_id=service, attempt=1, template_version=1,
            now=Instant(1.0), today=Timestamp(1.0),
        )  # fmt: skip
        tasks.update(zip(ids, made, strict=True))
        head = service.encode()
        parts = [
            (head + b"%d" % slot, head + task_id.encode())
            for task_id, slot in zip(ids, slots, strict=True)
        ]
        size += len(parts) + len(rows)
    spent = time.process_time() - begun
    assert len(tasks) == services * replicas
    assert size >= services * replicas
    return spent / (services * replicas) * 1e6
