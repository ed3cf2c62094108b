"""What tests of jobs in a `World` look at and do."""

from dataclasses import replace

from berth.model.job import JobRun
from berth.model.node import Availability, NodeSpec
from berth.model.service import ServiceSpec
from berth.model.task import TaskState
from scheduler.core import commands
from tests.unit.scheduler.core.world import World

S = TaskState


def forced(spec: ServiceSpec, count: int = 1) -> ServiceSpec:
    return replace(spec, task=replace(spec.task, force_update=count))


def completions(world: World, name: str = "web") -> dict[object, int]:
    """How many completions of the newest run each slot's history has."""
    service = world.service(name)
    version = service.record.live_version
    return {
        slot: done
        for slot, entries in service.history.items()
        if (done := sum(e.state is S.COMPLETE and e.template_version == version for e in entries))
    }


def newest_run(world: World, name: str = "web") -> JobRun:
    run = world.service(name).record.job.newest
    assert run is not None
    return run


def drain(world: World, node: str) -> None:
    known = world.state.nodes[node]
    spec = NodeSpec(known.spec.labels, Availability.DRAIN)
    commands.update_node(world.state, known, spec, 0, world.now)
