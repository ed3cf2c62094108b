"""Decide whether what a spec says of jobs and schedules makes sense. Pure.

Swarm's checks, and Berth's own of the labels of a schedule. Not here: everything else of a spec
(validate).
Invariant (tests/unit/scheduler/control/test_validate_job.py): every rule has a row there.
"""

from collections.abc import Iterator
from typing import Final

from berth.errors import Fault
from berth.model.defaults import effective_completions
from berth.model.schedule import SCHEDULE_LABEL, schedule_faults
from berth.model.service import ModeKind, ServiceSpec

SLOTS_MAX: Final = 1_000_000


def job_faults(spec: ServiceSpec) -> Iterator[Fault]:
    """Yield what is wrong with a job, or is for jobs alone."""
    mode = spec.mode
    for name in ("max_concurrent", "total_completions"):
        value = getattr(mode, name)
        if value is None:
            continue
        if mode.kind is not ModeKind.REPLICATED_JOB:
            yield Fault(f"mode.{name}", "is only for replicated jobs; leave it out")
        elif not 0 <= value <= SLOTS_MAX:
            yield Fault(f"mode.{name}", f"{value} is not within 0..{SLOTS_MAX}")
    if mode.max_concurrent == 0 and effective_completions(mode) > 0:
        yield Fault("mode.max_concurrent", "0 lets no task ever start; use 1 or more")
    for label, problem in schedule_faults(spec.labels):
        yield Fault(f"labels[{label}]", problem)
    if not mode.kind.is_job:
        if SCHEDULE_LABEL in spec.labels:
            yield Fault(
                f"labels[{SCHEDULE_LABEL}]",
                f"is only for jobs, and this service is {mode.kind.value}; create it with the mode "
                "replicated-job or global-job",
            )
        return
    for name in ("update", "rollback"):
        if getattr(spec, name) is not None:
            yield Fault(name, "is not for jobs, which are run anew by an update; leave it out")
