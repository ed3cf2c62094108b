"""`berth cluster …` and `berth status`.

Not here: making text (cli.render_cluster).
"""

import dataclasses
from typing import Any

import click

from berth.client import ControlClient
from berth.model.cluster import ClusterSettings
from cli.command import Shell, pass_shell
from cli.output import format_option, print_json, print_table
from cli.render import nodes_table, services_table, to_json
from cli.render_cluster import cluster_lines, schedulers_table, status_lines
from cli.services import DURATION

_HELP = {
    "lost_after_s": "A node is lost this long after it was last heard.",
    "heartbeat_period_s": "How often agents report; 0 lets the leader choose.",
    "task_history_limit": "How many finished tasks are kept per slot.",
    "orphan_after_s": "Tasks of a node that is down this long are given up.",
    "agent_restart_grace_s": "How long a node may be away whose agent was stopped on purpose.",
    "image_gc_age_s": "Images that Berth pulled are removed after this long unused.",
    "dead_container_age_s": "Berth's stopped containers older than this are removed.",
    "disk_low_percent": "Images are removed early when less of the disk, in percent, is free.",
}


@click.group()
def cluster() -> None:
    """See and change the cluster as a whole."""


@cluster.command()
@format_option
@pass_shell
def info(shell: Shell, form: str) -> None:
    """Show leader, schedulers, store and settings."""

    async def work(client: ControlClient) -> None:
        found = await client.get_cluster()
        if form == "json":
            print_json(shell.out, to_json(found))
            return
        for line in cluster_lines(found):
            shell.out.print(line)
        shell.out.print("")
        print_table(shell.out, schedulers_table(found))

    shell.run(work)


@cluster.command()
@pass_shell
def update(shell: Shell, /, **given: Any) -> None:
    """Change settings of the whole cluster; agents are told at once.

    `berth cluster info` shows them as they are.
    """
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise click.UsageError("name at least one setting; see berth cluster update --help")

    async def work(client: ControlClient) -> None:
        found = await client.get_cluster()
        settings = dataclasses.replace(found.settings, **changes)
        await client.update_cluster(settings, version=found.version)
        shell.out.print("cluster updated")

    shell.run(work)


def _setting_options() -> list[click.Parameter]:
    """One option per setting: a new setting needs nothing here but its words."""
    options: list[click.Parameter] = []
    for field in dataclasses.fields(ClusterSettings):
        is_duration = field.name.endswith("_s")
        flag = "--" + field.name.removesuffix("_s").replace("_", "-")
        kind = DURATION if is_duration else click.INT
        options.append(
            click.Option([flag, field.name], type=kind, default=None, help=_HELP.get(field.name))
        )
    return options


update.params += _setting_options()


@click.command()
@format_option
@pass_shell
def status(shell: Shell, form: str) -> None:
    """Show how the cluster and all in it fare.

    Leader, store, schedulers, nodes and services.
    """

    async def work(client: ControlClient) -> None:
        found = await client.get_cluster()
        nodes = await client.list_nodes()
        services = await client.list_services()
        if form == "json":
            document = {"cluster": found, "nodes": nodes, "services": services}
            print_json(shell.out, to_json(document))
            return
        for line in status_lines(found, nodes, services):
            shell.out.print(line)
        for table in (schedulers_table(found), nodes_table(nodes), services_table(services)):
            if table.rows:
                shell.out.print("")
                print_table(shell.out, table)

    shell.run(work)
