import pytest

from berth.errors import AlreadyExistsError, ConflictError, NotFoundError, PermissionDeniedError
from berth.model.ids import ServiceId
from berth.model.service import NetworkAttachment, ServiceSpec, TaskSpec
from berth.views import ServiceView
from gateway.networks import STACK_LABEL, Network, NetworkNotes, networks_of, write_network


def a_service(name, *networks, stack=""):
    labels = {STACK_LABEL: stack} if stack else {}
    task = TaskSpec(networks=tuple(NetworkAttachment(each) for each in networks))
    return ServiceView(ServiceId(name), spec=ServiceSpec(name=name, labels=labels, task=task))


def test_networks_that_services_name_exist_while_they_do():
    services = [a_service("app_a", "app_default", stack="app"), a_service("b", "host", "lan")]
    found = networks_of(services)
    assert set(found) == {"bridge", "host", "none", "ingress", "app_default", "lan"}
    assert found["app_default"].labels == {STACK_LABEL: "app"}
    assert found["lan"].labels == {}
    assert found["lan"].used_by == ("b",)
    assert networks_of([]).keys() == {"bridge", "host", "none", "ingress"}


def test_a_network_may_be_created_before_services_name_it():
    notes = NetworkNotes()
    notes.add([], Network("lan", "overlay"))
    assert notes.find([], "lan").driver == "overlay"
    with pytest.raises(AlreadyExistsError):
        notes.add([], Network("lan", "overlay"))
    users = [a_service("b", "lan")]
    with pytest.raises(ConflictError, match="services b"):
        notes.remove(users, "lan")
    notes.remove([], "lan")
    with pytest.raises(NotFoundError):
        notes.remove([], "lan")


def test_what_every_engine_has_stays():
    with pytest.raises(PermissionDeniedError):
        NetworkNotes().remove([], "host")


def test_every_network_is_in_the_swarm_scope_under_its_name():
    for network in networks_of([]).values():
        written = write_network(network)
        assert written["Id"] == written["Name"]
        assert written["Scope"] == "swarm"
