"""What every test may ask for: labs of real hosts, and one profile for hypothesis.

Duty: session-wide fixtures, made only when a test asks for them.
Not here: hosts themselves (tests.hosts), fakes (tests.fakes), whole clusters (tests/e2e).
Invariant: a lab is shared by all tests of a run; whoever changes a host heals it (`Lab.heal`).
"""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.hosts import Engine, Lab, lab

# A deadline per example measures the load of the machine, not the code, and so does the check of
# how long examples take to make. In CI the examples are always the same, so that a red run is a
# change's fault; elsewhere new ones are tried every time.
settings.register_profile(
    "local", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)

# Whoever runs us in the background has SIGINT ignored, and so would every program that we start:
# those that are to be ended by Ctrl-C would never end.
signal.signal(signal.SIGINT, signal.default_int_handler)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session")
def lab3() -> Iterator[Lab]:
    """Three hosts with an Engine each, a registry and its images, for the whole run."""
    with lab(hosts=3) as it:
        yield it


@pytest.fixture
def healed_lab3(lab3: Lab) -> Iterator[Lab]:
    """The same three hosts, brought back to new after the test."""
    yield lab3
    lab3.heal()


@pytest.fixture(scope="session")
def one_host() -> Iterator[Lab]:
    """A lab of a single host, with registry and images, for the whole run."""
    with lab(hosts=1) as it:
        yield it


@pytest.fixture(scope="session")
def one_engine(one_host: Lab) -> Engine:
    """The private Engine of the single host; its images come from `one_host.images`."""
    return one_host.hosts[0].engine
