"""Entry point of `berth-scheduler`: settings, logging, exit code. The parts are in `process`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from berth.config import check_config, load_settings
from berth.errors import BerthError
from berth.logging import LogSettings, configure_logging
from berth.process import EXIT_REFUSED, run_process
from scheduler.config import SchedulerSettings
from scheduler.process import SchedulerProcess


def _flags(options: Mapping[str, Any]) -> dict[str, object]:
    """Return the flags by the key of the setting that each one overrides."""
    endpoints = tuple(part for text in options["etcd"] for part in text.split(",") if part)
    return {
        "name": options["name"],
        "grpc_listen": options["grpc_listen"],
        "http_listen": options["http_listen"],
        "advertise": options["advertise"],
        "key_file": options["key_file"],
        "docker_socket": options["docker_socket"],
        "etcd.endpoints": endpoints or None,
        "etcd.prefix": options["etcd_prefix"],
        "tls.ca_file": options["tls_ca_file"],
        "tls.cert_file": options["tls_cert_file"],
        "tls.key_file": options["tls_key_file"],
        "registry.insecure_registries": options["insecure_registry"] or None,
    }


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", type=click.Path(path_type=Path), help="Settings in TOML.")
@click.option("--check-config", "only_check", is_flag=True, help="Check the settings and exit.")
@click.option("--name", help="Name of this scheduler, unique in the cluster (the host's).")
@click.option("--etcd", multiple=True, metavar="URL[,URL…]", help="etcd's members.")
@click.option("--etcd-prefix", help="Prefix of all keys (/berth/).")
@click.option("--grpc-listen", metavar="HOST:PORT", help="For agents and clients (:7701).")
@click.option(
    "--http-listen",
    metavar="HOST:PORT",
    help="For metrics, health and the Docker API (:7702); plain, the latter on loopback alone.",
)
@click.option("--docker-socket", metavar="PATH", help="Unix socket for the Docker API (none).")
@click.option("--advertise", metavar="HOST[:PORT]", help="How others reach us (our host name).")
@click.option("--key-file", help="Key that seals credentials, configs and secrets at rest.")
@click.option("--tls-ca-file", help="Authority that all certificates must be from.")
@click.option("--tls-cert-file", help="Our certificate, with the role scheduler.")
@click.option("--tls-key-file", help="Its key.")
@click.option(
    "--insecure-registry",
    multiple=True,
    metavar="HOST:PORT|CIDR",
    help="Registries that may speak plain HTTP.",
)
def main(config: Path | None, only_check: bool, **options: Any) -> None:
    """Run a Berth scheduler: it leads the cluster, or stands by to."""

    def load() -> SchedulerSettings:
        return load_settings(SchedulerSettings, file=config, env=os.environ, flags=_flags(options))

    if only_check:
        raise SystemExit(check_config(load, click.echo))
    try:
        settings = load()
    except BerthError as error:
        click.echo(f"Error: {error.message}", err=True)
        raise SystemExit(EXIT_REFUSED) from error

    def log_as(wanted: LogSettings) -> None:
        configure_logging(
            wanted,
            context={"program": "berth-scheduler", "scheduler": settings.name},
            env=os.environ,
        )

    log_as(settings.log)
    # Made inside, so that a file that cannot be read is told in a line, not by a traceback.
    raise SystemExit(
        run_process(lambda supervisor: SchedulerProcess(settings, load, log_as).serve(supervisor))
    )
