"""Which member of etcd is asked next."""

import asyncio

import pytest

from berth.model.instant import Instant
from scheduler.store.etcd_endpoints import Endpoints
from scheduler.store.etcd_settings import EtcdSettings
from tests.fakes.virtual_time import VirtualClock


class SetClock(VirtualClock):
    """A clock that a test sets."""

    now_s = 1000.0

    def instant(self) -> Instant:
        return Instant(self.now_s)


def asked_in_turn(*steps: tuple[float, bool]) -> list[str]:
    """Ask for a member at each time after the start; True: it fails then."""

    async def main() -> list[str]:
        clock = SetClock()
        endpoints = Endpoints(EtcdSettings(("a:1", "b:1", "c:1")), clock)
        asked = []
        for after_s, fails in steps:
            clock.now_s = 1000.0 + after_s
            endpoint = endpoints.current()
            asked.append(endpoint.address)
            if fails:
                endpoints.demote(endpoint)
        await endpoints.aclose()
        return asked

    return asyncio.run(main())


def test_a_member_that_answers_is_asked_again() -> None:
    assert asked_in_turn((0, False), (1, False), (99, False)) == ["a:1", "a:1", "a:1"]


@pytest.mark.parametrize(
    ("ago_s", "asked"),
    [
        pytest.param(0.99, "b:1", id="avoided for a second"),
        pytest.param(1.0, "a:1", id="then as good as any"),
    ],
)
def test_a_member_that_failed_is_avoided_for_a_second(ago_s: float, asked: str) -> None:
    assert asked_in_turn((0, True), (ago_s, False))[-1] == asked


def test_the_next_one_is_kept_to_when_the_first_is_back() -> None:
    assert asked_in_turn((0, True), (0.5, False), (9, False)) == ["a:1", "b:1", "b:1"]


def test_of_members_that_all_failed_the_one_that_did_longest_ago_is_asked() -> None:
    assert asked_in_turn((0, True), (0.1, True), (0.2, True), (0.3, False))[-1] == "a:1"
