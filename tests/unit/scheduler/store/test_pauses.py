"""How long to wait between attempts."""

import pytest

from scheduler.store.pauses import Pauses
from tests.fakes.virtual_time import VirtualClock, run_virtually


def test_pauses_double_from_a_twentieth_of_a_second_to_half_a_second() -> None:
    async def main() -> list[float]:
        clock = VirtualClock()
        pauses = Pauses(clock)
        lengths = []
        for _ in range(6):
            began = clock.instant()
            await pauses.wait()
            lengths.append(clock.instant() - began)
        return lengths

    assert run_virtually(main()) == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.5, 0.5])
