"""One task: pull, create, start, watch, stop, remove.

Duty: `next_call` says what a task's container needs next; the `fold_*` functions take in what a
call ended with or what was seen; `settle` draws the conclusions that need no call.
Not here: how many calls may be under way, who is told (nodeagent.core.step), restart arithmetic.
Invariants (tests/property/test_agent_core.py): the observed state only rises; a container that has
run is started again only while no leader answers; errors before STARTING reject, later ones fail.
"""

from dataclasses import dataclass, replace

from berth.errors import RetryRule
from berth.model.backoff import ends_in_row
from berth.model.defaults import effective_restart
from berth.model.instant import Instant, after
from berth.model.service import RestartPolicy
from berth.model.task import TaskState
from nodeagent.core.backoff import engine_retry_s, pull_retry_s
from nodeagent.core.isolation import RestartAt, plan_local_restart
from nodeagent.core.messages import Call, TaskTemplate
from nodeagent.core.state import Ended, LocalTask, Phase, StopReason
from nodeagent.runtime.port import ContainerState, Health, PulledImage, SeenContainer

_GONE_ERROR = "task: the container is gone; somebody removed it, or the Engine lost it"
_RESTARTS_KEPT = 100
# Passed for every call of every task; to look a member up in its enumeration costs as much.
_PREPARING, _READY, _STARTING, _RUNNING = (
    TaskState.PREPARING,
    TaskState.READY,
    TaskState.STARTING,
    TaskState.RUNNING,
)


@dataclass(frozen=True, slots=True)
class Gate:
    """How the agent stands, as far as it matters to one task.

    `may_begin` is false while the journal is all we have and a leader may still correct it;
    `may_remove` is false until a leader has confirmed it: a stale journal must remove nothing.
    """

    is_connected: bool
    may_begin: bool
    may_remove: bool
    alone_from: Instant


def next_call(task: LocalTask, gate: Gate, now: Instant) -> Call | None:
    """Return the call that the task needs next; the first rule that matches wins."""
    if task.call is not None or now < task.retry_at:
        return None
    if task.needs_look:
        return Call.INSPECT
    if task.observed > _RUNNING or task.must_stop:
        call = _closing_call(task)
        return None if call is Call.REMOVE and not gate.may_remove else call
    if not gate.may_begin:
        return None
    if task.ended is not None:
        due = task.ended.restart_at
        # A leader may have come and gone since the restart was planned: then the wait begins anew.
        is_due = due is not None and max(due, gate.alone_from) <= now
        return Call.START if is_due else None
    if task.phase is Phase.ABSENT:
        return Call.PULL if task.image is None else Call.CREATE
    if task.phase is not Phase.CREATED:
        return None
    return Call.START if task.desired in (TaskState.RUNNING, TaskState.COMPLETE) else None


def _closing_call(task: LocalTask) -> Call | None:
    """Return what is left to do for a container that must not run."""
    match task.phase:
        case Phase.ABSENT:
            return None
        case Phase.UP:
            return Call.STOP
        case Phase.CREATED:  # Nothing was ever written by it, so nothing is lost.
            return Call.REMOVE if task.must_stop else None
        case Phase.ENDED:  # Kept for its logs, unless the task is to vanish.
            return Call.REMOVE if task.must_vanish else None


def begin(task: LocalTask, call: Call, call_id: int, now: Instant) -> None:
    """Note that `call` is under way."""
    assert task.call is None
    task.call, task.call_id = call, call_id
    match call:
        case Call.CREATE | Call.PULL if task.observed < _PREPARING:
            task.rise(_PREPARING, now, "preparing")
        case Call.START if task.observed < _STARTING:
            task.rise(_STARTING, now, "starting")
        case Call.STOP:
            task.is_only_stop = not task.is_stop_sent
            task.is_stop_sent = True
        case Call.INSPECT:
            task.needs_look = False  # Whatever stirs from now on is newer than this look.
        case _:
            pass


def await_pull(task: LocalTask, now: Instant) -> None:
    """Note that another task's pull of the same image is under way."""
    if task.observed < TaskState.PREPARING:
        task.rise(TaskState.PREPARING, now, "preparing")


def end_call(task: LocalTask) -> None:
    """Note that the call under way has ended, well or not."""
    assert task.call is not None
    task.call, task.call_id = None, 0


def fold_pulled(task: LocalTask, image: PulledImage) -> None:
    """Take in the image."""
    _succeed(task)
    task.image = image
    task.image_digest, task.platform = image.digest, image.platform
    task.tell("preparing")


def fold_created(task: LocalTask, container_id: str, now: Instant, *, is_new: bool) -> None:
    """Take in the container; one from before is looked at before it is started."""
    _succeed(task)
    task.container_id, task.phase = container_id, Phase.CREATED
    task.needs_look = task.needs_look or not is_new
    if task.observed < _READY:
        task.rise(_READY, now, "prepared")


