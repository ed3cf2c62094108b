"""Equal parts of specs are one object, and nobody can tell but by their identity."""

from berth.model.service import ContainerSpec, ServiceSpec, TaskSpec, UpdatePolicy
from berth.wire.convert import from_proto, message_class, to_proto
from berth.wire.encoded import encoded
from berth.wire.shared_parts import BYTES_MAX, Recent


def received(spec: ServiceSpec) -> ServiceSpec:
    return from_proto(ServiceSpec, to_proto(spec))


def a_spec(name: str, env: str = "A=1") -> ServiceSpec:
    return ServiceSpec(name=name, task=TaskSpec(container=ContainerSpec(image="app", env=(env,))))


def test_what_two_services_say_alike_is_one_object():
    one, two = received(a_spec("one")), received(a_spec("two"))
    assert one.task is two.task
    assert one.mode is two.mode
    assert (one, two) == (a_spec("one"), a_spec("two"))


def test_what_differs_is_not():
    one, two = received(a_spec("one")), received(a_spec("one", env="A=2"))
    assert one.task.container != two.task.container
    assert one.task.limits is two.task.limits


def test_a_policy_that_is_absent_is_no_policy_that_says_nothing():
    assert received(ServiceSpec()).update is None
    assert received(ServiceSpec(update=UpdatePolicy())).update == UpdatePolicy()
    assert received(ServiceSpec()).update is None


def test_large_parts_are_not_kept():
    large = a_spec("one", env="A=" + "x" * BYTES_MAX)
    assert received(large).task.container is not received(large).task.container
    assert encoded(large) == encoded(received(large))


def test_of_parts_that_were_written_lately_the_bytes_are_right_however_many_there_are():
    specs = [received(a_spec("web", env=f"A={number}")) for number in range(6000)]
    for spec in (*specs, *specs):
        assert message_class(ServiceSpec).FromString(encoded(spec)) == to_proto(spec)


def test_recent_keeps_what_is_asked_for_and_lets_go_of_the_rest():
    recent: Recent[int, str] = Recent(2)
    for number in range(1, 7):
        recent.put(number, f"v{number}")
        assert recent.get(1) == "v1"
    assert recent.get(2) is None
    assert recent.get(6) == "v6"
