"""`berth service ls|ps|inspect|logs` and `berth explain`: the commands that only look.

Not here: the commands that change services (cli.services), making text (cli.render).
"""

import sys
from collections.abc import Sequence

import click

from berth.client import ControlClient
from berth.errors import NotFoundError
from berth.views import TaskView
from cli.command import Shell, pass_shell
from cli.logs import LogOptions, LogPrinter, parse_since
from cli.output import format_option, print_json, print_listing, print_table
from cli.render import (
    SERVICE_FILTERS,
    TASK_FILTERS,
    parse_filters,
    pretty_lines,
    services_table,
    tasks_table,
    to_json,
)
from cli.render_cluster import explanation_lines, filters_table
from cli.services import service


@service.command("ls")
@click.option("-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE",
              help="Only those with this id, name, label or mode.")  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="IDs only.")
@click.option("--no-trunc", is_flag=True, help="Do not shorten IDs and images.")
@format_option
@pass_shell
def list_services(
    shell: Shell, filters: tuple[str, ...], quiet: bool, no_trunc: bool, form: str
) -> None:
    """List services."""
    is_wanted = parse_filters(filters, SERVICE_FILTERS)

    async def work(client: ControlClient) -> None:
        found = [view for view in await client.list_services() if is_wanted(view)]
        print_listing(
            shell.out,
            form,
            lambda is_full: services_table(found, is_full=is_full),
            ids=[view.id for view in found],
            is_quiet=quiet,
            is_full=no_trunc,
        )

    shell.run(work)


@service.command("ps")
@click.argument("names", nargs=-1, required=True, metavar="SERVICE...")
@click.option("-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE",
              help="Only with this id, name, node, desired-state or current-state.")  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="IDs only.")
@click.option("--no-trunc", is_flag=True, help="Do not shorten IDs, images and errors.")
@click.option("--digests", is_flag=True, help="Show what really runs: digest, platform, drift.")
@format_option
@pass_shell
def list_service_tasks(
    shell: Shell,
    names: tuple[str, ...],
    filters: tuple[str, ...],
    quiet: bool,
    no_trunc: bool,
    digests: bool,
    form: str,
) -> None:
    """List the tasks of services, history included."""
    is_wanted = parse_filters(filters, TASK_FILTERS)

    async def work(client: ControlClient) -> None:
        found = [task for task in await client.list_tasks(services=names) if is_wanted(task)]
        print_tasks(shell, found, form, quiet=quiet, no_trunc=no_trunc, digests=digests)

    shell.run(work)


def print_tasks(
    shell: Shell,
    tasks: Sequence[TaskView],
    form: str,
    *,
    quiet: bool = False,
    no_trunc: bool = False,
    digests: bool = False,
) -> None:
    """Print a list of tasks as its user asked for it."""
    print_listing(
        shell.out,
        form,
        lambda is_full: tasks_table(tasks, is_full=is_full, with_digests=digests),
        ids=[task.id for task in tasks],
        is_quiet=quiet,
        is_full=no_trunc,
    )


@service.command()
@click.argument("names", nargs=-1, required=True, metavar="SERVICE...")
@click.option("--pretty", is_flag=True, help="For people instead of programs.")
@pass_shell
def inspect(shell: Shell, names: tuple[str, ...], pretty: bool) -> None:
    """Show all that is known of services."""

    async def work(client: ControlClient) -> None:
        found = [await client.get_service(name) for name in names]
        if not pretty:
            print_json(shell.out, [to_json(view) for view in found])
            return
        for view in found:
            for line in pretty_lines(to_json(view, is_sparse=True)):
                shell.out.print(line)

    shell.run(work)


@service.command()
@click.argument("name", metavar="SERVICE|TASK")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on.")
@click.option("-n", "--tail", default="all", metavar="N", help="Last lines of each task.")
@click.option("--since", metavar="TIME", help="10m (ago), or a time.")
@click.option("-t", "--timestamps", is_flag=True, help="Show when each line was written.")
@click.option("--raw", is_flag=True, help="Only what was written.")
@click.option("--no-trunc", is_flag=True, help="Show whole task IDs.")
@click.option("--no-task-ids", is_flag=True, help="Leave out task IDs.")
@pass_shell
def logs(
    shell: Shell,
    name: str,
    follow: bool,
    tail: str,
    since: str | None,
    timestamps: bool,
    raw: bool,
    no_trunc: bool,
    no_task_ids: bool,
) -> None:
    """Show what the tasks of a service, or one task, wrote."""
    if tail != "all" and not tail.isdigit():
        raise click.UsageError(f'--tail: "{tail}" is neither a number nor all')
    options = LogOptions(raw, timestamps, no_trunc, not no_task_ids)
    since_s = parse_since(since, shell.clock.timestamp()) if since else 0.0

    async def work(client: ControlClient) -> None:
        printer = LogPrinter(client, options, _write_line)
        problems = await printer.print_logs(
            name, follow=follow, tail=-1 if tail == "all" else int(tail), since=since_s
        )
        for problem in problems:
            shell.warn(problem)

    shell.run(work)


def _write_line(prefix: str, data: bytes, is_stderr: bool) -> None:
    """Write bytes as they are: what a container writes need not be text."""
    stream = sys.stderr if is_stderr else sys.stdout
    stream.flush()
    stream.buffer.write(prefix.encode() + data)
    stream.buffer.flush()


@click.command()
@click.argument("name", metavar="SERVICE|TASK")
@format_option
@pass_shell
def explain(shell: Shell, name: str, form: str) -> None:
    """Say why tasks run where they do, or nowhere."""

    async def work(client: ControlClient) -> None:
        found = await client.explain(name)
        if not found.service_id:
            raise NotFoundError(f'there is no service or task "{name}"; see berth service ls')
        if form == "json":
            print_json(shell.out, to_json(found))
            return
        for line in explanation_lines(found):
            shell.out.print(line)
        if found.filters:
            shell.out.print("")
            print_table(shell.out, filters_table(found))

    shell.run(work)
