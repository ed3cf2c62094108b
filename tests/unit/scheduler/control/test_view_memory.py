"""Messages that were made before are copied, and never shown after their value has changed."""

from dataclasses import replace

from berth.v1 import types_pb2
from berth.wire.convert import to_proto
from scheduler.control.view_memory import ViewMemory
from tests.builders import a_node, a_spec


def written(memory, key, value, kind=types_pb2.ServiceSpec):
    message = kind()
    memory.write(key, value, message)
    return message


def test_what_is_written_is_what_the_value_says_now():
    memory, spec = ViewMemory(), a_spec("web", replicas=3, labels={"a": "b"})
    assert written(memory, "s1", spec) == written(memory, "s1", spec) == to_proto(spec)
    changed = replace(spec, labels={"a": "c"})
    assert written(memory, "s1", changed) == to_proto(changed)
    node = a_node("n1")
    assert written(memory, "n1", node, types_pb2.Node) == to_proto(node)


def test_who_changes_a_message_changes_no_other():
    memory, spec = ViewMemory(), a_spec("web")
    written(memory, "s1", spec).name = "mine"
    assert written(memory, "s1", spec).name == "web"


def test_no_more_is_kept_than_there_is_room_for():
    memory = ViewMemory(room=2)
    specs = [a_spec(f"s{number}") for number in range(4)]
    for spec in specs:
        assert written(memory, spec.name, spec) == to_proto(spec)
    assert len(memory._kept) == 2
