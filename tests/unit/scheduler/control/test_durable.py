"""A change waits for the store, but not for ever."""

import asyncio

import pytest

from berth.entropy import SeededEntropy
from berth.errors import NotLeaderError, OutcomeUnknownError, StoreUnavailableError
from berth.model.cluster import ClusterSettings
from berth.model.ids import ClusterId, Epoch, Revision
from scheduler.control.durable import perform
from scheduler.core import commands
from scheduler.core.cluster_record import ClusterRecord
from scheduler.core.state import LeaderState
from scheduler.leader import Leader
from scheduler.store.port import StoreHealth, StoreState
from tests.fakes.virtual_time import VirtualClock, run_virtually
from tests.unit.scheduler.control.harness import SilentLeaderObserver


class SlowStore:
    """A store that takes everything and confirms it `after_s` later."""

    def __init__(self, after_s: float) -> None:
        self.after_s = after_s

    def commit_nowait(self, changes):
        loop = asyncio.get_running_loop()
        durable = loop.create_future()
        loop.call_later(self.after_s, durable.set_result, Revision(2))
        return durable


def change(state, now):
    commands.update_settings(state, ClusterSettings(lost_after_s=9.0), 0)
    return "done"


async def performed(confirmed_after_s: float, state: StoreState = StoreState.OK):
    """Return how long the change took, and what came of it."""
    clock = VirtualClock()
    leader = Leader(
        LeaderState(ClusterRecord(ClusterId("c1"))),
        SlowStore(confirmed_after_s),
        Epoch(1),
        clock=clock,
        entropy=SeededEntropy(1),
        observer=SilentLeaderObserver(),
        unseal=lambda sealed, context: None,
        schedulers=lambda: [],
    )
    running = asyncio.ensure_future(leader.run())
    began = clock.instant()
    try:
        outcome = await perform(leader, lambda: StoreHealth(state, clock.timestamp()), change)
    except (OutcomeUnknownError, StoreUnavailableError, NotLeaderError) as error:
        outcome = error
    running.cancel()
    await asyncio.wait({running})
    return clock.instant() - began, outcome, leader.state.cluster.settings.lost_after_s


@pytest.mark.parametrize("confirmed_after_s", [0.1, 19.9])
def test_a_change_is_answered_once_it_is_durable(confirmed_after_s):
    took_s, outcome, _ = run_virtually(performed(confirmed_after_s))
    assert outcome == "done"
    assert took_s == pytest.approx(confirmed_after_s, abs=0.01)


@pytest.mark.parametrize("confirmed_after_s", [20.1, 1e6])
def test_a_change_waits_twenty_seconds_for_the_store_and_then_says_it_is_uncertain(
    confirmed_after_s,
):
    took_s, outcome, _ = run_virtually(performed(confirmed_after_s))
    assert isinstance(outcome, OutcomeUnknownError)
    assert "within 20 s" in outcome.message
    assert took_s == pytest.approx(20.0)


def test_a_store_that_takes_no_writes_is_said_at_once_and_nothing_is_changed():
    took_s, outcome, lost_after_s = run_virtually(performed(0.1, StoreState.NO_SPACE))
    assert isinstance(outcome, StoreUnavailableError)
    assert (took_s, lost_after_s) == (0.0, 5.0)
