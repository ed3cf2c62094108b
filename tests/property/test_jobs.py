"""Jobs, whatever happens to nodes, tasks and leaders: nothing is made where a task completed."""

from hypothesis import given
from hypothesis import strategies as st

from berth.model.task import TaskState
from scheduler.core.reconcile import Phase
from scheduler.core.service_state import SlotKey
from tests.builders import a_global_job, a_job, restart
from tests.unit.scheduler.core.job_worlds import completions, forced
from tests.unit.scheduler.core.world import World

S = TaskState
NODES = ("n1", "n2", "n3")
HAPPENINGS = st.one_of(
    st.tuples(st.sampled_from(("complete", "fail")), st.integers(0, 5)),
    st.tuples(st.sampled_from(("cut", "join")), st.integers(0, 2)),
    st.tuples(st.sampled_from(("reload", "wait", "again")), st.just(0)),
)


def happen(world: World, what: str, number: int) -> None:
    match what:
        case "complete" | "fail":
            running = [task for task in world.running() if not world.nodes[task.node_id].is_cut]
            if running:
                state = S.COMPLETE if what == "complete" else S.FAILED
                world.fail(running[number % len(running)], state)
        case "cut":
            world.cut(NODES[number])
        case "join":
            world.join(NODES[number])
        case "reload":
            world.reload()
        case "again":
            world.count += 1
            world.update("web", forced(world.service().record.spec, world.count))
        case _:
            world.pass_time(7)
    world.settle()


class Completions:
    """Which attempts there were in each slot of each run when it was first seen completed."""

    def __init__(self) -> None:
        self.newest: dict[tuple[int, SlotKey], int] = {}

    def check(self, world: World) -> None:
        service = world.service()
        for (run, slot), newest in self.newest.items():
            later = [
                task.attempt
                for task in service.slots.get(slot, ())
                if task.template_version == run and task.attempt > newest
            ]
            assert not later, f"attempts {later} of slot {slot}, which had completed"
        for slot, entries in service.history.items():
            attempts = [task.attempt for task in service.slots.get(slot, ())]
            for entry in entries:
                if entry.state is S.COMPLETE:
                    run = entry.template_version
                    self.newest.setdefault((run, slot), max([entry.attempt, *attempts]))


@given(st.booleans(), st.integers(1, 4), st.integers(1, 3), st.lists(HAPPENINGS, max_size=20))
def test_what_completed_is_never_run_again_and_every_run_ends(is_global, total, at_once, story):
    world = World()
    world.jobs_held = True
    policy = restart("on-failure", 1)
    world.create(a_global_job() if is_global else a_job(total, at_once, restart=policy))
    world.settle()
    seen = Completions()
    for what, number in story:
        happen(world, what, number)
        seen.check(world)
        live = {task.slot for task in world.tasks() if task.is_wanted and task.is_alive}
        assert is_global or len(live) <= at_once
    world.jobs_held = False
    for name in NODES:
        world.join(name)
    world.pass_time(120, step=2)
    seen.check(world)
    service = world.service()
    assert service.record.job is not None
    assert not service.record.job.is_under_way
    wanted = len(service.phases) if is_global else total
    assert len(completions(world)) == wanted == len(service.in_phase(Phase.DONE))
    world.reload()
    world.settle()
    assert world.service().record.job == service.record.job
