"""The gateway's metrics. Names and labels are a contract: see docs/metrics.md."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 30.0)


class GatewayMetrics:
    """How the Docker API is used; `call` is the name of one of our routes, never a path."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "berth_docker_requests_total",
            "Requests to the Docker API, by call and status.",
            ["call", "status"],
            registry=registry,
        )
        self.seconds = Histogram(
            "berth_docker_request_seconds",
            "Time until an answer of the Docker API began.",
            ["call"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._counters: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self.open = Gauge(
            "berth_docker_requests_open",
            "Requests to the Docker API under way, followed logs and events too.",
            registry=registry,
        )

    def count(self, call: str, status: int, seconds: float) -> None:
        """Count an answer that begins, and how long it took until then."""
        found = self._counters.get((call, status))
        if found is None:  # Looking up labels costs more than counting.
            made = self.requests.labels(call, str(status)), self.seconds.labels(call)
            found = self._counters[call, status] = made
        found[0].inc()
        found[1].observe(seconds)
