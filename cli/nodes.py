"""`berth node …`.

Not here: making text (cli.render).
"""

from collections.abc import Sequence
from typing import Final

import click

from berth.client import ControlClient
from berth.model.node import Availability
from cli.command import Shell, pass_shell
from cli.output import format_option, print_json, print_listing
from cli.render import (
    NODE_FILTERS,
    TASK_FILTERS,
    nodes_table,
    parse_filters,
    pretty_lines,
    to_json,
)
from cli.services import each_name
from cli.services_show import print_tasks
from cli.spec_values import parse_pair

_POLL_S: Final = 0.5


@click.group()
def node() -> None:
    """See and change the machines of the cluster."""


@node.command("ls")
@click.option("-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE",
              help="Only those with this id, name, label, status or availability.")  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="IDs only.")
@click.option("--no-trunc", is_flag=True, help="Do not shorten IDs.")
@format_option
@pass_shell
def list_nodes(
    shell: Shell, filters: tuple[str, ...], quiet: bool, no_trunc: bool, form: str
) -> None:
    """List nodes."""
    is_wanted = parse_filters(filters, NODE_FILTERS)

    async def work(client: ControlClient) -> None:
        found = [view for view in await client.list_nodes() if is_wanted(view)]
        print_listing(
            shell.out,
            form,
            lambda is_full: nodes_table(found, is_full=is_full),
            ids=[view.node.id for view in found],
            is_quiet=quiet,
            is_full=no_trunc,
        )

    shell.run(work)


@node.command("ps")
@click.argument("names", nargs=-1, required=True, metavar="NODE...")
@click.option("-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE",
              help="Only those with this id, name, desired-state or current-state.")  # fmt: skip
@click.option("-q", "--quiet", is_flag=True, help="IDs only.")
@click.option("--no-trunc", is_flag=True, help="Do not shorten IDs, images and errors.")
@format_option
@pass_shell
def list_node_tasks(
    shell: Shell,
    names: tuple[str, ...],
    filters: tuple[str, ...],
    quiet: bool,
    no_trunc: bool,
    form: str,
) -> None:
    """List the tasks on nodes."""
    is_wanted = parse_filters(filters, TASK_FILTERS)

    async def work(client: ControlClient) -> None:
        found = [task for task in await client.list_tasks(nodes=names) if is_wanted(task)]
        print_tasks(shell, found, form, quiet=quiet, no_trunc=no_trunc)

    shell.run(work)


@node.command()
@click.argument("names", nargs=-1, required=True, metavar="NODE...")
@click.option("--pretty", is_flag=True, help="For people instead of programs.")
@pass_shell
def inspect(shell: Shell, names: tuple[str, ...], pretty: bool) -> None:
    """Show all that is known of nodes."""

    async def work(client: ControlClient) -> None:
        found = [await client.get_node(name) for name in names]
        if not pretty:
            print_json(shell.out, [to_json(view) for view in found])
            return
        for view in found:
            for line in pretty_lines(to_json(view, is_sparse=True)):
                shell.out.print(line)

    shell.run(work)


@node.command()
@click.argument("name", metavar="NODE")
@click.option(
    "--availability",
    type=click.Choice([member.value for member in Availability]),
    help="active takes tasks, pause takes no new ones, drain gives its tasks away.",
)
@click.option(
    "--label-add",
    multiple=True,
    metavar="KEY=VALUE",
    help="Add or change a label; may be repeated.",
)
@click.option(
    "--label-rm", multiple=True, metavar="KEY", help="Take a label away; may be repeated."
)
@pass_shell
def update(
    shell: Shell,
    name: str,
    availability: str | None,
    label_add: tuple[str, ...],
    label_rm: tuple[str, ...],
) -> None:
    """Change a node's availability and labels."""
    if availability is None and not (label_add or label_rm):
        raise click.UsageError("name at least one change; see berth node update --help")
    labels = dict(parse_pair(text) for text in label_add)

    async def work(client: ControlClient) -> None:
        await client.update_node(
            name,
            availability=Availability(availability) if availability else None,
            labels_add=labels,
            labels_remove=label_rm,
        )
        shell.out.print(name)

    shell.run(work)


@node.command("rm")
@click.argument("names", nargs=-1, required=True, metavar="NODE...")
@click.option("-f", "--force", is_flag=True, help="Remove nodes that are ready too.")
@pass_shell
def remove(shell: Shell, names: tuple[str, ...], force: bool) -> None:
    """Remove nodes from the cluster, and forget them.

    A node is removed when it is down: drain it, and stop its agent first.
    """
    shell.run(
        lambda client: each_name(
            names, lambda name: client.remove_node(name, force=force), shell.out.print
        )
    )


@node.command()
@click.argument("names", nargs=-1, required=True, metavar="NODE...")
@click.option("--wait", is_flag=True, help="Wait until nothing runs there.")
@pass_shell
def drain(shell: Shell, names: tuple[str, ...], wait: bool) -> None:
    """Move all tasks away from nodes, and give them no new ones."""

    async def work(client: ControlClient) -> None:
        await _set_availability(shell, client, names, Availability.DRAIN)
        while wait:
            tasks = await client.list_tasks(nodes=names)
            left = [task for task in tasks if not task.status.state.is_terminal]
            if not left:
                return
            await shell.clock.sleep(_POLL_S)

    shell.run(work)


@node.command()
@click.argument("names", nargs=-1, required=True, metavar="NODE...")
@pass_shell
def activate(shell: Shell, names: tuple[str, ...]) -> None:
    """Let nodes take tasks again."""
    shell.run(lambda client: _set_availability(shell, client, names, Availability.ACTIVE))


@node.command()
@click.argument("names", nargs=-1, required=True, metavar="NODE...")
@pass_shell
def pause(shell: Shell, names: tuple[str, ...]) -> None:
    """Give nodes no new tasks; what runs there stays."""
    shell.run(lambda client: _set_availability(shell, client, names, Availability.PAUSE))


async def _set_availability(
    shell: Shell, client: ControlClient, names: Sequence[str], availability: Availability
) -> None:
    await each_name(
        names, lambda name: client.update_node(name, availability=availability), shell.out.print
    )
