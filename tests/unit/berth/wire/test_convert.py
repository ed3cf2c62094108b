"""Every dataclass that crosses the wire has its message, field by field, and loses nothing."""

import typing
from dataclasses import fields, is_dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berth.model.node import Node
from berth.model.service import ServiceSpec
from berth.model.task import TaskState, TaskStatus
from berth.wire.convert import MIRRORED, from_proto, message_class, status_from_proto, to_proto

NUMBERS = st.integers(min_value=0, max_value=2**53)


def mirrored_classes() -> list[type]:
    found: list[type] = []

    def visit(hint: object) -> None:
        if is_dataclass(hint) and hint not in found:
            found.append(hint)
            for inner in typing.get_type_hints(hint).values():
                visit(inner)
        for arm in typing.get_args(hint):
            visit(arm)

    for kind in (ServiceSpec, *MIRRORED):
        visit(kind)
    return found


@pytest.mark.parametrize("kind", mirrored_classes(), ids=lambda kind: kind.__name__)
def test_message_and_dataclass_have_the_same_fields(kind):
    ours = {field.name for field in fields(kind)}
    theirs = {field.name for field in message_class(kind).DESCRIPTOR.fields}
    assert ours == theirs


def strategy_for(kind: type) -> st.SearchStrategy:
    st.register_type_strategy(int, NUMBERS)
    st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False, width=32))
    text = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=4)
    st.register_type_strategy(str, text)
    return st.from_type(kind)


@given(strategy_for(ServiceSpec))
def test_a_service_spec_comes_back_as_it_was(spec):
    assert from_proto(ServiceSpec, to_proto(spec)) == spec


@given(strategy_for(Node))
def test_a_node_comes_back_as_it_was(node):
    assert from_proto(Node, to_proto(node)) == node


@given(st.sampled_from(TaskState), st.none() | NUMBERS, st.lists(st.just(("tcp", 80, 8080))))
def test_a_task_status_comes_back_as_it_was(state, exit_code, ports):
    status = TaskStatus(task_id="t", state=state, exit_code=exit_code, ports=tuple(ports))
    assert from_proto(TaskStatus, to_proto(status)) == status
    assert status_from_proto(to_proto(status)) == status


def test_a_record_from_before_a_field_existed_reads_as_its_default():
    empty = message_class(ServiceSpec)()
    assert from_proto(ServiceSpec, empty) == ServiceSpec()
