"""Nodes and demands at random, for tests/property/test_placement.py."""

from hypothesis import strategies as st

from berth.model.ids import NodeId, ServiceId
from berth.model.node import NodeDescription, NodeSpec
from berth.model.resources import NodeResources
from berth.model.service import PlacementStrategy, Platform
from scheduler.core.placement.constraints import parse_constraint
from scheduler.core.placement.demand import Demand

CPU = 1_000_000_000
GIB = 2**30

zones = st.sampled_from(["", "a", "A", "b", "c"])
node_labels = st.fixed_dictionaries({}, optional={"zone": zones, "rack": st.sampled_from("xyz")})
resources = st.builds(
    NodeResources,
    nano_cpus=st.integers(0, 8).map(lambda n: n * CPU // 2),
    memory_bytes=st.integers(0, 8).map(lambda n: n * GIB),
    generic_counts=st.fixed_dictionaries({}, optional={"ssd": st.integers(0, 3)}),
    generic_names=st.fixed_dictionaries(
        {}, optional={"gpu": st.sampled_from([("g0",), ("g1", "g0")])}
    ),
)
platforms = st.sampled_from(
    [
        Platform("linux", "x86_64"),
        Platform("linux", "aarch64"),
        Platform(),
        Platform("windows", "amd64"),
    ]
)
descriptions = st.builds(
    NodeDescription,
    hostname=st.sampled_from(["alpha", "beta", "Gamma"]),
    address=st.sampled_from(["10.0.0.1", "10.0.1.7", "192.168.3.4"]),
    platform=platforms,
    resources=resources,
    engine_labels=st.fixed_dictionaries({}, optional={"disk": st.sampled_from(["ssd", "hdd"])}),
    agent_labels=st.fixed_dictionaries({}, optional={"zone": zones}),
    volume_plugins=st.sampled_from([(), ("local", "nfs")]),
    log_plugins=st.sampled_from([(), ("json-file",), ("json-file", "fluentd")]),
)
specs = st.builds(NodeSpec, labels=node_labels, role=st.sampled_from(["worker", "manager"]))

constraint_texts = st.sampled_from(
    [
        "node.labels.zone==a",
        "node.labels.zone!=a",
        "node.labels.zone != B",
        "node.labels.ZONE==a",
        "engine.labels.disk==SSD",
        "node.hostname!=alpha",
        "node.hostname==GAMMA",
        "node.id==n3",
        "node.id!=n1",
        "node.role==worker",
        "node.ip==10.0.0.0/16",
        "node.ip!=10.0.0.1",
        "node.platform.os==linux",
        "node.platform.arch==amd64",
        "node.platform.arch!=aarch64",
        "node.colour!=red",
    ]
)
constraints = st.lists(constraint_texts, max_size=2, unique=True).map(
    lambda texts: tuple(parse_constraint(text) for text in texts)
)


def optional(strategy: st.SearchStrategy, empty: object) -> st.SearchStrategy:
    """Most demands ask for few things; without this nearly none would fit anywhere."""
    return st.one_of(st.just(empty), st.just(empty), strategy)


demands = st.builds(
    Demand,
    service_id=st.sampled_from([ServiceId("web"), ServiceId("db"), ServiceId("job")]),
    nano_cpus=st.sampled_from([0, CPU // 4, CPU // 2, CPU]),
    memory_bytes=st.sampled_from([0, GIB // 4, GIB]),
    generic=optional(st.sampled_from([(("gpu", 1),), (("gpu", 2), ("ssd", 1))]), ()),
    constraints=optional(constraints, ()),
    platforms=optional(
        st.sampled_from(
            [(Platform("linux", "amd64"),), (Platform("", "arm64"), Platform("windows", ""))]
        ),
        (),
    ),
    host_ports=optional(st.sampled_from([(("tcp", 80),), (("tcp", 80), ("udp", 53))]), ()),
    max_per_node=optional(st.integers(1, 2), 0),
    volume_drivers=optional(st.just(("nfs",)), ()),
    log_driver=optional(st.just("fluentd"), ""),
    spread=st.sampled_from(
        [
            (),
            (),
            ("node.labels.zone",),
            ("node.labels.zone", "node.labels.rack"),
            ("engine.labels.disk",),
        ]
    ),
    strategy=st.sampled_from([PlacementStrategy.SPREAD] * 2 + [PlacementStrategy.BINPACK]),
)
node_ids = st.sampled_from([NodeId(f"n{number}") for number in range(7)])
whys = st.sampled_from(["draining", "down"])

spreads = st.sampled_from(
    [("node.labels.zone",), ("node.labels.rack", "node.labels.zone"), ("engine.labels.disk",)]
)
# What ranks matters only among several nodes that suit, so these demands ask for little.
modest_demands = st.builds(
    Demand,
    service_id=st.sampled_from([ServiceId("web"), ServiceId("db")]),
    nano_cpus=st.sampled_from([0, CPU // 4]),
    memory_bytes=st.sampled_from([0, GIB // 4]),
    spread=st.one_of(spreads, st.just(())),
    max_per_node=st.sampled_from([0, 0, 3]),
    strategy=st.sampled_from(list(PlacementStrategy)),
)
