import pytest

from berth.model.instant import Timestamp
from berth.model.network import Network, NetworkSpec, network_id
from berth.views import NetworkView
from gateway.translate.events import ClusterEvent, Look, Subject, events_between, take_look


def service(version=1, **facts):
    return Subject(version, {"name": "web"}, {"image": "app:1", "replicas": "2", **facts})


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        pytest.param({}, {"s": service()}, [("create", {"name": "web"})], id="new"),
        pytest.param({"s": service()}, {}, [("remove", {"name": "web"})], id="gone"),
        pytest.param({"s": service()}, {"s": service()}, [], id="the same"),
        pytest.param(
            {"s": service()},
            {"s": service(2, replicas="3")},
            [("update", {"name": "web", "replicas.old": "2", "replicas.new": "3"})],
            id="scaled",
        ),
        pytest.param(
            {"s": service(updatestate="")},
            {"s": service(updatestate="updating")},
            [("update", {"name": "web", "updatestate.new": "updating"})],
            id="an update begins",
        ),
        pytest.param(
            {"s": service()}, {"s": service(2)}, [("update", {"name": "web"})], id="only a label"
        ),
    ],
)
def test_differences(before, after, told):
    events = events_between(Look(services=before), Look(services=after))
    assert [(event.action, dict(event.attributes)) for event in events] == told
    assert {event.kind for event in events} <= {"service"}


def test_tasks_are_told_of_only_between_two_looks_at_them():
    task = {"t": Subject(0, {"name": "web.1"}, {"state": "running"})}
    assert events_between(Look(tasks=None), Look(tasks=task)) == []
    (event,) = events_between(Look(tasks={}), Look(tasks=task))
    assert (event.kind, event.action, event.attributes["state"]) == ("task", "create", "running")


def test_the_form_of_an_event():
    written = ClusterEvent("node", "update", "n1", {"name": "h"}).written(Timestamp(12.5))
    assert written == {
        "Type": "node",
        "Action": "update",
        "Actor": {"ID": "n1", "Attributes": {"name": "h"}},
        "scope": "swarm",
        "time": 12,
        "timeNano": 12_500_000_000,
    }


def test_networks_come_and_go():
    with_lan = take_look([], [], None, networks=[NetworkView(Network(NetworkSpec("lan")))])
    without = take_look([], [], None)
    told = {"name": "lan", "type": "overlay"}
    created = ClusterEvent("network", "create", network_id("lan"), told)
    assert events_between(without, with_lan) == [created]
    removed = ClusterEvent("network", "remove", network_id("lan"), told)
    assert events_between(with_lan, without) == [removed]
    assert events_between(with_lan, with_lan) == []
