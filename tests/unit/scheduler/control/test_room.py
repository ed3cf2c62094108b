"""A service's document stays smaller than what the store takes, whatever is asked of it."""

from dataclasses import replace

import pytest

from berth.errors import ConflictError
from berth.model.service import UpdatePolicy
from scheduler.control.room import RECORD_BYTES_MAX
from scheduler.store.commit_queue import REQUEST_BYTES_MAX
from scheduler.store.records import encode_service
from tests.builders import a_spec
from tests.unit.scheduler.control.harness import create, update
from tests.unit.scheduler.control.test_flows import in_cluster

KIB = 1024


def a_large_spec(number, *, kib=100, replicas=1):
    """Return a spec whose template differs from that of every other number."""
    spec = a_spec(replicas=replicas, update=UpdatePolicy(parallelism=1, monitor_s=3600.0))
    environment = (f"A={number}", "B=" + "x" * kib * KIB)
    container = replace(spec.task.container, env=environment)
    return replace(spec, task=replace(spec.task, container=container))


def record_of(led):
    (service,) = led.leader.state.services.values()
    return service.record


def test_updates_of_a_service_that_never_starts_leave_nothing_behind():
    """A deployment that is repeated for months while its rollout cannot end."""

    async def scenario(flows, led, registry):
        await flows.create_service(create(a_large_spec(0)))
        for number in range(1, 40):
            await flows.update_service(update("web", a_large_spec(number)))
        assert not led.running.done(), "the leader leads on"
        assert len(record_of(led).templates) <= 2
        assert len(encode_service(record_of(led))) <= RECORD_BYTES_MAX

    in_cluster(scenario)


def test_what_the_store_could_not_take_is_refused_and_changes_nothing():
    """Each update reaches one more task before the next one overtakes it."""

    async def scenario(flows, led, registry):
        led.join("n1", cpus=64)
        await flows.create_service(create(a_large_spec(0, kib=250, replicas=9)))
        with pytest.raises(ConflictError) as refused:  # noqa: PT012 - when is for the loop to say
            for number in range(1, 12):
                await led.leader.settled()
                led.run_all()
                await led.leader.settled()
                before = record_of(led)
                wanted = a_large_spec(number, kib=250, replicas=9)
                await flows.update_service(update("web", wanted))
        assert "older versions that still have tasks" in refused.value.message
        assert record_of(led) is before
        assert not led.running.done(), "the leader leads on"
        assert len(encode_service(before)) < REQUEST_BYTES_MAX

    in_cluster(scenario)
