"""`berth service runs`: what became of a job's runs, and when it is due next.

Not here: the other commands that only look (cli.services_show).
"""

import click

from berth.client import ControlClient
from berth.errors import InvalidRequestError
from berth.model.instant import Timestamp, to_text
from berth.model.job import NO_ITERATION, JobRun, RunOutcome
from berth.views import ServiceView
from cli.command import Shell, pass_shell
from cli.output import format_option, print_json, print_table
from cli.render import Cell, Table, make_table, to_json

_STYLES = {
    RunOutcome.COMPLETED: "green",
    RunOutcome.FAILED: "red",
    RunOutcome.RUNNING: "yellow",
    RunOutcome.MISSED: "yellow",
}


@click.command()
@click.argument("name", metavar="SERVICE")
@format_option
@pass_shell
def runs(shell: Shell, name: str, form: str) -> None:
    """List the last runs of a job, newest first."""

    async def work(client: ControlClient) -> None:
        view = await client.get_service(name)
        if view.job is None:
            raise InvalidRequestError(
                f'service "{name}" is {view.spec.mode.kind.value}; only jobs have runs'
            )
        if form == "json":
            print_json(shell.out, runs_document(view))
            return
        print_table(shell.out, runs_table(view.job.runs))
        if view.job.next_due_at is not None:
            shell.out.print(f"next due at {_time_text(view.job.next_due_at)}")

    shell.run(work)


def runs_document(view: ServiceView) -> dict[str, object]:
    """Return the runs of a job for programs."""
    assert view.job is not None
    due_at = view.job.next_due_at
    return {
        "service": view.spec.name,
        "next_due_at": to_text(due_at) if due_at is not None else None,
        "runs": [to_json(run) for run in reversed(view.job.runs)],
    }


def runs_table(found: tuple[JobRun, ...]) -> Table:
    """List runs, newest first; due times that began none are among them, without a number."""

    def row(run: JobRun) -> list[str | Cell]:
        was_begun = run.iteration != NO_ITERATION
        return [
            str(run.iteration) if was_begun else "",
            run.cause.value,
            _time_text(run.due_at),
            _time_text(run.started_at) if was_begun else "",
            _time_text(run.ended_at),
            Cell(run.outcome.value, _STYLES.get(run.outcome, "")),
            f"{run.completed}" if was_begun else "",
            f"{run.failed}" if was_begun else "",
            f"{run.note} ({run.times} times)" if run.times > 1 else run.note,
        ]

    headers = "RUN|CAUSE|DUE|STARTED|ENDED|OUTCOME|COMPLETED|FAILED|NOTE"
    return make_table(headers, map(row, reversed(found)))


def _time_text(moment: Timestamp | None) -> str:
    return "" if moment is None else f"{to_text(moment)[:19]}Z"
