"""Why things are as they are, in words and numbers: what `berth explain` shows. Pure.

Duty: for a service, its waiting and troubled tasks, the filters with their exact counts and what
dropping each would change, and what its rollout does and waits for; for a task, its story, its
restart schedule, and whatever holds it back.
Not here: the short reason in lists (views), counting nodes (scheduler.core.placement.explain).

Reasons are found from the same memory, by the same functions, that decide; nothing here guesses.
"""

from collections.abc import Iterable
from typing import Final

from berth.model.defaults import STOP_MARGIN_S, effective_stop_grace_s, job_restart
from berth.model.duration import duration_text
from berth.model.fence import fence_after_s, replace_after_s
from berth.model.ids import NodeId
from berth.model.instant import Instant, after, to_text
from berth.model.node import NodeState
from berth.model.task import FinishedTask, Task, TaskState
from berth.v1 import control_pb2 as pb
from scheduler.census import Convergence, convergence, wanted_tasks
from scheduler.control.job_words import job_lines, job_summary
from scheduler.control.lookup import TaskRef, slot_key
from scheduler.control.rollout_words import rollout_lines
from scheduler.control.room_words import room_words
from scheduler.control.views import TaskViewer, node_name, running_on_lost_nodes, task_name
from scheduler.core.now import Now
from scheduler.core.placement.demand import Demand
from scheduler.core.placement.explain import Explanation, explain
from scheduler.core.placement.filters import FilterKind, Reason
from scheduler.core.reconcile import Phase
from scheduler.core.restart import GiveUp, plan_restart
from scheduler.core.service_state import ASSIGNED_TO, ServiceState, SlotKey, slot_of
from scheduler.core.state import LeaderState

TASKS_SHOWN_MAX: Final = 50


def explain_subject(
    state: LeaderState, subject: ServiceState | TaskRef, now: Now, *, unstored: str = ""
) -> pb.ExplainResponse:
    """Explain a service or a task.

    Args:
        state: the leader's memory.
        subject: what to explain.
        now: when.
        unstored: why the store does not take what is new of it; "" when it does, or has it.
    """
    service = subject.service if isinstance(subject, TaskRef) else subject
    record = service.record
    version = record.live_version
    if isinstance(subject, TaskRef) and subject.task.template_version in record.templates:
        version = subject.task.template_version
    found = explain(state.table, service.demand(version))
    answer = pb.ExplainResponse(
        service_id=record.id,
        service_name=record.spec.name,
        nodes_total=found.nodes,
        nodes_fitting=found.candidates,
        rollout=[*rollout_lines(state, service, now), *job_lines(record, now.timestamp)],
    )
    _add_filters(answer, state, service.demand(version), found)
    viewer = TaskViewer(state, now)
    if isinstance(subject, TaskRef):
        _add_task(answer, state, subject, viewer, now, unstored)
        answer.summary = answer.tasks[0].summary
        return answer
    troubled = list(_troubled(service))
    for ref in troubled[:TASKS_SHOWN_MAX]:
        _add_task(answer, state, ref, viewer, now, unstored)
    running = service.running - running_on_lost_nodes(state)[record.id]
    answer.summary = _service_summary(service, running, found, len(troubled))
    return answer


def _add_filters(
    answer: pb.ExplainResponse, state: LeaderState, demand: Demand, found: Explanation
) -> None:
    for finding in found.findings:
        words = [str(finding)]
        if finding.admits:
            words.append(finding.counterfactual())
        if room := room_words(state, demand, finding.reason.kind):
            words.append(room)
        answer.filters.add(
            name=_filter_name(finding.reason),
            words="; ".join(words),
            forbids_alone=finding.forbids,
            admits_if_dropped=finding.admits,
        )


def _filter_name(reason: Reason) -> str:
    if reason.kind in _NAMED_BY_KIND:
        return reason.kind.value
    return reason.words.removesuffix(" not met")


_NAMED_BY_KIND: Final = frozenset(
    {
        FilterKind.CPU,
        FilterKind.MEMORY,
        FilterKind.PLATFORM,
        FilterKind.MAX_PER_NODE,
        FilterKind.TASKS,
    }
)


def _add_task(
    answer: pb.ExplainResponse,
    state: LeaderState,
    ref: TaskRef,
    viewer: TaskViewer,
    now: Now,
    unstored: str,
) -> None:
    task = ref.task
    entry = answer.tasks.add()
    if isinstance(task, Task):
        entry.task.CopyFrom(viewer.live(ref.service, task))
        entry.summary = live_summary(state, ref.service, task, viewer, now, unstored)
    else:
        entry.task.CopyFrom(viewer.finished(ref.service, task))
        entry.summary = finished_summary(state, ref.service, task, now)
    entry.story.append(f"{to_text(task.created_at)} created")
    entry.story.extend(story_of(state, ref.service, ref.slot, task.attempt))