def fold_started(task: LocalTask, seen: SeenContainer | None, gate: Gate, now: Instant) -> None:
    """Take in that the container was started, and what it was like right after that.

    Without such a look another one tells whether it still runs; so it does when the container
    stirred meanwhile, since nobody knows which of the two came first.
    """
    _succeed(task)
    if task.ended is not None:
        task.ended = None
        task.local_restarts += 1
        task.restarted_at = (*task.restarted_at, now)[-_RESTARTS_KEPT:]
        times = f"{task.local_restarts} time{'s' if task.local_restarts > 1 else ''}"
        task.tell(f"restarted by its agent {times} while no leader answered")
    task.phase, task.up_since = Phase.UP, now
    if seen is None:
        task.needs_look = True
    else:
        fold_seen(task, seen, gate, now)


def is_own_start(task: LocalTask) -> bool:
    """Tell whether news of a start are of the one that we asked for.

    A start of ours ends with a look, which is newer. Who else would start the container must have
    seen it end, which is news of its own: then a look is under way, or told that it does not run.
    """
    return task.call is Call.START or (task.call is None and task.phase is Phase.UP)


def fold_stopped(task: LocalTask, *, was_told: bool) -> None:
    """Take in that a stop ended, or was not needed; a look tells the exit code."""
    task.needs_look = True
    if not was_told:
        _take_back_stop(task)


def _take_back_stop(task: LocalTask) -> None:
    """Note that the last stop never reached its container: an end was not of our doing.

    A job that has completed must not run again because somebody wanted to stop it meanwhile.
    """
    if task.is_only_stop:
        task.is_stop_sent = False


def fold_removed(task: LocalTask, gate: Gate, now: Instant) -> None:
    """Take in that the container was removed."""
    _succeed(task)
    fold_vanished(task, gate, now)


def fold_failed(
    task: LocalTask,
    call: Call,
    message: str,
    retry: RetryRule,
    *,
    gate: Gate,
    lacks_credentials: bool,
    now: Instant,
    was_sent: bool = True,
) -> None:
    """Take in that `call` failed: retry later, reject, or fail.

    Args:
        task: the task.
        call: what failed.
        message: why, for people.
        retry: NEVER when the same call will fail again.
        gate: how the agent stands.
        lacks_credentials: whether a pull had to do without the service's registry credentials.
        now: the time.
        was_sent: whether the runtime may know of the call.
    """
    task.failures += 1
    is_final = retry is RetryRule.NEVER
    match call:
        case Call.PULL:
            delay_s = pull_retry_s(task.id, task.failures)
            if is_final and not lacks_credentials:
                task.rise(TaskState.REJECTED, now, "rejected", message)
                return
            why = "waits for the leader's registry credentials" if is_final else "pull failed"
            task.tell(f"preparing: {why}, next try in {delay_s:.0f}s", message)
            task.retry_at = after(now, delay_s)
            return
        case Call.CREATE if is_final:
            task.rise(TaskState.REJECTED, now, "rejected", message)
            return
        case Call.START if is_final:
            _end(task, Ended(now, None, message), gate, now)
            return
        case Call.CREATE:
            pass
        case Call.START | Call.STOP | Call.REMOVE | Call.INSPECT:
            task.needs_look = True  # It may have happened all the same.
            if call is Call.STOP and not was_sent:
                _take_back_stop(task)
    delay_s = engine_retry_s(task.id, task.failures)
    task.retry_at = after(now, delay_s)
    if call is not Call.INSPECT:
        task.tell(f"{call.value} failed, next try in {delay_s:.1f}s", message)


def fold_seen(task: LocalTask, seen: SeenContainer | None, gate: Gate, now: Instant) -> None:
    """Take in what a look at the container showed."""
    if seen is None:
        fold_vanished(task, gate, now)
        return
    _copy_facts(task, seen)
    match seen.state:
        case ContainerState.CREATED:
            if task.phase is Phase.ABSENT:
                task.phase = Phase.CREATED
            if task.observed < TaskState.READY:
                task.rise(TaskState.READY, now, "prepared")
        case ContainerState.RUNNING | ContainerState.PAUSED | ContainerState.RESTARTING:
            _see_up(task, seen.health, now)
        case ContainerState.EXITED | ContainerState.DEAD:
            _see_ended(task, seen, gate, now)
        case ContainerState.REMOVING:
            if task.phase is Phase.ABSENT:
                task.phase = Phase.ENDED
            task.needs_look = True
            task.retry_at = after(now, engine_retry_s(task.id, 1))


def fold_vanished(task: LocalTask, gate: Gate, now: Instant) -> None:
    """Take in that there is no container: removed by us, by somebody, or never made."""
    had, ended = task.phase, task.ended
    task.phase, task.container_id, task.pid, task.up_since = Phase.ABSENT, "", 0, None
    if task.observed.is_terminal or task.must_stop:
        return
    if ended is not None:
        _finish(task, ended, now)
    elif task.observed >= TaskState.STARTING or had in (Phase.UP, Phase.ENDED):
        _finish(task, Ended(now, None, _GONE_ERROR), now)
    # Else it never ran, and is made again.


