"""What a dry run says of placement is what the change then does."""

from dataclasses import replace

import pytest

from berth.model.ids import NodeId
from berth.model.task import TaskState
from scheduler.control.dry_run import plan_update
from scheduler.core import commands
from scheduler.core.service_record import update_spec
from tests.builders import a_spec
from tests.unit.scheduler.core.world import World


def labelled(world: World, name: str) -> None:
    """Give a node the label that the tests' constraint asks for."""
    node = world.state.nodes[NodeId(name)]
    spec = replace(node.spec, labels={"zone": "a"})
    commands.update_node(world.state, node, spec, 0, world.now)
    world.settle()


@pytest.mark.parametrize(
    ("fitting", "told"),
    [
        pytest.param(
            (),
            ["stop 3 tasks (slots 1, 2, 3) at once: the new placement rules their nodes out"],
            id="no node is left",
        ),
        pytest.param(
            ("n1",),
            [
                "stop 2 tasks (slots 2, 3) at once: the new placement rules their nodes out",
                "place 2 tasks: 2 on n1",
            ],
            id="one is left",
        ),
        pytest.param(("n1", "n2", "n3"), ["replace no task"], id="all fit"),
    ],
)
def test_a_constraint_that_rules_nodes_out(fitting: tuple[str, ...], told: list[str]) -> None:
    world = World(nodes=3)
    service = world.create(a_spec(replicas=3))
    world.settle()
    for name in fitting:
        labelled(world, name)
    wanted = a_spec(replicas=3, constraints=("node.labels.zone==a",))
    after = update_spec(service.record, wanted, world.now.timestamp, b"")
    lines = plan_update(world.state, service.record.id, after)
    assert [line for line in lines if line in told] == told
    assert ("replace no task" in lines) == ("replace no task" in told)
    assert any("would wait" in line for line in lines) == (not fitting)

    # And so it comes.
    before = {task.id for task in world.running()}
    world.update("web", wanted)
    world.settle()
    stopped = len(before - {task.id for task in world.running()})
    assert stopped == (0 if len(fitting) == 3 else 3 - len(fitting))
    waiting = [task for task in world.tasks() if task.observed < TaskState.ASSIGNED]
    assert bool(waiting) == (not fitting)
