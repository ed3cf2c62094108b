"""What a scheduler takes in while it runs, and who must be told.

Duty: the settings that may change live, and the parts that exchange something for them.
Not here: how a reload goes (berth.reload).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from berth.reload import Commit, Reloader, prepare_certificate, renewed
from berth.wire.live_tls import LiveTls
from scheduler.config import SchedulerSettings
from scheduler.registry.resolve import ImageResolver
from scheduler.registry.transport import RegistrySettings
from scheduler.store.etcd_client import EtcdClient
from scheduler.store.etcd_settings import EtcdSettings

LIVE: Final = (
    "log.",
    "tls.",
    "registry.",
    "etcd.ca_file",
    "etcd.cert_file",
    "etcd.key_file",
)


@dataclass(frozen=True, slots=True)
class LiveParts:
    """The parts of a scheduler that a reload changes."""

    tls: LiveTls | None
    etcd: EtcdClient
    resolver: ImageResolver
    renew_forwarder: Callable[[], None]
    renew_gateway: Callable[[], None]


def add_parts(
    reloader: Reloader[SchedulerSettings], parts: LiveParts, env: Mapping[str, str]
) -> None:
    """Let each part take in what it uses of the settings."""
    if parts.tls is not None:
        parts.tls.on_exchange(lambda _: parts.renew_forwarder())
        parts.tls.on_exchange(lambda _: parts.renew_gateway())

    def certificate(settings: SchedulerSettings) -> Commit:
        return prepare_certificate(parts.tls, settings.tls_settings(), env)

    def etcd(settings: SchedulerSettings) -> Commit:
        return parts.etcd.prepare_tls(etcd_settings(settings, env))

    def registry(settings: SchedulerSettings) -> Commit:
        asked = registry_settings(settings)
        return lambda: parts.resolver.configure(asked)

    for prepare in (certificate, etcd, registry):
        reloader.add(prepare)


def etcd_settings(
    settings: SchedulerSettings, env: Mapping[str, str] | None = None
) -> EtcdSettings:
    """Return how etcd is reached.

    Args:
        settings: of the process.
        env: at a reload the environment, by which renewed credentials are found.
    """
    section = settings.etcd

    def file(path: str) -> str | None:
        return str(renewed(Path(path), env or {})) if path else None

    return EtcdSettings(
        endpoints=section.endpoints,
        prefix=section.prefix,
        ca_file=file(section.ca_file),
        cert_file=file(section.cert_file),
        key_file=file(section.key_file),
        username=section.username or None,
        password=section.password or None,
    )


def registry_settings(settings: SchedulerSettings) -> RegistrySettings:
    """Return how registries are asked."""
    section = settings.registry
    return RegistrySettings(
        insecure_registries=section.insecure_registries, ca_file=section.ca_file
    )
