"""How long a lease surely lives, and which keys a prefix selects."""

import pytest

from berth.model.instant import Instant
from scheduler.store.etcd_api import GrantedLease, LeaseTerm, prefix_end


def a_term(ttl_s: float = 5.0) -> LeaseTerm:
    return LeaseTerm(GrantedLease(1, ttl_s, asked_at=Instant(100.0)))


@pytest.mark.parametrize(
    ("now", "is_valid"),
    [(100.0, True), (103.9, True), (104.0, False), (105.0, False), (99_999.0, False)],
)
def test_a_lease_is_valid_up_to_a_margin_before_its_end(now, is_valid):
    assert a_term().is_valid(Instant(now)) is is_valid


def test_a_short_lease_keeps_a_margin_in_proportion():
    term = a_term(ttl_s=2.0)
    assert term.is_valid(Instant(101.59))
    assert not term.is_valid(Instant(101.6))


def test_renewal_counts_from_when_the_ping_was_sent():
    term = a_term()
    term.renew(sent_at=Instant(102.0), now=Instant(104.5), ttl_s=5)
    assert term.deadline == 107.0


def test_an_answer_after_the_end_revives_nothing():
    term = a_term()
    term.renew(sent_at=Instant(104.9), now=Instant(105.0), ttl_s=5)
    assert term.is_over
    assert not term.is_valid(Instant(104.0))


def test_a_lease_that_etcd_no_longer_knows_is_over_at_once():
    term = a_term()
    term.renew(sent_at=Instant(101.0), now=Instant(101.1), ttl_s=0)
    assert not term.is_valid(Instant(101.2))


def test_once_expired_a_lease_stays_over():
    term = a_term()
    assert not term.expire(Instant(104.999))
    assert term.expire(Instant(105.0))
    assert term.expire(Instant(101.0))


def test_a_late_answer_to_an_early_ping_shortens_nothing():
    term = a_term()
    term.renew(sent_at=Instant(103.0), now=Instant(103.1), ttl_s=5)
    term.renew(sent_at=Instant(101.0), now=Instant(103.2), ttl_s=5)
    assert term.deadline == 108.0


@pytest.mark.parametrize(
    ("prefix", "end"), [(b"/a/", b"/a0"), (b"a\xff", b"b"), (b"\xff\xff", b"\0")]
)
def test_prefix_end(prefix, end):
    assert prefix_end(prefix) == end
