"""`berth config …` and `berth secret …`.

Invariant (tests/unit/cli/test_files.py): nothing prints what a secret holds.
"""

import sys
from pathlib import Path
from typing import Final

import click

from berth.client import ControlClient
from berth.errors import InvalidRequestError
from berth.model.amount_text import memory_text
from berth.model.files import TEMPLATE_DRIVERS, FileKind
from berth.views import FileView
from cli.command import Shell, pass_shell
from cli.output import format_option, print_json, print_listing
from cli.render import (
    Table,
    age_text,
    has_label,
    make_table,
    parse_filters,
    pretty_lines,
    short,
    to_json,
)
from cli.services import each_name
from cli.spec_values import parse_pair

_FILTERS: Final = {
    "id": lambda file, value: file.id.startswith(value),
    "name": lambda file, value: file.name.startswith(value),
    "label": lambda file, value: has_label(file.labels, value),
}


def _group(kind: FileKind) -> click.Group:
    """Return the commands of one kind."""

    @click.group(kind.value, help=f"Keep {kind.value}s and see what there is.")
    def group() -> None:
        pass

    for add in (_add_create, _add_list, _add_inspect, _add_remove):
        add(group, kind)
    return group


def _add_create(group: click.Group, kind: FileKind) -> None:
    word = kind.value

    @group.command(help=f"Keep a {word} called NAME, read from FILE, or - for stdin.")
    @click.argument("name")
    @click.argument("file", metavar="FILE|-")
    @click.option(
        "-l", "--label", multiple=True, metavar="KEY=VALUE", help="Label; may be repeated."
    )
    @click.option(
        "--template-driver",
        type=click.Choice([name for name in TEMPLATE_DRIVERS if name]),
        default=None,
        help="Fill it in for each task.",
    )
    @pass_shell
    def create(
        shell: Shell, name: str, file: str, label: tuple[str, ...], template_driver: str | None
    ) -> None:
        labels = dict(parse_pair(text) for text in label)
        data = read_payload(file)

        async def work(client: ControlClient) -> None:
            created = await client.create_file(
                kind, name, data, labels=labels, template_driver=template_driver or ""
            )
            shell.out.print(created)

        shell.run(work)


def _add_list(group: click.Group, kind: FileKind) -> None:
    @group.command("ls", help=f"List {kind.value}s.")
    @click.option("-f", "--filter", "filters", multiple=True, metavar="KEY=VALUE",
                  help="Only those with this id, name or label.")  # fmt: skip
    @click.option("-q", "--quiet", is_flag=True, help="IDs only.")
    @click.option("--no-trunc", is_flag=True, help="Do not shorten IDs.")
    @format_option
    @pass_shell
    def list_files(
        shell: Shell, filters: tuple[str, ...], quiet: bool, no_trunc: bool, form: str
    ) -> None:
        is_wanted = parse_filters(filters, _FILTERS)

        async def work(client: ControlClient) -> None:
            found = [file for file in await client.list_files(kind) if is_wanted(file)]
            now = shell.clock.timestamp()
            print_listing(
                shell.out,
                form,
                lambda is_full: _table(found, now, is_full=is_full),
                ids=[file.id for file in found],
                is_quiet=quiet,
                is_full=no_trunc,
            )

        shell.run(work)


def _add_inspect(group: click.Group, kind: FileKind) -> None:
    @group.command(help=_inspect_help(kind))
    @click.argument("names", nargs=-1, required=True, metavar=f"{kind.value.upper()}...")
    @click.option("--pretty", is_flag=True, help="For people instead of programs.")
    @pass_shell
    def inspect(shell: Shell, names: tuple[str, ...], pretty: bool) -> None:
        async def work(client: ControlClient) -> None:
            found = [await client.get_file(kind, name) for name in names]
            documents = [_document(file) for file in found]
            if not pretty:
                print_json(shell.out, documents)
                return
            for document in documents:
                for line in pretty_lines(document):
                    shell.out.print(line)

        shell.run(work)


def _add_remove(group: click.Group, kind: FileKind) -> None:
    @group.command("rm", help=f"Remove {kind.value}s that no service uses.")
    @click.argument("names", nargs=-1, required=True, metavar=f"{kind.value.upper()}...")
    @pass_shell
    def remove(shell: Shell, names: tuple[str, ...]) -> None:
        shell.run(
            lambda client: each_name(
                names, lambda name: client.remove_file(kind, name), shell.out.print
            )
        )


def read_payload(path: str) -> bytes:
    """Return the bytes of a file, or of standard input for ``-``.

    Raises:
        InvalidRequestError: it cannot be read.
    """
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise InvalidRequestError(
            f'cannot read "{path}": {error.strerror}; name a file, or - for standard input'
        ) from None


def _inspect_help(kind: FileKind) -> str:
    if kind is FileKind.SECRET:
        return "Show what is known of secrets, but never what they hold."
    return "Show what is known of configs, and what they hold."


def _table(files: list[FileView], now: float, *, is_full: bool) -> Table:
    return make_table(
        "ID|NAME|SIZE|CREATED|UPDATED",
        (
            [
                short(file.id, is_full=is_full),
                file.name,
                memory_text(file.size_bytes),
                f"{age_text(max(now - file.created_at, 0))} ago",
                f"{age_text(max(now - file.updated_at, 0))} ago",
            ]
            for file in files
        ),
    )


def _document(file: FileView) -> dict[str, object]:
    document: dict[str, object] = to_json(file)
    if file.data is None:
        del document["data"]
    return document


config = _group(FileKind.CONFIG)
secret = _group(FileKind.SECRET)
