"""`berth up` and `berth down`: a whole cluster on this machine, for playing and for tests.

Duty: their flags, and what they show.
Not here: bringing the cluster up and down (cli.local_cluster).
"""

import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, TypeVar

import click
from click.core import ParameterSource
from rich.console import Console
from rich.status import Status

from berth.clock import SystemClock
from berth.errors import BerthError
from cli.command import Shell, pass_shell
from cli.local_cluster import LocalRunner, UpResult
from cli.local_context import drop_context, folders_to_end, take_context
from cli.local_plan import UpSettings
from cli.local_processes import is_running
from cli.local_record import Folders, load_record

FC = TypeVar("FC", bound=Callable[..., Any])

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


def _folders(work_dir: Path) -> Folders:
    return Folders(work_dir.expanduser().resolve())


def _env(shell: Shell) -> Mapping[str, str]:
    """Return the environment, in which --context has replaced what names the context file."""
    return {**shell.env, "BERTH_CONTEXT": str(shell.context)} if shell.context else shell.env


def _work_dir(help_: str) -> Callable[[FC], FC]:
    return click.option(
        "--work-dir",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="FOLDER",
        help=help_,
    )


@click.command("up")
@click.option("--schedulers", default=3, show_default=True, help="How many schedulers.")
@click.option("--agents", default=3, show_default=True, help="How many nodes; they share the CPUs.")
@click.option(
    "--etcd", multiple=True, metavar="URL[,URL…]", help="Use this etcd instead of starting one."
)
@click.option(
    "--etcd-prefix", default="", metavar="PREFIX", help="Where in etcd all keys begin (/berth/)."
)
@click.option(
    "--docker",
    metavar="URL",
    default="",
    help="Docker Engine to use ($DOCKER_HOST, or the machine's own).",
)
@click.option(
    "--start-engine", is_flag=True, help="Run a private Docker Engine where none answers (as root)."
)
@click.option(
    "--insecure-registry",
    multiple=True,
    metavar="HOST:PORT|CIDR",
    help="Registry that may speak plain HTTP; may be repeated.",
)
@click.option("--foreground", is_flag=True, help="Stay in the foreground; Ctrl-C ends the cluster.")
@_work_dir("Where the cluster lives ($XDG_DATA_HOME/berth or ~/.local/share/berth).")
@pass_shell
def up(
    shell: Shell,
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
    """Start a cluster on this machine.

    It has an etcd, schedulers, and nodes that share the machine's Docker Engine.
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
        given=_given("schedulers", "agents"),
    )
    console = Console(highlight=False, soft_wrap=True)
    folders = _folders(work_dir) if work_dir else Folders.default()
    with _sigterm_interrupts():
        try:
            with TerminalNarrator(console) as narrator:
                result = LocalRunner(folders, narrator).up(settings)
            is_context_ours = take_context(folders, result.schedulers, result.tls, _env(shell))
            _show(console, result, folders, is_context_ours=is_context_ours)
            if foreground:
                _stay(console, folders, _env(shell))
        except BerthError as error:
            raise click.ClickException(error.message) from error
        except KeyboardInterrupt:
            is_up = any(map(is_running, load_record(folders).processes.values()))
            console.print(f"interrupted; {'`berth down` ends it' if is_up else 'nothing is left'}")
            sys.exit(_INTERRUPTED)


def _given(*names: str) -> frozenset[str]:
    """Return the flags among those of `names` that stand on the command line."""
    source = click.get_current_context().get_parameter_source
    return frozenset(f"--{name}" for name in names if source(name) is ParameterSource.COMMANDLINE)


def _stay(console: Console, folders: Folders, env: Mapping[str, str]) -> None:
    """Wait for Ctrl-C or SIGTERM, then end the cluster."""
    try:
        console.print("[dim]Ctrl-C ends the cluster[/]")
        while True:
            # Not `signal.pause()`: a signal that comes just before it would be slept over.
            time.sleep(1.0)
    except KeyboardInterrupt:
        with TerminalNarrator(console) as narrator:
            LocalRunner(folders, narrator).down(purge=False)
        drop_context(folders, env)


@click.command("down")
@click.option(
    "--purge",
    is_flag=True,
    help="Remove its folder too: services, keys, logs, and all that a private Engine keeps.",
)
@_work_dir("Where the cluster lives (the folder of the one that is up).")
@pass_shell
def down(shell: Shell, purge: bool, work_dir: Path | None) -> None:
    """End the cluster that `berth up` started.

    Its containers are removed.

    Its state stays (services, certificates, identities of nodes), and the next `berth up` goes on
    with it, unless --purge is given.

    Named volumes and pulled images stay on your Docker Engine, --purge or not, and so does what an
    etcd of your own holds (`berth up --etcd`). Those of a private Engine (--start-engine) are in
    the cluster's folder: --purge removes them with it.
    """
    folders = _folders(work_dir) if work_dir else folders_to_end(_env(shell))
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
    drop_context(folders, _env(shell))
    where = f" in {folders.work_dir}"
    console.print(f"the cluster{where} is down" if found else f"no cluster was up{where}")


def _show(console: Console, result: UpResult, folders: Folders, *, is_context_ours: bool) -> None:
    state = "is up already" if result.was_up else "is up"
    console.print(f"\nThe cluster {state}.", style="bold")
    console.print(f"  leader   {result.leader} at {result.leader_address}")
    console.print(f"  nodes    {', '.join(result.nodes)} on the Engine at {result.docker_url}")
    console.print(f"  logs     {folders.logs}")
    console.print("\nThe docker command uses it once you say:", style="bold")
    console.print(f"  export DOCKER_HOST={result.docker_host}")
    if is_context_ours:
        console.print("\nThe berth command finds it by itself; elsewhere:", style="bold")
    else:
        console.print("\nYour context file names another cluster; to use this one:", style="bold")
    for line in environment_lines(result):
        console.print(f"  {line}")
    console.print("\nTry:", style="bold")
    console.print("  docker service create --name web --replicas 5 nginx")
    console.print("  docker service ps web")
    console.print("  berth explain web")
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
