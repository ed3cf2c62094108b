"""Stop containers: a signal, the container's end, and SIGKILL where that does not come.

Duty: `stop`, within its grace, without holding a connection for it; the ends come from the event
stream, of which `note` is told.
Not here: who subscribes (docker_events), when to stop (nodeagent.core).
Invariant: an end that no event tells of, since the stream was broken, is found by looking.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import docker.errors

from berth.clock import Clock
from berth.errors import RetryRule
from berth.model.instant import Instant, after
from nodeagent.runtime.docker_errors import call_error, is_conflict, is_not_found
from nodeagent.runtime.engine_pool import EnginePool
from nodeagent.runtime.port import ContainerChanged, ContainerState, RuntimeCallError

LOOK_S = 0.2
LOOK_S_MAX = 1.0
_KILL_TIMEOUT_S = 10.0
_ALIVE = (ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING)


class DockerStops:
    """The stops of one Engine's containers."""

    def __init__(
        self,
        pool: EnginePool,
        clock: Clock,
        inspect: Callable[[str], Awaitable[dict[str, Any] | None]],
    ) -> None:
        """Prepare; `inspect` returns what the Engine says of a container, None for none."""
        self._pool = pool
        self._clock = clock
        self._inspect = inspect
        self._ends: dict[str, asyncio.Event] = {}
        """By container: its end, for those that are being stopped."""
        self._signals: dict[str, str] = {}
        """By container that runs: what stops it."""

    def note(self, change: ContainerChanged) -> None:
        """Take in what the event stream tells."""
        if change.action == "die" and (end := self._ends.get(change.container_id)) is not None:
            end.set()
        elif change.action == "destroy":
            self._signals.pop(change.container_id, None)

    def note_seen(self, document: dict[str, Any]) -> None:
        """Remember by what a container is stopped as long as it runs."""
        if ContainerState(document["State"]["Status"]) in _ALIVE:
            self._signals[document["Id"]] = document["Config"].get("StopSignal") or "SIGTERM"
        else:
            self._signals.pop(document["Id"], None)

    async def stop(self, container_id: str, grace_s: float) -> bool:
        """Stop it within `grace_s` seconds, then kill it; harmless when it has stopped.

        Signals instead of the Engine's own `stop`, which holds its connection for the whole grace:
        a node that drains a hundred slow containers would need a hundred threads, or make the last
        ones wait beyond their grace before they are even told.

        Returns:
            Whether a signal was sent; False where nothing ran that could get one.

        Raises:
            RuntimeCallError: the Engine refused; `was_sent` says whether a signal may be out.
        """
        signal = self._signals.get(container_id)
        if signal is None:
            try:
                document = await self._inspect(container_id)
            except RuntimeCallError as error:
                raise RuntimeCallError(str(error), retry=error.retry, was_sent=False) from error
            if document is None:
                return False
            signal = document["Config"].get("StopSignal") or "SIGTERM"
        end = self._ends.setdefault(container_id, asyncio.Event())
        try:
            return await self._stop(container_id, signal, grace_s, end)
        finally:
            self._ends.pop(container_id, None)
            self._signals.pop(container_id, None)

    async def _stop(
        self, container_id: str, signal: str, grace_s: float, end: asyncio.Event
    ) -> bool:
        deadline = after(self._clock.instant(), grace_s)
        if grace_s <= 0:
            if not await self._send(container_id, "SIGKILL"):
                return False
            await self._end_killed(container_id, end)
            return True
        if not await self._send(container_id, signal):
            return False
        try:
            if not await self._wait_ended(container_id, end, deadline) and await self._send(
                container_id, "SIGKILL"
            ):
                await self._end_killed(container_id, end)
        except RuntimeCallError as error:
            # Whatever became of this call, the signal before it is out.
            raise RuntimeCallError(str(error), retry=error.retry) from error
        return True

    async def _end_killed(self, container_id: str, end: asyncio.Event) -> None:
        """Wait for the end of a container that got SIGKILL."""
        deadline = after(self._clock.instant(), _KILL_TIMEOUT_S)
        if not await self._wait_ended(container_id, end, deadline):
            raise RuntimeCallError(
                f"container {container_id[:12]} still runs {_KILL_TIMEOUT_S:.0f} s after SIGKILL; "
                "its processes are probably stuck in the kernel (a dead network mount?)",
                retry=RetryRule.LATER,
            )

    async def _send(self, container_id: str, signal: str) -> bool:
        """Send a signal; False where nothing runs that could get it."""
        what = f"send {signal} to container {container_id[:12]}"
        try:
            await self._pool.call(
                "kill_container",
                what,
                lambda client: client.kill(container_id, signal),
                raises_raw=True,
            )
        except docker.errors.APIError as error:
            if is_not_found(error) or is_conflict(error):
                return False
            raise call_error(what, error, is_final=False) from error
        return True

    async def _wait_ended(self, container_id: str, end: asyncio.Event, deadline: Instant) -> bool:
        """Wait for its end; False when `deadline` comes first."""
        pause_s = LOOK_S
        while True:
            left_s = max(deadline - self._clock.instant(), 0.0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(pause_s, left_s)):
                    await end.wait()
                    return True
            document = await self._inspect(container_id)
            if document is None or ContainerState(document["State"]["Status"]) not in _ALIVE:
                return True
            if self._clock.instant() >= deadline:
                return False
            pause_s = min(pause_s * 2, LOOK_S_MAX)
