"""Answers that rest on the store: what may leave, what is refused, what is uncertain.

Duty: bound every wait for the store, and say honestly how a change stands when the wait or the
leadership ends first. Not here: what is changed (flows), what is shown (views).

Invariant: a change that has touched the leader's memory is never reported as "did not happen". The
forwarder (scheduler.control.forward) repeats a call that a scheduler refused with NotLeaderError,
so that error leaves here only when nothing was changed.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Final, TypeVar

from berth.errors import NotLeaderError, OutcomeUnknownError, StoreUnavailableError
from berth.model.ids import ServiceId
from scheduler.core.now import Now
from scheduler.core.state import LeaderState
from scheduler.leader import Leader
from scheduler.store.port import StoreHealth, StoreState

T = TypeVar("T")

WRITE_WAIT_S: Final = 20.0
READ_WAIT_S: Final = 10.0
READ_WAIT_IMPAIRED_S: Final = 1.0
"""How long a read waits for a store that is known not to take writes; then it shows memory."""


async def perform(
    leader: Leader,
    store_health: Callable[[], StoreHealth],
    change: Callable[[LeaderState, Now], T],
    *,
    wait_s: float = WRITE_WAIT_S,
) -> T:
    """Make `change` and return its result once it is durable.

    Raises:
        StoreUnavailableError: the store takes no writes now; nothing was changed.
        OutcomeUnknownError: the change was made, and whether it will last is not known.
        BerthError: `change` refused; nothing was changed.
        NotLeaderError: this scheduler does not lead any more; nothing was changed.
    """
    health = store_health()
    if health.state is not StoreState.OK:
        raise StoreUnavailableError(
            f"the cluster is read-only: its store is {health_words(health)}; containers run on. "
            "Mend etcd and try again"
        )
    has_changed = False

    def noted(state: LeaderState, now: Now) -> T:
        nonlocal has_changed
        result = change(state, now)
        has_changed = True
        return result

    try:
        async with asyncio.timeout(wait_s):
            return await leader.perform(noted)
    except NotLeaderError as error:
        if not has_changed:
            raise
        raise OutcomeUnknownError(
            "leadership ended before the change was known to be durable: it may or may not have "
            "taken effect; look before you repeat it"
        ) from error
    except TimeoutError as error:
        raise OutcomeUnknownError(
            f"the store did not confirm the change within {wait_s:g} s "
            f"({health_words(store_health())}): it may still take effect; look before you repeat it"
        ) from error


async def wait_readable(
    leader: Leader,
    store_health: Callable[[], StoreHealth],
    services: Collection[ServiceId] | None = None,
) -> None:
    """Wait until what was just read from memory may leave: not at all where that is durable.

    While the store takes no writes the cluster is read-only, not blind: after a short wait memory
    is shown as it is. Users' writes are refused then, so what memory is ahead by is the leader's
    own bookkeeping.

    Args:
        leader: whose memory was read.
        store_health: how the store does.
        services: of which something was read, besides nodes; None = anything.

    Raises:
        StoreUnavailableError: the store confirms nothing, and says nothing either.
        NotLeaderError: this scheduler does not lead any more.
    """
    if not leader.is_over and leader.is_durable(services):
        return
    is_impaired = store_health().state is not StoreState.OK
    if is_impaired and leader.is_over:
        return  # Nobody can lead while the store is away: what was known last is shown.
    wait_s = READ_WAIT_IMPAIRED_S if is_impaired else READ_WAIT_S
    try:
        async with asyncio.timeout(wait_s):
            await leader.wait_durable(services)
    except TimeoutError as error:
        health = store_health()
        if health.state is StoreState.OK:
            raise StoreUnavailableError(
                f"the store has confirmed nothing for {wait_s:g} s; look at etcd, or try again"
            ) from error


def health_words(health: StoreHealth) -> str:
    """Return the state of a store that is not well, and why."""
    state = health.state.value.replace("_", " ")
    return f"{state}: {health.last_error}" if health.last_error else state
