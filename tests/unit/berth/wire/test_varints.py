"""Fields joined by hand are read by protobuf as what they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berth.v1 import types_pb2
from berth.wire.varints import delimited, delimited_head, number_field, varint


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_a_number_is_written_as_protobuf_writes_it(number: int) -> None:
    assert number_field(3, number) == types_pb2.TaskAssignment(slot=number).SerializeToString()


@given(st.text(max_size=400))
def test_a_text_is_written_as_protobuf_writes_it(text: str) -> None:
    written = types_pb2.TaskAssignment(service_id=text).SerializeToString()
    assert (delimited(2, text.encode()) if text else b"") == written


def test_a_head_says_which_field_and_how_long() -> None:
    assert delimited_head(2, 300) == b"\x12" + varint(300)
    assert varint(300) == b"\xac\x02"


@pytest.mark.parametrize("number", [-1, -(2**14), -(2**63)])
def test_a_negative_number_is_refused(number: int) -> None:
    with pytest.raises(OverflowError, match="negative"):
        varint(number)
