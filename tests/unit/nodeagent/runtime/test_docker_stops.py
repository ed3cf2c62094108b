"""Stopping containers by their Engine's events, or by looks where none come; on virtual time."""

import asyncio

import docker.errors
import pytest
import requests.models

from berth.errors import RetryRule
from berth.model.ids import TaskId
from nodeagent.runtime.docker_stops import DockerStops
from nodeagent.runtime.port import ContainerChanged, RuntimeCallError
from tests.fakes.virtual_time import VirtualClock, run_virtually


class OneContainer:
    """The way to an Engine with one container, which ends some time after a signal that it heeds.

    As a pool of calls it gets the client's functions; it is the client, too.
    """

    def __init__(self, clock: VirtualClock, *, heeds: str, ends_after_s: float) -> None:
        self.clock = clock
        self.heeds = heeds
        self.ends_after_s = ends_after_s
        self.ends_at = float("inf")
        self.told: list[str] = []
        self.stops = DockerStops(self, clock, self.inspect)
        self.has_events = True
        self.refuses: tuple[int, ...] = ()
        """Which of the things it is told find no Engine."""

    async def call(self, name, what, function, **flags):
        return function(self)

    def kill(self, container_id, signal):
        self.told.append(signal)
        if len(self.told) in self.refuses:
            raise RuntimeCallError("refused", retry=RetryRule.LATER, was_sent=False)
        if not self.is_up:
            response = requests.models.Response()
            response.status_code = 409
            raise docker.errors.APIError("is not running", response=response)
        if signal in (self.heeds, "SIGKILL"):
            self.ends_at = self.clock.instant() + self.ends_after_s
            asyncio.get_running_loop().call_later(self.ends_after_s, self.end)

    def end(self):
        if self.has_events:
            self.stops.note(ContainerChanged(TaskId("t1"), "c1", "die"))

    @property
    def is_up(self) -> bool:
        return self.clock.instant() < self.ends_at

    def document(self):
        state = {"Status": "running" if self.is_up else "exited"}
        return {"Id": "c1", "State": state, "Config": {"StopSignal": "SIGQUIT"}}

    async def inspect(self, container_id):
        self.told.append("inspect")
        return self.document()


async def stopped(grace_s: float, *, has_events: bool = True, is_known: bool = True, **container):
    """Stop a container; return what its Engine was told, and how long that took."""
    clock = VirtualClock()
    engine = OneContainer(clock, **container)
    engine.has_events = has_events
    if is_known:
        engine.stops.note_seen(engine.document())
    begun = clock.instant()
    await engine.stops.stop("c1", grace_s)
    return engine.told, clock.instant() - begun


def test_a_container_that_was_seen_to_run_costs_one_call_and_no_wait_beyond_its_end():
    told, took_s = run_virtually(stopped(10.0, heeds="SIGQUIT", ends_after_s=0.03))
    assert told == ["SIGQUIT"]
    assert took_s == pytest.approx(0.03)


def test_one_that_was_not_seen_is_asked_for_its_signal_first():
    stop = stopped(10.0, is_known=False, heeds="SIGQUIT", ends_after_s=0.03)
    assert run_virtually(stop)[0] == ["inspect", "SIGQUIT"]


def test_an_end_of_which_no_event_tells_is_found_by_looking():
    stop = stopped(10.0, has_events=False, heeds="SIGQUIT", ends_after_s=0.3)
    told, took_s = run_virtually(stop)
    assert told == ["SIGQUIT", "inspect", "inspect"]
    assert took_s == pytest.approx(0.6)


def test_looks_become_rarer_up_to_one_a_second():
    stop = stopped(10.0, has_events=False, heeds="SIGQUIT", ends_after_s=3.0)
    told, took_s = run_virtually(stop)
    assert told.count("inspect") == 5  # After 0.2, 0.6, 1.4, 2.4 and 3.4 seconds.
    assert took_s == pytest.approx(3.4)


def test_one_that_ignores_its_signal_is_killed_after_its_grace():
    told, took_s = run_virtually(stopped(2.0, heeds="nothing", ends_after_s=0.01))
    assert [told[0], told[-1]] == ["SIGQUIT", "SIGKILL"]
    assert took_s == pytest.approx(2.01)


def test_one_that_has_ended_meanwhile_is_left_alone():
    async def main():
        engine = OneContainer(VirtualClock(), heeds="SIGQUIT", ends_after_s=0.0)
        engine.stops.note_seen(engine.document())
        engine.ends_at = 0.0
        await engine.stops.stop("c1", 10.0)
        return engine.told

    assert run_virtually(main()) == ["SIGQUIT"]


def test_one_that_outlives_sigkill_is_told_of_after_ten_seconds():
    async def main():
        clock = VirtualClock()
        engine = OneContainer(clock, heeds="SIGQUIT", ends_after_s=float("inf"))
        engine.has_events = False
        begun = clock.instant()
        with pytest.raises(RuntimeCallError, match="after SIGKILL") as failure:
            await engine.stops.stop("c1", 0.0)
        return failure.value.retry, clock.instant() - begun

    retry, took_s = run_virtually(main())
    assert retry is RetryRule.LATER
    assert took_s == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("refuses", "was_sent"),
    [
        pytest.param((1,), False, id="no signal is out"),
        pytest.param((4,), True, id="SIGKILL found no Engine, the signal before did"),
    ],
)
def test_a_refusal_tells_whether_a_signal_is_out(refuses, was_sent):
    async def scenario():
        clock = VirtualClock()
        engine = OneContainer(clock, heeds="nothing", ends_after_s=0.1)
        engine.refuses = refuses
        engine.stops.note_seen(engine.document())
        with pytest.raises(RuntimeCallError) as refusal:
            await engine.stops.stop("c1", 0.4)
        return engine.told, refusal.value.was_sent

    told, was = run_virtually(scenario())
    assert (len(told), was) == (refuses[-1], was_sent)


@pytest.mark.parametrize("grace_s", [0.0, 1.0])
def test_a_stop_of_what_has_ended_tells_that_it_did_nothing(grace_s):
    async def scenario():
        clock = VirtualClock()
        engine = OneContainer(clock, heeds="SIGQUIT", ends_after_s=0.1)
        told = await engine.stops.stop("c1", grace_s)
        return told, await engine.stops.stop("c1", grace_s)

    assert run_virtually(scenario()) == (True, False)
