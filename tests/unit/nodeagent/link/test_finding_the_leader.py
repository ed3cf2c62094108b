"""How soon an agent that was cut off finds the leader again."""

import pytest

from tests.fakes.virtual_time import run_virtually
from tests.unit.nodeagent.bench import Bench

ADDRESSES = ("s1:1", "s2:1", "s3:1")
RETRY_S = 3.0  # The longest wait between two attempts.


def reconnect_s(boots: int, cut_s: float, leader_after: str, unreachable: str) -> float:
    """Cut an agent off from everybody; return how long it then takes to find the leader.

    Args:
        boots: of the node, which seed the agent's randomness.
        cut_s: how long nobody can be reached.
        leader_after: who leads from then on.
        unreachable: a scheduler that stays away, "" for none.
    """

    async def main() -> float:
        bench = Bench()
        bench.boots = boots
        link = bench.link
        link.schedulers = ADDRESSES
        link.followers = dict.fromkeys(ADDRESSES[1:], "s1:1")
        async with bench.agent():
            await bench.joined()
            await bench.clock.sleep(10)
            link.leader, link.followers = "", {}
            link.stream.break_off()
            await bench.clock.sleep(cut_s)
            link.leader = leader_after
            link.followers = {
                address: leader_after
                for address in ADDRESSES
                if address not in (leader_after, unreachable)
            }
            began = bench.clock.instant()
            while not link.stream.is_open:
                await bench.clock.sleep(0.01)
            return float(bench.clock.instant() - began)

    return run_virtually(main())


@pytest.mark.parametrize("boots", range(10))
@pytest.mark.parametrize("cut_s", [3.0, 7.0, 20.0])
def test_after_a_cut_the_first_scheduler_that_answers_leads_to_the_leader(
    boots: int, cut_s: float
) -> None:
    assert reconnect_s(boots, cut_s, "s1:1", "") <= RETRY_S + 0.1
    assert reconnect_s(boots, cut_s, "s2:1", "s1:1") <= 2 * RETRY_S + 0.1


def test_a_leader_that_died_is_not_asked_again_and_again_on_the_word_of_followers() -> None:
    async def main() -> list[str]:
        bench = Bench()
        link = bench.link
        link.schedulers = ADDRESSES
        link.followers = dict.fromkeys(ADDRESSES[1:], "s1:1")
        async with bench.agent():
            await bench.joined()
            await bench.clock.sleep(10)
            link.leader = ""
            link.attempts.clear()
            link.stream.break_off()
            await bench.clock.sleep(2.5)
        return link.attempts

    attempts = run_virtually(main())
    assert attempts.count("s1:1") <= len(attempts) / 2 + 1
