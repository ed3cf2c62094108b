"""How a job stands, in words for people. Pure."""

from berth.model.defaults import effective_completions
from berth.model.instant import Timestamp, to_text
from berth.model.schedule import is_scheduled
from scheduler.core.job_schedule import next_due
from scheduler.core.placement.explain import Explanation
from scheduler.core.reconcile import Phase
from scheduler.core.service_record import ServiceRecord
from scheduler.core.service_state import ServiceState


def job_summary(service: ServiceState, running: int, found: Explanation) -> str:
    """Return in one sentence how a job's newest run stands.

    Args:
        service: the job.
        running: how many of its tasks run.
        found: what keeps tasks from nodes now.
    """
    record = service.record
    job = record.job
    assert job is not None
    if not job.run_version:
        return "it has not run yet: it runs when it is due, or when an update is forced"
    total = len(service.phases) if record.is_global else effective_completions(record.spec.mode)
    completed = len(service.in_phase(Phase.DONE))
    counts = f"run {job.iteration}: {completed} of {total} completed"
    failed = len(service.in_phase(Phase.ENDED))
    if failed:
        counts += f", {failed} failed and will not be tried again"
    if not job.is_under_way:
        return f"{counts}; it has ended"
    counts += f", {running} running"
    if service.waiting:
        return f"{counts}; {len(service.waiting)} wait for a node: {found.short()}"
    return counts


def job_lines(record: ServiceRecord, now: Timestamp) -> list[str]:
    """Return what a job's schedule says, and what became of its last due times."""
    job = record.job
    if job is None or not is_scheduled(record.spec.labels):
        return []
    due_at = next_due(record, now)
    lines = [f"next due at {to_text(due_at)}" if due_at is not None else "it is never due again"]
    last = job.runs[-1] if job.runs else None
    if last is not None and last.note:
        times = f" ({last.times} times)" if last.times > 1 else ""
        lines.append(f"the last due time was {last.outcome.value}{times}: {last.note}")
    return lines
