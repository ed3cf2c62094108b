"""Specs that differ from a plain one in one thing."""

from dataclasses import replace
from typing import Any

from berth.model.service import (
    ContainerSpec,
    EndpointSpec,
    HealthCheck,
    Mount,
    PortSpec,
    ServiceSpec,
    TaskSpec,
)

PLAIN = ServiceSpec(name="web", task=TaskSpec(container=ContainerSpec(image="busybox:1.36")))


def spec(**changes: Any) -> ServiceSpec:
    return replace(PLAIN, **changes)


def task(**changes: Any) -> ServiceSpec:
    return spec(task=replace(PLAIN.task, **changes))


def container(**changes: Any) -> ServiceSpec:
    return task(container=replace(PLAIN.task.container, **changes))


def mount(**fields: Any) -> ServiceSpec:
    return container(mounts=(Mount(**{"source": "/a", "target": "/b", **fields}),))


def health(**fields: Any) -> ServiceSpec:
    return container(health_check=HealthCheck(**fields))


def ports(*found: PortSpec, mode: str = "") -> ServiceSpec:
    return spec(endpoint=EndpointSpec(mode=mode, ports=found))
