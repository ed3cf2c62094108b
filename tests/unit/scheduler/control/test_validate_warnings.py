"""What is accepted, and yet may surprise, is warned of."""

import pytest

from berth.model.resources import Limits, Reservation
from berth.model.service import (
    EndpointSpec,
    NetworkAttachment,
    PortSpec,
    PublishMode,
    ServiceSpec,
    UpdateOrder,
    UpdatePolicy,
)
from scheduler.control.validate import validate_spec
from tests.unit.scheduler.control.specs import ports, spec, task


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (
            task(limits=Limits(nano_cpus=10**9), reservation=Reservation(nano_cpus=2 * 10**9)),
            "more CPU is reserved than the limit",
        ),
        (
            task(limits=Limits(memory_bytes=2**23), reservation=Reservation(memory_bytes=2**24)),
            "more memory is reserved than the limit",
        ),
        (
            ports(PortSpec("", "tcp", 80, 8080, PublishMode.INGRESS)),
            "port 8080/tcp is published in host mode",
        ),
        (
            spec(
                endpoint=EndpointSpec(ports=(PortSpec("", "tcp", 80, 8080),)),
                update=UpdatePolicy(order=UpdateOrder.START_FIRST),
            ),
            "start-first with the published port 8080",
        ),
        (task(networks=(NetworkAttachment("front"),)), 'network "front" is a bridge on each node'),
    ],
    ids=["cpu", "memory", "ingress", "start-first", "overlay"],
)
def test_what_is_accepted_but_surprises_is_warned_of(odd: ServiceSpec, words: str) -> None:
    faults, warnings = validate_spec(odd, previous=None)
    assert faults == []
    (warning,) = warnings
    assert words in warning
