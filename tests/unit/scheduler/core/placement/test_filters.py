import pytest

from berth.model.ids import NodeId
from berth.model.service import Platform
from scheduler.core.placement.constraints import parse_constraint
from scheduler.core.placement.filters import (
    Credit,
    FilterKind,
    Reason,
    candidates,
    filters,
    matching,
    reasons_at,
    rows_satisfying,
)
from tests.unit.scheduler.core.placement.builders import CPU, GIB, a_demand, a_node, a_table

N1 = NodeId("n1")
PORT_80 = (("tcp", 80),)


def table_with_one_occupied():
    """Node n1 holds a task of `web` that leaves 1 CPU, 1 GiB and no port 80."""
    table = a_table(
        a_node(
            "n1",
            cpus=4,
            gib=8,
            labels={"zone": "a"},
            address="10.0.0.1",
            volume_plugins=("local", "nfs:latest"),
            log_plugins=("json-file",),
            generic_counts={"gpu": 1},
        )
    )
    table.occupy(
        N1,
        a_demand(
            nano_cpus=3 * CPU, memory_bytes=7 * GIB, host_ports=PORT_80, generic=(("gpu", 1),)
        ),
    )
    return table


@pytest.mark.parametrize(
    ("demand", "words"),
    [
        pytest.param(a_demand(), "", id="nothing asked, nothing refused"),
        pytest.param(a_demand(nano_cpus=CPU, memory_bytes=GIB), "", id="exactly what is left"),
        pytest.param(a_demand(nano_cpus=CPU + 1), "insufficient CPU", id="too much CPU"),
        pytest.param(a_demand(memory_bytes=GIB + 1), "insufficient memory", id="too much memory"),
        pytest.param(
            a_demand(generic=(("gpu", 1),)), "insufficient generic resource gpu", id="no unit left"
        ),
        pytest.param(
            a_demand(generic=(("tpu", 1),)), "insufficient generic resource tpu", id="unknown kind"
        ),
        pytest.param(a_demand(volume_drivers=("nfs",)), "", id="volume driver is there"),
        pytest.param(
            a_demand(volume_drivers=("ceph",)), "volume driver ceph missing", id="no such driver"
        ),
        pytest.param(a_demand(log_driver="json-file"), "", id="log driver is there"),
        pytest.param(
            a_demand(log_driver="gelf"), "log driver gelf missing", id="log driver is missing"
        ),
        pytest.param(
            a_demand("node.labels.zone!=a"),
            "label constraint node.labels.zone!=a not met",
            id="label constraint",
        ),
        pytest.param(
            a_demand("node.ip==10.1.0.0/16"), "constraint node.ip==10.1.0.0/16 not met", id="subnet"
        ),
        pytest.param(
            a_demand("node.color==red"),
            "constraint node.color==red (unknown key) not met",
            id="key",
        ),
        pytest.param(
            a_demand("node.role==manager"),
            "constraint node.role==manager (all nodes are workers) not met",
            id="role that no node has",
        ),
        pytest.param(a_demand(platforms=(Platform("linux", "amd64"),)), "", id="same platform"),
        pytest.param(a_demand(platforms=(Platform("", "amd64"),)), "", id="any system"),
        pytest.param(
            a_demand(platforms=(Platform("linux", "arm64"), Platform("windows", ""))),
            "unsupported platform (image is for linux/arm64 or windows/*)",
            id="other platforms",
        ),
        pytest.param(a_demand(host_ports=(("udp", 80),)), "", id="port of another protocol"),
        pytest.param(a_demand(host_ports=PORT_80), "host port 80/tcp in use", id="port in use"),
        pytest.param(a_demand(max_per_node=2), "", id="one of two replicas"),
        pytest.param(
            a_demand(max_per_node=1), "max replicas per node (1) reached", id="one of one replica"
        ),
        pytest.param(a_demand(service="db", max_per_node=1), "", id="another service's replica"),
    ],
)
def test_each_filter_says_the_same_three_times(demand, words):
    table = table_with_one_occupied()
    expected = [words] if words else []
    assert [reason.words for reason in reasons_at(table, 0, demand)] == expected
    assert [reason.words for reason, mask in filters(table, demand) if mask] == expected
    assert candidates(table, demand) == (0 if words else 1)