def settle(task: LocalTask, template: TaskTemplate | None, gate: Gate, now: Instant) -> None:
    """Draw the conclusions that need no call to the runtime."""
    if task.observed.is_terminal or task.call is not None:
        return
    if task.must_stop:
        is_certain = task.phase is Phase.ABSENT or not task.needs_look
        if task.phase is not Phase.UP and is_certain:
            _conclude_stop(task, now)
    elif task.ended is not None and gate.is_connected:
        _finish(task, task.ended, now)
    elif task.ended is not None and task.ended.restart_at is None:
        _plan_restart(task, task.ended, template, gate, now)


def _conclude_stop(task: LocalTask, now: Instant) -> None:
    if task.ended is not None:  # It had ended by itself before anybody asked it to stop.
        _finish(task, task.ended, now)
    elif task.stop_reason is StopReason.UNHEALTHY:
        task.rise(TaskState.FAILED, now, "failed", "task: unhealthy container")
    elif task.stop_reason is StopReason.FENCED:
        task.rise(TaskState.SHUTDOWN, now, "shutdown", "fenced: no leader answered for too long")
    else:
        task.rise(TaskState.SHUTDOWN, now, "shutdown")


def _plan_restart(
    task: LocalTask, ended: Ended, template: TaskTemplate | None, gate: Gate, now: Instant
) -> None:
    policy = effective_restart(template.task.restart if template else RestartPolicy())
    task.ends = ends_in_row(task.ends, ended.ran_s, policy.delay_s)
    decision = plan_local_restart(
        policy,
        succeeded=not ended.error,
        is_job=task.desired is TaskState.COMPLETE,
        ended_at=ended.at,
        ends=task.ends,
        restarted_at=task.restarted_at,
        alone_from=gate.alone_from,
    )
    if isinstance(decision, RestartAt):
        task.ended = replace(ended, restart_at=decision.at)
        task.tell("ended while no leader answers; will be restarted", ended.error)
    else:
        _finish(task, ended, now)


def _see_up(task: LocalTask, health: Health, now: Instant) -> None:
    task.phase, task.ended = Phase.UP, None
    if task.up_since is None:
        task.up_since = now
    if task.observed > _RUNNING:
        return  # Somebody started it by hand: `next_call` stops it.
    if task.must_stop and task.is_stop_sent:  # The stop had no effect: not at once again.
        task.failures += 1
        task.retry_at = after(now, engine_retry_s(task.id, task.failures))
        return
    if health is Health.UNHEALTHY:
        if task.stop_reason is StopReason.NONE:
            task.stop_reason = StopReason.UNHEALTHY
            task.tell("unhealthy: stopping", "task: unhealthy container")
    elif health is Health.STARTING:
        if task.observed < TaskState.STARTING:
            task.rise(TaskState.STARTING, now, "starting")
    elif task.observed < _RUNNING:
        task.rise(_RUNNING, now, "started")


def _see_ended(task: LocalTask, seen: SeenContainer, gate: Gate, now: Instant) -> None:
    """Take in that the container has run and ended."""
    ran_s = max(seen.finished_at - seen.started_at, 0.0)
    if task.up_since is not None:
        ran_s = now - task.up_since
    task.phase, task.pid, task.up_since = Phase.ENDED, 0, None
    if task.observed.is_terminal or task.ended is not None:
        return
    task.exit_code = seen.exit_code
    if task.must_stop and task.is_stop_sent:
        _conclude_stop(task, now)
    else:
        _end(task, Ended(now, seen.exit_code, _error_text(seen), ran_s), gate, now)


def _end(task: LocalTask, ended: Ended, gate: Gate, now: Instant) -> None:
    """Record an end by itself: final when a leader can judge it, else open until `settle`."""
    if gate.is_connected or task.must_stop:
        _finish(task, ended, now)
    else:
        task.ended = ended


def _finish(task: LocalTask, ended: Ended, now: Instant) -> None:
    task.ended = None
    if ended.error:
        task.rise(TaskState.FAILED, now, "failed", ended.error)
    else:
        task.rise(TaskState.COMPLETE, now, "finished")


def _error_text(seen: SeenContainer) -> str:
    """Return why a container failed, in Swarm's words, or "" when it succeeded."""
    if seen.exit_code == 0 and not seen.oom_killed and seen.state is not ContainerState.DEAD:
        return ""
    code = "unknown" if seen.exit_code is None else seen.exit_code
    text = f"task: non-zero exit ({code})"
    if seen.oom_killed:
        text += ": killed for lack of memory (OOM); raise the memory limit or use less"
    return f"{text}: {seen.error}" if seen.error else text


def _copy_facts(task: LocalTask, seen: SeenContainer) -> None:
    before = _facts(task)
    task.container_id, task.pid = seen.container_id, seen.pid
    task.ports = seen.ports or task.ports
    task.addresses = seen.addresses
    task.image_digest = seen.image_digest or task.image_digest
    task.platform = seen.platform or task.platform
    if not task.is_changed and before != _facts(task):
        task.is_changed = True


def _facts(task: LocalTask) -> tuple[object, ...]:
    return task.container_id, task.pid, task.ports, task.addresses, task.image_digest


def _succeed(task: LocalTask) -> None:
    task.failures = 0
    task.retry_at = Instant(0.0)
