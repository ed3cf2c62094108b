"""What is encoded by hand is what protobuf would write, to whoever reads it."""

import pytest
from hypothesis import given

from berth.errors import InternalError
from berth.model.events import ObjectEvent
from berth.model.network import Network
from berth.model.service import (
    ContainerSpec,
    HealthCheck,
    ModeKind,
    RestartPolicy,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
    UpdatePolicy,
)
from berth.model.task import TaskState, TaskStatus
from berth.wire.convert import from_proto, message_class, to_proto
from berth.wire.encoded import encoded
from tests.unit.berth.wire.test_convert import strategy_for


def check(value: object) -> None:
    """What is read is equal, absence and zeros told apart, and nothing more was written."""
    kind = type(value)
    assert from_proto(kind, message_class(kind).FromString(encoded(value))) == value
    assert len(encoded(value)) == to_proto(value).ByteSize()


@given(strategy_for(ServiceSpec))
def test_any_spec_is_read_as_what_it_was(spec: ServiceSpec) -> None:
    check(spec)


@given(strategy_for(Network))
def test_any_network_is(network: Network) -> None:
    check(network)


@given(strategy_for(ObjectEvent))
def test_any_event_is(event: ObjectEvent) -> None:
    check(event)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(ServiceSpec(), id="nothing is said"),
        pytest.param(ServiceSpec(mode=ServiceMode(ModeKind.GLOBAL)), id="a mode"),
        pytest.param(ServiceSpec(update=UpdatePolicy()), id="a policy that says nothing"),
        pytest.param(
            ServiceSpec(mode=ServiceMode(replicas=0), update=UpdatePolicy(parallelism=0)),
            id="zeros that were said",
        ),
        pytest.param(
            ServiceSpec(
                task=TaskSpec(
                    container=ContainerSpec(
                        init=False,
                        stop_grace_s=0.0,
                        oom_score_adj=-500,
                        labels={"": "x" * 20_000},
                        health_check=HealthCheck(retries=0),
                    ),
                    restart=RestartPolicy(window_s=0.0),
                )
            ),
            id="below zero, beyond a byte, empty keys",
        ),
    ],
)
def test_what_was_said_is_told_from_what_was_not(spec: ServiceSpec) -> None:
    check(spec)
    assert message_class(ServiceSpec).FromString(encoded(spec)) == to_proto(spec)


def test_zero_is_written_one_way_whatever_was_written_before() -> None:
    policies = [UpdatePolicy(monitor_s=number) for number in (0.0, -0.0, 0.0)]
    assert len({encoded(policy) for policy in policies}) == 1


def test_a_type_that_it_does_not_know_is_refused_rather_than_written_wrong() -> None:
    with pytest.raises(InternalError, match="not encoded here"):
        encoded(TaskStatus(task_id="t", state=TaskState.RUNNING))
