"""Amounts of CPU and memory as people write them."""

import pytest

from berth.errors import InvalidRequestError
from berth.model.resources import parse_cpus, parse_memory


@pytest.mark.parametrize(
    ("text", "nano"),
    [("2", 2 * 10**9), ("0.5", 5 * 10**8), (".25", 25 * 10**7), ("0", 0), ("0.000000001", 1)],
)
def test_cpus(text: str, nano: int) -> None:
    assert parse_cpus(text) == nano


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("two", id="a word"),
        pytest.param("-1", id="negative"),
        pytest.param("nan", id="not a number"),
        pytest.param("inf", id="infinite"),
        pytest.param("0.0000000001", id="finer than a billionth"),
    ],
)
def test_what_is_no_number_of_cpus(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="is not a number of CPUs"):
        parse_cpus(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1048576", 1024**2),
        ("512m", 512 * 1024**2),
        ("1.5GiB", 3 * 1024**3 // 2),
        (" 2 KB ", 2048),
        ("1T", 1024**4),
        ("1p", 1024**5),
        ("7b", 7),
    ],
)
def test_memory(text: str, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1m", "1.m", "1x", "1 m b"])
def test_what_is_no_amount_of_memory(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="is not an amount of memory"):
        parse_memory(text)
