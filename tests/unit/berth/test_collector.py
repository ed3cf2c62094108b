"""The collector is kept off what stays, and looks at the rest."""

import gc
from dataclasses import dataclass, field

import pytest

from berth.collector import Tending, growing_memory

GROWN = (5_000, 1_000_000, 1_000)


@dataclass
class NotingCollector:
    """Notes what it is asked for."""

    own_looks: int
    asked: list[str] = field(default_factory=list)

    def get_count(self) -> tuple[int, int, int]:
        return (17, self.asked.count("collect 0") + self.own_looks, 3)

    def collect(self, generation: int) -> int:
        self.asked.append(f"collect {generation}")
        return 0

    def freeze(self) -> None:
        self.asked.append("freeze")


@pytest.mark.parametrize(
    ("own_looks", "asked"),
    [
        pytest.param(0, ["collect 1"], id="few survivors are looked at once more"),
        pytest.param(1, ["freeze"], id="the many of a burst never again"),
    ],
)
def test_survivors(own_looks: int, asked: list[str]) -> None:
    collector = NotingCollector(own_looks)
    tending = Tending(collector)
    for _ in range(10):
        tending.look()
    assert collector.asked == ["collect 0"] * 10 + asked


def test_grown_memory_is_out_of_collections_sight() -> None:
    thresholds = gc.get_threshold()
    try:
        with growing_memory():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold() == GROWN
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
