"""Decide which dead containers and unused images may go, by age and by disk.

Duty: one sweep's plan from what the runtime lists.
Not here: doing it (nodeagent.agent); containers of tasks that must vanish at once
(nodeagent.core.task_machine).
Invariants (tests/unit/nodeagent/core/test_sweep.py): nothing that runs, or that a task in progress
needs, is ever in a plan.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from berth.model.cluster import ClusterSettings
from berth.model.ids import TaskId
from berth.model.instant import Timestamp
from nodeagent.core.state import DEAD_STATES
from nodeagent.runtime.port import DiskUse, SeenContainer

YOUNGEST_IMAGE_S = 600.0
"""However low the disk is: an image younger than this may be waiting for its container."""


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """What to remove; `images_older_than_s` None leaves images alone."""

    containers: tuple[SeenContainer, ...] = ()
    images_older_than_s: float | None = None
    is_disk_low: bool = False


def plan_sweep(
    containers: Sequence[SeenContainer],
    *,
    in_progress: Collection[TaskId],
    unwanted: Collection[TaskId] = (),
    disk: DiskUse | None,
    settings: ClusterSettings,
    wall: Timestamp,
) -> SweepPlan:
    """Decide what to remove.

    Args:
        containers: all of this node's containers.
        in_progress: tasks that have not ended; theirs are never touched.
        unwanted: ended tasks of which the leader says that nobody can ask for them any more.
        disk: space where images live; None when the runtime did not say.
        settings: the cluster's ages, history limit and percentage.
        wall: the time by the clock that stamped the containers.
    """
    is_low = (
        disk is not None
        and disk.total_bytes > 0
        and (disk.free_bytes * 100 < disk.total_bytes * settings.disk_low_percent)
    )
    dead = [c for c in containers if c.state in DEAD_STATES and c.task_id not in in_progress]
    dead.sort(key=lambda c: (-c.finished_at, c.task_id))  # Newest first.
    kept_per_slot: dict[tuple[str, str], int] = {}
    doomed = []
    for container in dead:
        slot = (container.labels.get("berth.service", ""), container.labels.get("berth.slot", ""))
        kept_per_slot[slot] = kept = kept_per_slot.get(slot, 0) + 1
        is_old = wall - container.finished_at > settings.dead_container_age_s
        is_unwanted = container.task_id in unwanted
        if is_low or is_old or is_unwanted or kept > max(settings.task_history_limit, 1):
            doomed.append(container)
    return SweepPlan(
        containers=tuple(doomed),
        images_older_than_s=YOUNGEST_IMAGE_S if is_low else settings.image_gc_age_s,
        is_disk_low=is_low,
    )
