import pytest

from berth.errors import InvalidRequestError
from berth.model.ids import ServiceId
from berth.model.resources import Reservation
from berth.model.service import (
    ContainerSpec,
    EndpointSpec,
    LogDriver,
    Mount,
    MountType,
    Placement,
    PlacementStrategy,
    Platform,
    PortSpec,
    PublishMode,
    TaskSpec,
    VolumeOptions,
)
from scheduler.core.placement.constraints import parse_constraint
from scheduler.core.placement.demand import Demand, compile_demand

WEB = ServiceId("web")


def compiled(task: TaskSpec, *ports: PortSpec) -> Demand:
    return compile_demand(WEB, task, EndpointSpec(ports=ports))


def a_volume(driver: str) -> Mount:
    return Mount(type=MountType.VOLUME, target="/data", volume=VolumeOptions(driver=driver))


def test_an_empty_template_demands_nothing():
    assert compiled(TaskSpec()) == Demand(service_id=WEB)


def test_only_reservations_count():
    task = TaskSpec(reservation=Reservation(500, 1024, {"gpu": 2, "fpga": 1, "none": 0}))
    demand = compiled(task)
    assert (demand.nano_cpus, demand.memory_bytes) == (500, 1024)
    assert demand.generic == (("fpga", 1), ("gpu", 2))


@pytest.mark.parametrize(
    ("port", "host_ports"),
    [
        pytest.param(PortSpec(published_port=80), (("tcp", 80),), id="host mode"),
        pytest.param(PortSpec(published_port=0), (), id="the Engine chooses"),
        pytest.param(
            PortSpec(published_port=80, publish_mode=PublishMode.INGRESS),
            (("tcp", 80),),
            id="ingress mode, for want of a mesh",
        ),
        pytest.param(
            PortSpec(protocol="udp", published_port=53), (("udp", 53),), id="another protocol"
        ),
    ],
)
def test_host_ports_are_those_published_on_the_node(port, host_ports):
    assert compiled(TaskSpec(), port).host_ports == host_ports


def test_constraints_are_parsed_and_said_once():
    texts = ("node.labels.a==1", "node.labels.a == 1", "node.role!=manager")
    demand = compiled(TaskSpec(placement=Placement(constraints=texts)))
    assert demand.constraints == (parse_constraint(texts[0]), parse_constraint(texts[2]))


def test_a_bad_constraint_is_refused():
    with pytest.raises(InvalidRequestError):
        compiled(TaskSpec(placement=Placement(constraints=("nonsense",))))


def test_platforms_are_in_the_words_of_go_and_without_variants():
    named = (Platform("Linux", "aarch64", "v8"), Platform("linux", "arm64"), Platform("", "arm"))
    demand = compiled(TaskSpec(placement=Placement(platforms=named)))
    assert demand.platforms == (Platform("linux", "arm64"), Platform("", "arm"))


def test_built_in_drivers_are_no_demand():
    mounts = (a_volume(""), a_volume("local"), a_volume("nfs:latest"), a_volume("nfs"), Mount())
    container = ContainerSpec(mounts=mounts)
    assert compiled(TaskSpec(container=container)).volume_drivers == ("nfs",)


@pytest.mark.parametrize(
    ("driver", "demanded"),
    [
        (None, ""),
        (LogDriver(""), ""),
        (LogDriver("none"), ""),
        (LogDriver("fluentd:latest"), "fluentd"),
    ],
)
def test_log_drivers(driver, demanded):
    assert compiled(TaskSpec(log_driver=driver)).log_driver == demanded


def test_spread_preferences_that_name_no_label_are_left_out():
    preferences = ("node.labels.zone", "node.hostname", "ENGINE.labels.rack")
    demand = compiled(TaskSpec(placement=Placement(spread_preferences=preferences)))
    assert demand.spread == ("node.labels.zone", "engine.labels.rack")


def test_the_strategy_is_spread_unless_said_otherwise():
    assert compiled(TaskSpec()).strategy is PlacementStrategy.SPREAD
    packed = TaskSpec(placement=Placement(strategy=PlacementStrategy.BINPACK))
    assert compiled(packed).strategy is PlacementStrategy.BINPACK


def test_a_demand_below_zero_is_a_mistake():
    with pytest.raises(AssertionError):
        Demand(service_id=WEB, nano_cpus=-1)
    with pytest.raises(AssertionError):
        Demand(service_id=WEB, generic=(("gpu", 0),))
