"""Where the `berth` command writes: tables, JSON, lines; colours on a terminal only.

Not here: what is written (cli.render, cli.render_cluster).
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import click
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from cli.render import Table, table_rows

_GAP: Final = "   "


def make_console(*, is_stderr: bool = False) -> Console:
    """Return a console that neither wraps nor decorates what it was not told to."""
    return Console(stderr=is_stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)


def format_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--format table|json`` to a command."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(["table", "json"]),
        default="table",
        help="Table, or one JSON object per line.",
    )(command)


def table_lines(table: Table) -> list[Text]:
    """Return the aligned lines of a table, headers first."""
    rows = [[(header, "bold") for header in table.headers]]
    rows += [[(cell.text, cell.style) for cell in row] for row in table.rows]
    widths = [max(cell_len(row[index][0]) for row in rows) for index in range(len(table.headers))]
    lines = []
    for row in rows:
        line = Text()
        for (text, style), width in zip(row, widths, strict=True):
            line.append(text, style or None)
            line.append(" " * (width - cell_len(text)) + _GAP)
        line.rstrip()
        lines.append(line)
    return lines


def print_table(console: Console, table: Table) -> None:
    """Print a table."""
    for line in table_lines(table):
        console.print(line)


def print_listing(
    console: Console,
    form: str,
    table: Callable[[bool], Table],
    *,
    ids: Sequence[str],
    is_quiet: bool = False,
    is_full: bool = False,
) -> None:
    """Print a list as its user asked for it.

    Args:
        console: where.
        form: "table" or "json".
        table: makes the table, with full IDs and texts or shortened ones.
        ids: printed alone when `is_quiet`.
        is_quiet: IDs only.
        is_full: do not shorten in the table; JSON never is.
    """
    if is_quiet:
        for identifier in ids:
            console.print(identifier if is_full else identifier[:12])
    elif form == "json":
        print_json_lines(console, table_rows(table(True)))
    else:
        print_table(console, table(is_full))


def print_json_lines(console: Console, documents: Iterable[Any]) -> None:
    """Print one JSON object per line, as Docker does."""
    for document in documents:
        console.print(json.dumps(document, ensure_ascii=False))


def print_json(console: Console, document: Any) -> None:
    """Print one indented JSON document."""
    console.print(json.dumps(document, indent=4, ensure_ascii=False))
