"""Entry point of `berth-agent`: settings, logging, exit code. The parts are in `process`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from berth.config import check_config, load_settings
from berth.errors import BerthError
from berth.logging import LogSettings, configure_logging
from berth.process import EXIT_REFUSED, run_process
from nodeagent.config import AgentSettings
from nodeagent.process import AgentProcess


def _flags(options: Mapping[str, Any]) -> dict[str, object]:
    """Return the flags by the key of the setting that each one overrides."""
    schedulers = tuple(part for text in options["scheduler"] for part in text.split(",") if part)
    return {
        "scheduler": schedulers or None,
        "docker": options["docker"],
        "node_name": options["node_name"],
        "label": options["label"] or None,
        "generic_resource": options["generic_resource"] or None,
        "state_dir": options["state_dir"],
        "files_dir": options["files_dir"],
        "advertise": options["advertise"],
        "http_listen": options["http_listen"],
        "cpus": options["cpus"],
        "memory": options["memory"],
        "tls.ca_file": options["tls_ca_file"],
        "tls.cert_file": options["tls_cert_file"],
        "tls.key_file": options["tls_key_file"],
    }


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", type=click.Path(path_type=Path), help="Settings in TOML.")
@click.option("--check-config", "only_check", is_flag=True, help="Check the settings and exit.")
@click.option(
    "--scheduler", multiple=True, metavar="HOST:PORT[,HOST:PORT…]", help="Schedulers to join."
)
@click.option("--docker", metavar="URL", help="The Engine (unix:///var/run/docker.sock).")
@click.option("--node-name", help="Name of this node (the host's).")
@click.option("--label", multiple=True, metavar="K=V", help="Label of this node; repeatable.")
@click.option(
    "--generic-resource",
    multiple=True,
    metavar="KIND=COUNT|KIND='NAME NAME…'",
    help="Generic resource of this node; repeatable.",
)
@click.option("--state-dir", type=click.Path(path_type=Path), help="/var/lib/berth-agent")
@click.option(
    "--files-dir",
    type=click.Path(path_type=Path),
    help="In memory (tmpfs), for configs and secrets: /run/berth-files",
)
@click.option("--advertise", metavar="IP", help="Where this node's published ports are reached.")
@click.option("--http-listen", metavar="HOST:PORT", help="For metrics and health (:7703).")
@click.option("--cpus", help="CPUs that the node offers (all of the machine's).")
@click.option("--memory", help="Memory that the node offers (all of the machine's).")
@click.option("--tls-ca-file", help="Authority that all certificates must be from.")
@click.option("--tls-cert-file", help="Our certificate, with the role agent.")
@click.option("--tls-key-file", help="Its key.")
def main(config: Path | None, only_check: bool, **options: Any) -> None:
    """Run a Berth agent: it makes this machine's Docker Engine a node of the cluster."""

    def load() -> AgentSettings:
        return load_settings(AgentSettings, file=config, env=os.environ, flags=_flags(options))

    if only_check:
        raise SystemExit(check_config(load, click.echo))
    try:
        settings = load()
    except BerthError as error:
        click.echo(f"Error: {error.message}", err=True)
        raise SystemExit(EXIT_REFUSED) from error

    def log_as(wanted: LogSettings) -> None:
        configure_logging(wanted, context={"program": "berth-agent"}, env=os.environ)

    log_as(settings.log)
    raise SystemExit(run_process(AgentProcess(settings, load, log_as).serve))
