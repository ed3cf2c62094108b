"""What is written and told of tasks that got nodes together, made right after the turn they did.

Duty: have both forms of a group made in one pass each. Not here: the forms themselves
(scheduler.store.placed_tasks, scheduler.dispatch.told_tasks), which are the same whoever makes them
and whenever; when they leave (scheduler.leader).

Why not when they leave: a commit goes node by node, so that each of its tasks comes from another
place of the memory, and one by one they cost two to three times as much.
"""

from scheduler.core.state import LeaderState
from scheduler.dispatch.told_tasks import tell_cohort
from scheduler.store.placed_tasks import encode_cohort


def make_forms(state: LeaderState) -> None:
    """Make the forms of all cohorts whose tasks got nodes since."""
    for tasks in state.take_cohorts():
        cohort, service = tasks[0].cohort, state.services.get(tasks[0].service_id)
        if cohort is not None and service is not None:
            encode_cohort(cohort, tasks)
            tell_cohort(cohort, tasks, service.record)