def story_of(state: LeaderState, service: ServiceState, slot: SlotKey, attempt: int) -> list[str]:
    """Return what this leader saw happen to one attempt at a slot, oldest first.

    What happened under an earlier leader is not in it.
    """
    return [
        f"{to_text(at)} {_with_node_name(state, words.removesuffix(': '))}"
        for at, where, number, words in service.story
        if where == slot and number == attempt
    ]


def _with_node_name(state: LeaderState, words: str) -> str:
    """Name the node that a task was assigned to; it is noted by its ID, a burst has no time."""
    node = state.nodes.get(NodeId(words.removeprefix(ASSIGNED_TO)))
    return words if node is None else f"{ASSIGNED_TO}{node_name(node)}"


def _troubled(service: ServiceState) -> Iterable[TaskRef]:
    """Yield what a user asks about: waiting tasks first, then those that do not run as they should.

    Of a slot that stays empty the last finished task speaks.
    """
    for task in sorted(service.waiting.values(), key=lambda task: _order(slot_of(task))):
        yield TaskRef(service, task)
    slots = (
        service.in_phase(Phase.YOUNG)
        | service.in_phase(Phase.REPLACING)
        | service.in_phase(Phase.LEAVING)
        | service.in_phase(Phase.ENDED)
    )
    for slot in sorted(slots, key=_order):
        live = service.slots.get(slot, ())
        for task in live:
            if task.node_id is not None and task.observed != TaskState.RUNNING:
                yield TaskRef(service, task)
        if not live and (finished := service.history.get(slot)):
            yield TaskRef(service, finished[-1])


def _order(slot: SlotKey) -> tuple[int, str]:
    return (slot, "") if isinstance(slot, int) else (0, slot)


def _service_summary(service: ServiceState, running: int, found: Explanation, troubled: int) -> str:
    if service.record.job is not None and not service.record.is_removing:
        return job_summary(service, running, found)
    standing = convergence(service)
    wanted = wanted_tasks(service)
    counts = f"{running} of {wanted} tasks run"
    match standing:
        case Convergence.CONVERGED:
            return f"{counts}: all is as wanted"
        case Convergence.REMOVING:
            return f"it is being removed; {len(service.slots)} slots still have tasks"
        case Convergence.PAUSED:
            return f"{counts}; its rollout is paused and waits for an update or a rollback"
        case Convergence.WAITING:
            return f"{counts}; {len(service.waiting)} wait for a node: {found.short()}"
        case Convergence.UPDATING:
            return f"{counts}; a rollout is under way"
        case Convergence.CONVERGING:
            ended = len(service.in_phase(Phase.ENDED))
            on_their_way = max(troubled - ended, 0)
            words = [f"{on_their_way} on their way"] if on_their_way else []
            words += [f"{ended} ended and will not be restarted"] if ended else []
            return "; ".join([counts, *words])


def live_summary(
    state: LeaderState,
    service: ServiceState,
    task: Task,
    viewer: TaskViewer,
    now: Now,
    unstored: str = "",
) -> str:
    """Say in one or two sentences how a live task stands and what it waits for."""
    name = task_name(service, task)
    if task.node_id is None:
        message, error = viewer.why_waiting(service, task)
        held = _held_back(state, service, task, now)
        words = f"{name} waits: {error}" if error else f"{name} {message}"
        return f"{words}; {held}" if held else words
    node = state.nodes[task.node_id]
    age = duration_text(_whole(now.instant - task.observed_since))
    words = f"{name} is {task.observed.name.lower()} on {node_name(node)} for {age}"
    if node.state is NodeState.DOWN:
        return f"{words}, but its node is lost; {_after_loss(state, service, task, now)}"
    if node.state is not NodeState.READY:
        words += f" (its node is {node.state.value}: {node.message})"
    if not task.is_wanted:
        stop_s = _stop_left_s(service, task, now)
        reason = task.reason or "planned"
        return f"{words}; it was told to stop ({reason}) and is waited for another {stop_s:.0f} s"
    if task.status is not None and task.status.error:
        words += f": {task.status.error}"
    if unstored and task.observed is TaskState.ASSIGNED:
        words += f"; it waits for the store, which takes no writes ({unstored}): a node is told"
        words += " only of what is stored"
    if node.must_be_left:
        why = "its machine is going down" if node.is_departing else "its node is draining"
        words += f"; {why}, so it will be replaced"
    elif task.id in service.misplaced:
        words += "; its node no longer satisfies the constraints, so it will be replaced"
    held = _held_back(state, service, task, now)
    return f"{words}; {held}" if held else words


