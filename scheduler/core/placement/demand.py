"""What one task of a (service, template) needs of a node, compiled once per template.

Duty: read from a spec all that placement looks at, in the form in which it is compared.
Not here: which nodes meet it (filters), which of them is best (ranking).
"""

import functools
from dataclasses import replace

from berth.model.defaults import effective_strategy
from berth.model.hot_value import hot_value
from berth.model.ids import ServiceId
from berth.model.image import normalised_platform
from berth.model.resources import Reservation
from berth.model.service import (
    ContainerSpec,
    EndpointSpec,
    LogDriver,
    MountType,
    PlacementStrategy,
    Platform,
    TaskSpec,
)
from scheduler.core.placement.constraints import Constraint, label_subject, parse_constraint

HostPort = tuple[str, int]
"""Protocol and port, as published on the node itself."""

_BUILT_IN_LOG_DRIVERS = ("", "none")
_BUILT_IN_VOLUME_DRIVERS = ("", "local")


@hot_value
class Demand:
    """What one task needs. Tasks of equal demand can be placed together.

    An amount of 0 is no demand: it fits even on a node that is over-committed. `generic` has no
    zero counts and each kind once; no constraint, platform, port or driver is there twice.
    `spread` has only descriptors that name a label. A platform's variant is not compared, as in
    Swarm.
    """

    service_id: ServiceId
    nano_cpus: int = 0
    memory_bytes: int = 0
    generic: tuple[tuple[str, int], ...] = ()
    constraints: tuple[Constraint, ...] = ()
    platforms: tuple[Platform, ...] = ()
    host_ports: tuple[HostPort, ...] = ()
    max_per_node: int = 0
    volume_drivers: tuple[str, ...] = ()
    log_driver: str = ""
    spread: tuple[str, ...] = ()
    strategy: PlacementStrategy = PlacementStrategy.SPREAD

    def __post_init__(self) -> None:
        assert self.nano_cpus >= 0 <= self.memory_bytes
        assert self.max_per_node >= 0
        assert not self.generic or min(count for _, count in self.generic) > 0


def compile_demand(service_id: ServiceId, task: TaskSpec, endpoint: EndpointSpec) -> Demand:
    """Compile what one task of this template needs.

    Raises:
        InvalidRequestError: a constraint is not one; validation refuses such a spec beforehand.
    """
    placement, reservation, container = task.placement, task.reservation, task.container
    # Most templates say little: what is absent is not worth a call for each new service.
    return Demand(
        service_id=service_id,
        nano_cpus=reservation.nano_cpus,
        memory_bytes=reservation.memory_bytes,
        generic=_generic(reservation) if reservation.generic else (),
        constraints=_constraints(placement.constraints) if placement.constraints else (),
        platforms=_normal_platforms(placement.platforms) if placement.platforms else (),
        host_ports=_host_ports(endpoint) if endpoint.ports else (),
        max_per_node=placement.max_replicas_per_node,
        volume_drivers=_volume_drivers(container) if container.mounts else (),
        log_driver=_log_driver(task.log_driver) if task.log_driver is not None else "",
        spread=_spread(placement.spread_preferences) if placement.spread_preferences else (),
        strategy=effective_strategy(task),
    )


def plugin_name(name: str) -> str:
    """Return a plugin's name without the tag that Docker adds by itself."""
    return name.removesuffix(":latest")


def normal_platform(platform: Platform) -> Platform:
    """Return `platform` in Go's words and without a variant, as all comparisons expect it."""
    return replace(normalised_platform(platform), variant="")


def _constraints(texts: tuple[str, ...]) -> tuple[Constraint, ...]:
    parsed = [parse_constraint(text) for text in texts]
    if len(parsed) == 1:
        return tuple(parsed)
    # Said twice is said once; else neither of the two alone would keep a node from fitting.
    return tuple({it.text: it for it in parsed}.values())


@functools.lru_cache(maxsize=256)
def _normal_platforms(platforms: tuple[Platform, ...]) -> tuple[Platform, ...]:
    return tuple(dict.fromkeys(normal_platform(platform) for platform in platforms))


def _spread(descriptors: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(filter(None, map(label_subject, descriptors)))


def _generic(reservation: Reservation) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((kind, count) for kind, count in reservation.generic.items() if count > 0))


def _host_ports(endpoint: EndpointSpec) -> tuple[HostPort, ...]:
    """Return every published port: there is no routing mesh, so ingress ones are the node's too."""
    ports = ((port.protocol, port.published_port) for port in endpoint.ports if port.published_port)
    return tuple(sorted(set(ports)))


def _volume_drivers(container: ContainerSpec) -> tuple[str, ...]:
    drivers = (
        mount.volume.driver
        for mount in container.mounts
        if mount.type is MountType.VOLUME and mount.volume is not None
    )
    named = (plugin_name(driver) for driver in drivers if driver not in _BUILT_IN_VOLUME_DRIVERS)
    return tuple(sorted(set(named)))


def _log_driver(driver: LogDriver) -> str:
    return "" if driver.name in _BUILT_IN_LOG_DRIVERS else plugin_name(driver.name)
