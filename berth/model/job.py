"""Runs of a job service, as they are stored and shown.

A *run* is what Docker calls an iteration of a job: every slot is to complete once. Values only;
when a run begins and ends is decided in scheduler.core.
"""

from dataclasses import dataclass
from enum import StrEnum

from berth.model.instant import NO_TIME, Timestamp

NO_ITERATION = -1


class RunCause(StrEnum):
    """Why a run was begun, or was to begin."""

    CREATED = "created"
    UPDATED = "updated"
    FORCED = "forced"
    SCHEDULE = "schedule"
    MISSED = "missed schedule"


class RunOutcome(StrEnum):
    """What became of it."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"  # Every slot has ended, and not every one completed.
    REPLACED = "replaced"  # Another run began before it had ended.
    SKIPPED = "skipped"  # Due while another run was under way: none was begun.
    MISSED = "missed"  # Due while no leader was at hand to begin it: none was begun.


@dataclass(frozen=True, slots=True)
class JobRun:
    """One run, or successive due times on which none was begun (`iteration` -1).

    `completed` and `failed` count slots. `times` says how many due times were skipped; of missed
    ones only that there were some is known, since nobody counted them.
    """

    iteration: int = NO_ITERATION
    cause: RunCause = RunCause.CREATED
    outcome: RunOutcome = RunOutcome.RUNNING
    started_at: Timestamp = NO_TIME
    ended_at: Timestamp | None = None
    due_at: Timestamp | None = None
    completed: int = 0
    failed: int = 0
    times: int = 1
    note: str = ""