def _held_back(state: LeaderState, service: ServiceState, task: Task, now: Now) -> str:
    """Say why a task that is wanted READY may not run yet; "" when nothing holds it back."""
    if task.desired != TaskState.READY:
        return ""
    slot = slot_of(task)
    waits = []
    for other in service.slots.get(slot, ()):
        if other is task or not other.is_alive or other.node_id is None:
            continue
        if state.nodes[other.node_id].state is NodeState.DOWN:
            continue
        if other.is_wanted:
            waits.append(f"attempt {other.attempt} goes on running until this one is ready")
        else:
            stop_s = _stop_left_s(service, other, now)
            waits.append(f"attempt {other.attempt} must stop first, at most {stop_s:.0f} s more")
    wait_s = _restart_wait_s(service, slot, task.template_version, now)
    if wait_s > 0:
        waits.append(f"its restart delay lasts another {wait_s:.1f} s")
    return f"it may not start yet: {' and '.join(waits)}" if waits else ""


def _restart_wait_s(service: ServiceState, slot: SlotKey, version: int, now: Now) -> float:
    template = service.record.templates.get(version)
    if template is None:
        return 0.0
    history = service.history.get(slot, ())
    restart = plan_restart(history, template.task.restart, version, now.timestamp)
    return 0.0 if isinstance(restart, GiveUp) else restart.wait_s


def _stop_left_s(service: ServiceState, task: Task, now: Now) -> float:
    """Return how long the leader still waits for a task that it told to stop."""
    container = service.record.templates[task.template_version].task.container
    since = now.instant if task.stop_since is None else task.stop_since
    deadline = after(since, effective_stop_grace_s(container) + STOP_MARGIN_S)
    return max(deadline - now.instant, 0.0)


def _after_loss(state: LeaderState, service: ServiceState, task: Task, now: Now) -> str:
    if service.record.is_global:
        return "a global service's task stays there until the node returns or is removed"
    if not task.is_wanted:
        return "another attempt takes its slot"
    fence_s = fence_after_s(service.record.spec.labels)
    liveness = state.liveness.get(task.node_id) if task.node_id is not None else None
    if fence_s is None or liveness is None:
        return "it goes on if that is back before another attempt has a node"
    container = service.record.templates[task.template_version].task.container
    down_at: Instant = now.instant if liveness.down_at is None else liveness.down_at
    until = after(down_at, replace_after_s(fence_s, effective_stop_grace_s(container)))
    left_s = max(until - now.instant, 0.0)
    return f"its fence holds the replacement back for another {left_s:.0f} s"


def finished_summary(
    state: LeaderState, service: ServiceState, task: FinishedTask, now: Now
) -> str:
    """Say how a task ended and what follows in its slot."""
    node = state.nodes.get(task.node_id) if task.node_id is not None else None
    where = f" on {node_name(node)}" if node is not None else ""
    age = duration_text(_whole(now.timestamp - task.finished_at))
    words = f"{task_name(service, task)} {_END_WORDS.get(task.state, 'ended')}{where} {age} ago"
    if task.ran_s:
        words += f" after running for {duration_text(_whole(task.ran_s))}"
    if task.exit_code is not None:
        words += f", exit code {task.exit_code}"
    if task.error:
        words += f": {task.error}"
    return f"{words}; {_what_follows(service, task, now)}"


_END_WORDS: Final = {
    TaskState.COMPLETE: "completed",
    TaskState.SHUTDOWN: "was shut down",
    TaskState.FAILED: "failed",
    TaskState.REJECTED: "was rejected",
    TaskState.REMOVE: "was removed",
    TaskState.ORPHANED: "was given up",
}


def _what_follows(service: ServiceState, task: FinishedTask, now: Now) -> str:
    slot = slot_key(task)
    live = service.slots.get(slot)
    if live:
        return f"attempt {live[-1].attempt} has taken its slot"
    later = [
        entry.attempt for entry in service.history.get(slot, ()) if entry.attempt > task.attempt
    ]
    if later:
        return f"attempt {later[-1]} followed it"
    record = service.record
    if record.job is not None and not record.runs_current(task.template_version):
        return "it was of an earlier run of the job"
    if slot not in service.phases:
        return "its slot is not wanted any more"
    if service.phases[slot] == Phase.DONE:
        return "its slot has completed"
    history = service.history.get(slot, ())
    version = record.live_version
    policy = record.templates[version].task.restart
    policy = policy if record.job is None else job_restart(policy)
    restart = plan_restart(history, policy, version, now.timestamp)
    if isinstance(restart, GiveUp):
        return f"no other attempt follows: {restart.reason}"
    if service.phases.get(slot) == Phase.AWAY:
        return "its node takes no tasks now"
    return f"the next attempt follows in {restart.wait_s:.1f} s"


def _whole(seconds: float) -> float:
    return float(max(round(seconds), 0))
