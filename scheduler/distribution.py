"""A histogram that is cheap to feed: for what the leader observes of every task and every message.

Duty: count in plain integers, and show them as a Prometheus histogram when somebody looks. Not
here: names and buckets (scheduler.metrics). `prometheus_client.Histogram` takes a lock for each of
its parts and looks through the buckets one by one: that costs about what folding in a report does.
Fed and shown on the event loop alone, so that it needs no lock.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.utils import floatToGoString


class Distribution(Collector):
    """See the module."""

    def __init__(
        self, name: str, help_text: str, *, buckets: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self._name = name
        self._help = help_text
        self._bounds = tuple(buckets)
        self._counts = [0] * (len(buckets) + 1)
        self._sum = 0.0
        registry.register(self)

    def observe(self, value: float) -> None:
        """Note one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def describe(self) -> Iterable[Metric]:
        """Name it, so that the registry knows it."""
        yield HistogramMetricFamily(self._name, self._help)

    def collect(self) -> Iterable[Metric]:
        """Show what was noted so far."""
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        counts = accumulate(self._counts)
        buckets = [(bound, float(count)) for bound, count in zip(bounds, counts, strict=True)]
        yield HistogramMetricFamily(self._name, self._help, buckets=buckets, sum_value=self._sum)
