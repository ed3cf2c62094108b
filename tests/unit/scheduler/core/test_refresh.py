"""The store learns in time what agents said, and not by one write a report."""

from berth.model.ids import NodeId
from berth.model.task import TaskState
from scheduler.core import refresh
from scheduler.store.records import encode_changes
from tests.builders import a_spec
from tests.unit.scheduler.core.world import World


def test_a_new_leader_reads_that_tasks_run() -> None:
    world = World(nodes=2)
    world.create(a_spec(replicas=4))
    world.settle()
    world.pass_time(refresh.REFRESH_AFTER_S + 2 * refresh.REFRESH_EVERY_S)
    world.cut("n1")
    world.cut("n2")
    world.reload()
    assert [task.observed for task in world.tasks()] == [TaskState.RUNNING] * 4
    assert world.service().running == 4


def test_until_then_a_report_writes_nothing() -> None:
    world = World(nodes=2)
    world.create(a_spec(replicas=4))
    world.settle()
    before = dict(world.entries)
    world.pass_time(refresh.REFRESH_AFTER_S - 1.0)
    assert world.entries == before
    world.pass_time(2.0)
    changed = [key for key, value in world.entries.items() if before[key] != value]
    assert sorted(key.split("/")[0] for key in changed) == ["placements", "placements"]
    after = dict(world.entries)
    world.pass_time(60.0)
    assert world.entries == after, "once is enough"


def test_a_document_that_is_written_anyway_lags_no_more() -> None:
    world = World(nodes=1)
    world.create(a_spec(replicas=1))
    world.settle()
    assert list(world.state.lagging) == ["n1"]
    world.state.unsaved.placements[NodeId("n1")] = None
    world.state.take_changes()
    assert not world.state.lagging


def test_many_documents_are_written_a_few_at_a_time() -> None:
    world = World(nodes=refresh.REFRESHED_AT_ONCE * 2 + 1)
    world.create(a_spec(replicas=refresh.REFRESHED_AT_ONCE * 2 + 1))
    world.settle()
    state = world.state
    world.instant += refresh.REFRESH_AFTER_S
    counts = []
    while state.lagging:
        refresh.refresh_documents(state, world.now.instant)
        unsaved, _, _ = state.take_changes()
        counts.append(len(encode_changes(state, unsaved)))
    assert counts == [refresh.REFRESHED_AT_ONCE, refresh.REFRESHED_AT_ONCE, 1]
