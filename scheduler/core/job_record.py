"""How far a job is, as it is stored with its service: the newest run, and those before it.

Duty: the pure changes of that record: begin a run, end it, note one that was not begun. Not here:
when any of this happens (supervise_jobs, job_schedule, service_record).

A run has a template of its own, `run_version`: whatever a task has another version of belongs to
another run. Runs are numbered as Docker numbers iterations, from 0.

Invariant: `run_version` only rises; the newest run in `runs` is the one that it means.
"""

from dataclasses import dataclass, replace

from berth.model.instant import NO_TIME, Timestamp
from berth.model.job import NO_ITERATION, JobRun, RunCause, RunOutcome

RUNS_KEPT = 20


@dataclass(frozen=True, slots=True)
class JobRecord:
    """How far a job is; `run_version` 0 = it never ran."""

    run_version: int = 0
    is_under_way: bool = False
    began_at: Timestamp = NO_TIME
    schedule_from: Timestamp = NO_TIME
    """Due times up to this have been seen to."""
    runs: tuple[JobRun, ...] = ()

    @property
    def iteration(self) -> int:
        """The newest run's number; 0 also before there is one."""
        return max(self.run_version - 1, 0)

    def begun(
        self, now: Timestamp, cause: RunCause, due_at: Timestamp | None = None
    ) -> "JobRecord":
        """Return the record with another run under way."""
        version = self.run_version + 1
        run = JobRun(version - 1, cause, started_at=now, due_at=due_at)
        runs = self.runs
        if self.is_under_way:
            runs = self._amended(outcome=RunOutcome.REPLACED, ended_at=now)
        return replace(
            self, run_version=version, is_under_way=True, began_at=now, runs=_kept((*runs, run))
        )

    def counted(self, completed: int, failed: int, ended_at: Timestamp) -> "JobRecord":
        """Return the record with the newest run ended, or its counts mended after that.

        A node that comes back may bring completions that nobody hoped for any more.
        """
        newest = self.newest
        if newest is None:
            return replace(self, is_under_way=False)
        runs = self._amended(
            outcome=RunOutcome.FAILED if failed else RunOutcome.COMPLETED,
            ended_at=newest.ended_at if newest.ended_at is not None else ended_at,
            completed=completed,
            failed=failed,
        )
        return replace(self, is_under_way=False, runs=runs)

    def not_begun(self, run: JobRun) -> "JobRecord":
        """Return the record with a note of due times that began no run; like ones are one note."""
        last = self.runs[-1] if self.runs else None
        if last is not None and (last.iteration, last.outcome) == (NO_ITERATION, run.outcome):
            run = replace(last, times=last.times + run.times, ended_at=run.started_at)
            return replace(self, runs=(*self.runs[:-1], run))
        return replace(self, runs=_kept((*self.runs, run)))

    @property
    def newest(self) -> JobRun | None:
        """The newest run that was begun, None when it is forgotten or there was none."""
        return next((r for r in reversed(self.runs) if r.iteration == self.run_version - 1), None)

    def _amended(self, **changes: object) -> tuple[JobRun, ...]:
        newest = self.newest
        return tuple(
            replace(run, **changes) if run is newest else run  # type: ignore[arg-type]
            for run in self.runs
        )


def _kept(runs: tuple[JobRun, ...]) -> tuple[JobRun, ...]:
    """Return the newest runs, and the newest one that was begun even when many were not."""
    kept = runs[-RUNS_KEPT:]
    begun = [run for run in runs if run.iteration != NO_ITERATION]
    if begun and begun[-1] not in kept:
        kept = (begun[-1], *kept[1:])
    return kept
