"""The `berth` command.

Duty: global options, the commands' tree, and how a refusal ends the program: one line that begins
with "Error:" and exit code 1; a wrong use is 2, an interrupt 130.
Not here: the commands (cli.services, cli.services_show, cli.nodes, cli.files, cli.cluster,
cli.certificates, cli.local).
"""

import importlib.metadata
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from berth.clock import SystemClock
from berth.entropy import SystemEntropy
from berth.errors import BerthError
from cli import certificates, cluster, files, job_runs, nodes, services, services_show
from cli.command import Shell
from cli.local import down, up
from cli.output import make_console

EXIT_REFUSED: Final = 1
EXIT_INTERRUPTED: Final = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--scheduler", metavar="HOST:PORT[,…]",
              help="Schedulers to ask; one that answers is enough.")  # fmt: skip
@click.option("--context", type=click.Path(path_type=Path), metavar="FILE",
              help="File that names the cluster (~/.berth/context.toml).")  # fmt: skip
@click.option("--tls-ca-file", metavar="FILE", help="Certificate of the cluster's authority.")
@click.option("--tls-cert-file", metavar="FILE", help="Your certificate, of the role client.")
@click.option("--tls-key-file", metavar="FILE", help="Your private key.")
@click.option("--call-timeout", metavar="DURATION",
              help="How long one call may take (30s).")  # fmt: skip
@click.version_option(importlib.metadata.version("berth"), prog_name="berth")
@click.pass_context
def berth(
    ctx: click.Context,
    scheduler: str | None,
    context: Path | None,
    tls_ca_file: str | None,
    tls_cert_file: str | None,
    tls_key_file: str | None,
    call_timeout: str | None,
) -> None:
    """Run containers on a cluster of Docker Engines.

    No cluster yet? `berth up` starts one on this machine, and every later command finds it.

    Which cluster is spoken to is said by the flags below, else by BERTH_SCHEDULER,
    BERTH_TLS_CA_FILE, BERTH_TLS_CERT_FILE and BERTH_TLS_KEY_FILE, else by the context file.
    """
    flags: dict[str, object] = {
        "scheduler": scheduler,
        "tls.ca_file": tls_ca_file,
        "tls.cert_file": tls_cert_file,
        "tls.key_file": tls_key_file,
        "call_timeout_s": call_timeout,
    }
    ctx.obj = Shell(
        env=os.environ,
        flags=flags,
        context=context,
        out=make_console(),
        err=make_console(is_stderr=True),
        clock=SystemClock(),
        entropy=SystemEntropy(),
    )


services.service.add_command(job_runs.runs)
for command in (
    services.service,
    nodes.node,
    files.config,
    files.secret,
    cluster.cluster,
    cluster.status,
    services_show.explain,
    certificates.certificate,
    up,
    down,
):
    berth.add_command(command)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    try:
        berth.main(args=args, prog_name="berth", standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("\nInterrupted. What was asked of the cluster goes on by itself.\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has enough. Nothing may be flushed into the broken pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_REFUSED
    except BerthError as error:
        make_console(is_stderr=True).print(f"Error: {error.message}", style="red")
        return EXIT_REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
