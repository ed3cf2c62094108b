"""Amounts as people read them."""

import pytest

from berth.model.amount_text import cpus_text, memory_text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (1023, "1023B"), (1536, "1.5KiB"), (2**20, "1MiB"), (3 * 2**40, "3072GiB")],
)
def test_sizes(size: int, text: str) -> None:
    assert memory_text(size) == text


@pytest.mark.parametrize(
    ("nano_cpus", "text"),
    [(0, "0"), (2 * 10**9, "2"), (15 * 10**8, "1.5"), (10**6, "0.001")],
)
def test_cpus(nano_cpus: int, text: str) -> None:
    assert cpus_text(nano_cpus) == text
