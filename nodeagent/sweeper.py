"""Remove dead containers, unused images and files of tasks that are over, now and then.

Duty: list, plan (nodeagent.core.sweep), remove; a failure waits for the next round.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable

import structlog

from berth.clock import Clock
from berth.entropy import Entropy
from berth.model.ids import TaskId
from nodeagent.core.files import needs_files
from nodeagent.core.state import AgentState, Lane
from nodeagent.core.sweep import plan_sweep
from nodeagent.observer import AgentObserver
from nodeagent.runtime.port import ContainerRuntime, RuntimeCallError

log = structlog.get_logger(__name__)

SWEEP_PERIOD_S = 120.0
PURGE_DELAY_S = 1.0
"""What is to be purged within this time is purged together."""


class Sweeper:
    """Sweeps for ever, at a pace of its own."""

    def __init__(
        self,
        runtime: ContainerRuntime,
        clock: Clock,
        entropy: Entropy,
        observer: AgentObserver,
    ) -> None:
        self._runtime = runtime
        self._clock = clock
        self._entropy = entropy
        self._observer = observer
        self._unwanted: set[TaskId] = set()
        self._is_purge_due = asyncio.Event()

    def purge(self, task_ids: Iterable[TaskId]) -> None:
        """Remove what is left of these ended tasks soon; what cannot be removed waits its age."""
        self._unwanted.update(task_ids)
        self._is_purge_due.set()

    async def run(self, state: Callable[[], AgentState]) -> None:
        """Sweep each period; not before a leader has confirmed what the journal says."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SWEEP_PERIOD_S * self._entropy.uniform(0.5, 1.0)):
                    await self._is_purge_due.wait()
                await self._clock.sleep(PURGE_DELAY_S)
            self._is_purge_due.clear()
            if not state().is_synced:
                continue
            try:
                await self.sweep(state())
            except RuntimeCallError as error:
                log.warning("sweep_failed", why=error.message)

    async def sweep(self, state: AgentState) -> None:
        """Sweep once."""
        unwanted, self._unwanted = self._unwanted, set()
        await self._runtime.discard_files(lambda task_id: needs_files(state, task_id))
        containers = await self._runtime.list_containers()
        plan = plan_sweep(
            containers,
            in_progress={task.id for task in state.tasks.values() if not task.observed.is_terminal},
            unwanted=unwanted,
            disk=await self._runtime.disk_use(),
            settings=state.settings,
            wall=self._clock.timestamp(),
        )
        for container in plan.containers:
            await self._runtime.remove(container.container_id)
        freed_bytes = 0
        # An image that was pulled just now may still wait for its container.
        if plan.images_older_than_s is not None and not state.in_flight[Lane.PREPARE]:
            freed_bytes = await self._runtime.remove_unused_images(plan.images_older_than_s)
        await self._runtime.remove_unused_networks(state.cluster_id)
        if plan.containers or freed_bytes:
            log.info(
                "swept",
                containers=len(plan.containers),
                image_bytes=freed_bytes,
                is_disk_low=plan.is_disk_low,
            )
        self._observer.swept(len(plan.containers), freed_bytes)
