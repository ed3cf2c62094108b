"""`berth up` and `berth down`: a whole cluster on this machine, for playing and for tests.

Duty: their flags, and what they show.
Not here: bringing the cluster up and down (cli.local_cluster).
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType

import click
from rich.console import Console
from rich.status import Status

from berth.clock import SystemClock
from berth.errors import BerthError
from cli.local_cluster import LocalRunner, UpResult
from cli.local_context import drop_context, take_context
from cli.local_plan import UpSettings
from cli.local_processes import is_running
from cli.local_record import Folders, load_record

_INTERRUPTED = 130


class TerminalNarrator:
    """Shows progress: a spinner and ticks on a terminal, plain lines anywhere else."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None
        self._clock = SystemClock()
        self._began_at = self._clock.instant()

    def __enter__(self) -> "TerminalNarrator":
        if self._console.is_terminal:
            self._status = self._console.status("")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def begin(self, what: str) -> None:
        """Show what is being done now; nothing where lines stay."""
        if self._status is not None:
            self._status.update(what)

    def done(self, what: str) -> None:
        """Show a line with the time since the beginning."""
        self._line("[green]✓[/]", what)

    def warn(self, what: str) -> None:
        """Show a line that asks for attention."""
        self._line("[yellow]![/]", what)

    def _line(self, mark: str, what: str) -> None:
        took_s = self._clock.instant() - self._began_at
        self._console.print(f"{mark} [dim]{took_s:5.1f} s[/] {what}", highlight=False)


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does: end what was started, then us."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _folders(work_dir: Path | None) -> Folders:
    return Folders(work_dir.expanduser().resolve()) if work_dir else Folders.default()


_work_dir = click.option(
    "--work-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the cluster ($XDG_DATA_HOME/berth or ~/.local/share/berth).",
)


@click.command("up")
@click.option("--schedulers", default=3, show_default=True, help="How many schedulers.")
@click.option("--agents", default=3, show_default=True, help="How many nodes; they share the CPUs.")
@click.option("--etcd", multiple=True, metavar="URL[,URL…]", help="An etcd that runs already.")
@click.option("--etcd-prefix", default="", help="Prefix of all keys in it (/berth/).")
@click.option("--docker", metavar="URL", default="", help="Docker Engine ($DOCKER_HOST, socket).")
@click.option("--start-engine", is_flag=True, help="Run a private Engine where none answers.")
@click.option(
    "--insecure-registry",
    multiple=True,
    metavar="HOST:PORT|CIDR",
    help="Registries that may speak plain HTTP.",
)
@click.option("--foreground", is_flag=True, help="Stay; end the cluster on Ctrl-C.")
@_work_dir
def up(
    schedulers: int,
    agents: int,
    etcd: tuple[str, ...],
    etcd_prefix: str,
    docker: str,
    start_engine: bool,
    insecure_registry: tuple[str, ...],
    foreground: bool,
    work_dir: Path | None,
) -> None:
    """Start a cluster on this machine: etcd, schedulers, and nodes that share its Engine.

    What runs already is left alone; what had ended is started again.
    """
    settings = UpSettings(
        schedulers=schedulers,
        agents=agents,
        etcd_urls=tuple(url for text in etcd for url in text.split(",") if url),
        etcd_prefix=etcd_prefix,
        docker_url=docker,
        start_engine=start_engine,
        insecure_registries=insecure_registry,
    )
    console = Console(highlight=False, soft_wrap=True)
    folders = _folders(work_dir)
    with _sigterm_interrupts():
        try:
            with TerminalNarrator(console) as narrator:
                result = LocalRunner(folders, narrator).up(settings)
            is_context_ours = take_context(folders, result.schedulers, result.tls)
            _show(console, result, folders, is_context_ours=is_context_ours)
            if foreground:
                _stay(console, folders)
        except BerthError as error:
            raise click.ClickException(error.message) from error
        except KeyboardInterrupt:
            is_up = any(map(is_running, load_record(folders).processes.values()))
            console.print(f"interrupted; {'`berth down` ends it' if is_up else 'nothing is left'}")
            sys.exit(_INTERRUPTED)


def _stay(console: Console, folders: Folders) -> None:
    """Wait for Ctrl-C or SIGTERM, then end the cluster."""
    console.print("[dim]Ctrl-C ends the cluster[/]")
    try:
        while True:
            signal.pause()
    except KeyboardInterrupt:
        with TerminalNarrator(console) as narrator:
            LocalRunner(folders, narrator).down(purge=False)
        drop_context(folders)


@click.command("down")
@click.option("--purge", is_flag=True, help="Forget the cluster's state too: services, keys, logs.")
@_work_dir
def down(purge: bool, work_dir: Path | None) -> None:
    """End the cluster that `berth up` started, and remove its containers.

    Its state stays (services, certificates, identities of nodes), and the next `berth up` goes on
    with it, unless --purge is given. Named volumes and pulled images stay in any case.
    """
    folders = _folders(work_dir)
    console = Console(highlight=False, soft_wrap=True)
    with _sigterm_interrupts():
        try:
            with TerminalNarrator(console) as narrator:
                found = LocalRunner(folders, narrator).down(purge=purge)
        except BerthError as error:
            raise click.ClickException(error.message) from error
        except KeyboardInterrupt:
            console.print("interrupted; run `berth down` again")
            sys.exit(_INTERRUPTED)
    drop_context(folders)
    console.print("the cluster is down" if found else "no cluster was up")


def _show(console: Console, result: UpResult, folders: Folders, *, is_context_ours: bool) -> None:
    state = "is up already" if result.was_up else "is up"
    console.print(f"\nThe cluster {state}.", style="bold")
    console.print(f"  leader   {result.leader} at {result.leader_address}")
    console.print(f"  nodes    {', '.join(result.nodes)} on the Engine at {result.docker_url}")
    console.print(f"  logs     {folders.logs}")
    if is_context_ours:
        console.print("\nThe berth command finds it by itself; elsewhere:", style="bold")
    else:
        console.print("\nYour context file names another cluster; to use this one:", style="bold")
    for line in environment_lines(result):
        console.print(f"  {line}")
    console.print("\nTry:", style="bold")
    console.print("  berth service create --name web --replicas 5 nginx")
    console.print("  berth service ps web")
    console.print("  berth down")


def environment_lines(result: UpResult) -> list[str]:
    """Return the shell commands that let any `berth` command find this cluster."""
    return [
        f"export BERTH_SCHEDULER={','.join(result.schedulers)}",
        f"export BERTH_TLS_CA_FILE={result.tls.ca_file}",
        f"export BERTH_TLS_CERT_FILE={result.tls.cert_file}",
        f"export BERTH_TLS_KEY_FILE={result.tls.key_file}",
    ]


__all__ = ["down", "environment_lines", "up"]
