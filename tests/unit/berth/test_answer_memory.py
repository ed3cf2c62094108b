"""The same bytes are the same value; but for ages it is what would be read."""

from dataclasses import fields, replace

import pytest
from google.protobuf.descriptor import FieldDescriptor

from berth.answer_memory import AnswerMemory
from berth.v1 import control_pb2 as pb
from berth.views import NodeView, ServiceView, TaskView
from berth.wire.convert import from_proto

KINDS = [(NodeView, pb.NodeView), (ServiceView, pb.Service), (TaskView, pb.Task)]
_ENUM_TEXTS = {
    "availability": "drain", "role": "worker", "kind": "global", "mode": "dnsrr", "state": "down",
    "order": "start-first", "condition": "any", "failure_action": "pause", "protocol": "tcp",
    "isolation": "default", "propagation": "rprivate", "publish_mode": "host",
}  # fmt: skip


def filled(message, number=3):
    """Set every plain field of `message`, and of the messages within."""
    for field in message.DESCRIPTOR.fields:
        if field.is_repeated:
            continue
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            if field.name not in ("spec", "previous_spec") or "Node" in message.DESCRIPTOR.name:
                filled(getattr(message, field.name))
        elif field.type == FieldDescriptor.TYPE_STRING:
            setattr(message, field.name, _ENUM_TEXTS.get(field.name, f"a {field.name}"))
        elif field.type == FieldDescriptor.TYPE_BOOL:
            setattr(message, field.name, True)
        elif field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT):
            setattr(message, field.name, 1.5)
        elif field.name in ("state", "desired"):
            setattr(message, field.name, 512)
        elif field.type != FieldDescriptor.TYPE_BYTES:
            setattr(message, field.name, number)
    return message


def ageless(value):
    if isinstance(value, NodeView):
        return replace(value, heard_age_s=0.0)
    if isinstance(value, TaskView):
        return replace(value, status=replace(value.status, state_age_s=0.0))
    return value


@pytest.mark.parametrize(("kind", "message"), KINDS, ids=[kind.__name__ for kind, _ in KINDS])
def test_what_is_remembered_is_what_would_be_read(kind, message):
    memory = AnswerMemory()
    read = from_proto(kind, filled(message()))
    once, again = (memory.read(kind, filled(message())) for _ in range(2))
    assert once == again == ageless(read)
    plain = [each.name for each in fields(kind) if getattr(read, each.name) not in ((), None)]
    assert plain, "and the test has set something"


@pytest.mark.parametrize(("kind", "message"), KINDS[1:], ids=["ServiceView", "TaskView"])
def test_the_same_bytes_are_the_same_value_and_others_are_not(kind, message):
    memory = AnswerMemory()
    one, same, other = message(id="a"), message(id="a"), message(id="b")
    assert memory.read(kind, one) is memory.read(kind, same)
    assert memory.read(kind, other).id == "b"


def test_a_task_that_grows_older_stays_the_same_and_one_that_ends_does_not():
    memory = AnswerMemory()
    young, old, ended = (pb.Task(id="a") for _ in range(3))
    young.status.state_age_s, old.status.state_age_s, ended.status.state = 1.0, 9.0, 704
    assert memory.read(TaskView, young) is memory.read(TaskView, old)
    assert memory.read(TaskView, ended) is not memory.read(TaskView, young)


def test_a_node_is_the_same_while_only_its_numbers_change():
    memory = AnswerMemory()
    views = []
    for tasks in (1, 2):
        message = filled(pb.NodeView())
        message.tasks_running = tasks
        views.append(memory.read(NodeView, message))
    assert views[0].node is views[1].node
    assert [view.tasks_running for view in views] == [1, 2]


def test_no_more_is_kept_than_there_is_room_for():
    memory = AnswerMemory(room=2)
    first = memory.read(ServiceView, pb.Service(id="s0"))
    for number in range(1, 4):
        memory.read(ServiceView, pb.Service(id=f"s{number}"))
    assert len(memory._values) == 2
    assert memory.read(ServiceView, pb.Service(id="s0")) == first
