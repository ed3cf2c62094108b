"""Finished tasks: what is kept of a task that ended, and how much of it.

Swarm's rule: per slot the newest `limit` are kept, more where a restart policy must count further.
"""

from collections.abc import Sequence

from berth.model.backoff import ends_in_row
from berth.model.defaults import effective_restart
from berth.model.service import RestartPolicy
from berth.model.task import END_STATES_BY_ITSELF, FinishedTask, Task, TaskState


def finished_from(
    task: Task, history: Sequence[FinishedTask], policy: RestartPolicy
) -> FinishedTask:
    """Return the history entry of an ended task.

    Args:
        task: it has ended.
        history: of its slot, oldest first.
        policy: of its template; its delay says how long a good run is.
    """
    assert task.observed.is_terminal
    status = task.status
    measured = 0.0
    if task.running_since is not None:
        measured = max(task.observed_since - task.running_since, 0.0)
    ran_s = max(measured, status.ran_s if status else 0.0)
    by_itself = task.is_wanted and task.observed in END_STATES_BY_ITSELF
    before = 0
    earlier = attempts(history)
    if earlier and earlier[-1].template_version == task.template_version:
        before = earlier[-1].ends_in_row
    row = ends_in_row(before, ran_s, effective_restart(policy).delay_s) if by_itself else 0
    return FinishedTask(
        id=task.id,
        slot=task.slot,
        home=task.home,
        attempt=task.attempt,
        template_version=task.template_version,
        node_id=task.node_id,
        state=task.observed,
        desired=task.desired,
        created_at=task.created_at,
        finished_at=task.observed_at,
        ran_s=ran_s,
        exit_code=status.exit_code if status else None,
        message=status.message if status else "",
        error=(status.error if status else "") or task.reason,
        container_id=status.container_id if status else "",
        counts_as_restart=by_itself,
        ends_in_row=row,
    )


def attempts(history: Sequence[FinishedTask]) -> list[FinishedTask]:
    """Return the entries that were attempts: a replacement called off before it ran was none."""
    return [entry for entry in history if entry.counts_as_restart or entry.ran_s > 0.0]


def entries_to_keep(limit: int, policy: RestartPolicy) -> int:
    """Return how many finished tasks of a slot are kept, at least one."""
    return max(limit, effective_restart(policy).max_attempts + 1, 1)


def trim(history: Sequence[FinishedTask], keep: int, run_version: int = 0) -> list[FinishedTask]:
    """Return the newest `keep` entries, and as many of those that count for the newest template.

    Ends under another template in between must not make the restart policy forget earlier ones. Of
    a job's run `run_version` the completion is kept, whatever came after it: to forget it would be
    to run its slot again.
    """
    newest = {entry.attempt for entry in history[-keep:]}
    version = history[-1].template_version
    counting = [
        entry.attempt
        for entry in history
        if entry.counts_as_restart and entry.template_version == version
    ]
    completions = [
        entry.attempt
        for entry in history
        if entry.template_version == run_version and entry.state is TaskState.COMPLETE
    ]
    kept = newest.union(counting[-keep:], completions[-1:])
    return [entry for entry in history if entry.attempt in kept]
