"""The cheap histogram shows what Prometheus' own would."""

from prometheus_client import CollectorRegistry, Histogram, generate_latest

from scheduler.distribution import Distribution

BUCKETS = (0.25, 0.5, 1.0, 2.5)


def test_it_shows_what_the_ordinary_one_shows() -> None:
    ours, ordinary = CollectorRegistry(), CollectorRegistry()
    one = Distribution("t_seconds", "Some time.", buckets=BUCKETS, registry=ours)
    other = Histogram("t_seconds", "Some time.", buckets=BUCKETS, registry=ordinary)
    for value in (0.0, 0.25, 0.26, 1.0, 3.0, 100.0):
        one.observe(value)
        other.observe(value)
    theirs = [
        line for line in generate_latest(ordinary).decode().splitlines() if "_created" not in line
    ]
    assert generate_latest(ours).decode().splitlines() == theirs