@pytest.mark.parametrize(
    ("demand", "counted", "fits"),
    [
        pytest.param(a_demand(nano_cpus=4 * CPU), True, True, id="its CPU"),
        pytest.param(a_demand(nano_cpus=5 * CPU), True, False, id="not more than there is"),
        pytest.param(a_demand(memory_bytes=8 * GIB), True, True, id="its memory"),
        pytest.param(a_demand(generic=(("gpu", 1),)), True, True, id="its GPU"),
        pytest.param(a_demand(host_ports=PORT_80), True, True, id="its port"),
        pytest.param(a_demand(max_per_node=1), True, True, id="its replica slot"),
        pytest.param(a_demand(max_per_node=1), False, False, id="no slot when it was uncounted"),
        pytest.param(a_demand(service="db", max_per_node=1), True, True, id="no other's slot"),
    ],
)
def test_credit_is_what_the_leaving_task_occupies(demand, counted, fits):
    table = table_with_one_occupied()
    leaving = a_demand(
        nano_cpus=3 * CPU, memory_bytes=7 * GIB, host_ports=PORT_80, generic=(("gpu", 1),)
    )
    assert (not list(reasons_at(table, 0, demand, Credit(leaving, counted)))) is fits


def test_credit_of_one_service_is_no_slot_of_another():
    table = table_with_one_occupied()
    table.occupy(N1, a_demand(service="db"))
    leaving = Credit(a_demand(service="db"))
    reasons = reasons_at(table, 0, a_demand(max_per_node=1), leaving)
    assert [reason.kind for reason in reasons] == [FilterKind.MAX_PER_NODE]


def test_nodes_that_tell_no_log_plugins_are_trusted():
    assert candidates(a_table(a_node()), a_demand(log_driver="gelf")) == 1


def test_nodes_that_tell_no_platform_are_not():
    assert (
        candidates(a_table(a_node(platform=Platform())), a_demand(platforms=(Platform("linux"),)))
        == 0
    )


def test_not_accepting_comes_first_with_its_words():
    table = table_with_one_occupied()
    table.put_node(a_node("n1", cpus=4), accepting=False, why_not="flapping until 12:30")
    reasons = list(reasons_at(table, 0, a_demand(nano_cpus=2 * CPU)))
    assert reasons[0] == Reason(FilterKind.NOT_ACCEPTING, "flapping until 12:30")
    assert [str(reason) for reason in reasons[1:]] == ["insufficient CPU"]


def test_matching_looks_at_attributes_alone():
    table = a_table(
        a_node("n1", labels={"zone": "a"}), a_node("n2"), a_node("n3", labels={"zone": "a"})
    )
    table.put_node(a_node("n3", labels={"zone": "a"}), accepting=False, why_not="down")
    demand = a_demand("node.labels.zone==a", nano_cpus=99 * CPU)
    assert table.node_ids(matching(table, demand)) == ["n1", "n3"]


@pytest.mark.parametrize(("count", "text"), [(1, "draining on 1"), (2, "cpu")])
def test_reasons_count_nodes_in_words(count, text):
    nodes = "1 node" if count == 1 else "2 nodes"
    assert Reason(FilterKind.CPU, text).on(count) == f"{text} on {nodes}"
    assert Reason(FilterKind.NOT_ACCEPTING, "draining").on(count) == f"{nodes} draining"


def test_masks_of_subnets_follow_addresses():
    table = a_table(a_node("n1", address="10.0.0.1"), a_node("n2", address="10.9.0.1"))
    inside = parse_constraint("node.ip==10.0.0.0/16")
    assert table.node_ids(rows_satisfying(table, inside)) == ["n1"]
    table.put_node(a_node("n2", address="10.0.7.7"), accepting=True)
    assert table.node_ids(rows_satisfying(table, inside)) == ["n1", "n2"]
    outside = parse_constraint("node.ip!=10.0.0.0/16")
    assert table.node_ids(rows_satisfying(table, outside)) == []
