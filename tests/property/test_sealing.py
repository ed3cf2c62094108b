"""Whatever is sealed opens again, there and nowhere else, and unchanged or not at all."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from berth.entropy import SystemEntropy
from scheduler.store.sealing import Sealer, UnsealError

KEYS = st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=4, unique=True)


@given(keys=KEYS, plaintext=st.binary(max_size=2000), context=st.binary(max_size=100))
def test_what_is_sealed_opens(keys, plaintext, context):
    sealed = Sealer(keys, SystemEntropy()).seal(plaintext, context)
    assert Sealer(keys[::-1], SystemEntropy()).open(sealed, context) == plaintext


@given(keys=KEYS, plaintext=st.binary(), contexts=st.tuples(st.binary(), st.binary()))
def test_it_opens_nowhere_else(keys, plaintext, contexts):
    here, there = contexts
    assume(here != there)
    sealer = Sealer(keys, SystemEntropy())
    with pytest.raises(UnsealError):
        sealer.open(sealer.seal(plaintext, here), there)


@given(keys=KEYS, plaintext=st.binary(max_size=50), data=st.data())
def test_no_changed_bit_is_overlooked(keys, plaintext, data):
    sealer = Sealer(keys, SystemEntropy())
    sealed = bytearray(sealer.seal(plaintext, b"here"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(UnsealError):
        sealer.open(bytes(sealed), b"here")


@given(raw=st.binary(max_size=100), context=st.binary(max_size=20))
def test_what_was_never_sealed_is_refused(raw, context):
    with pytest.raises(UnsealError):
        Sealer([bytes(32)], SystemEntropy()).open(raw, context)
