"""Which cluster the `berth` command speaks to.

Duty: scheduler addresses and certificate files from flags, the environment or the context file, the
first of these that names them; and the context file itself.
Not here: the client (berth.client).

The context file is what `berth up` writes, so that every later command finds the cluster:
``~/.berth/context.toml``, or the file that BERTH_CONTEXT or --context names::

    scheduler = ["127.0.0.1:7701", "127.0.0.1:7711"]
    docker_host = "tcp://127.0.0.1:7702"

    [tls]
    ca_file = "/home/me/.berth/tls/ca.pem"
    cert_file = "/home/me/.berth/tls/client.pem"
    key_file = "/home/me/.berth/tls/client-key.pem"
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from berth.client import CALL_TIMEOUT_S, ControlClient
from berth.config import load_settings
from berth.errors import ConfigError, Fault
from berth.wire.tls import TlsSettings

DEFAULT_SCHEDULER: Final = "127.0.0.1:7701"
_CONTEXT_NAME: Final = "context.toml"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of PEM files: all three, or none for plain connections."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """Where the schedulers are, how we prove who we are, and how long a call may take."""

    scheduler: tuple[str, ...] = (DEFAULT_SCHEDULER,)
    tls: TlsFiles = field(default_factory=TlsFiles)
    call_timeout_s: float = CALL_TIMEOUT_S
    docker_host: str = ""

    def validate(self) -> None:
        """Check addresses and files.

        Raises:
            ConfigError: it lists every fault.
        """
        faults = []
        if not self.scheduler:
            faults.append(Fault("scheduler", "is empty; name at least one HOST:PORT"))
        for address in self.scheduler:
            port = address.rpartition(":")[2]
            if not address.startswith("unix:") and not port.isdigit():
                faults.append(Fault("scheduler", f'"{address}" is not HOST:PORT'))
        if self.call_timeout_s <= 0:
            faults.append(Fault("call_timeout_s", f"{self.call_timeout_s:g} is not above 0"))
        if faults:
            raise ConfigError("; ".join(map(str, faults)), faults)

    def open_client(self) -> ControlClient:
        """Return a client; it connects when first used.

        Raises:
            ConfigError: some certificate files are missing or unreadable.
        """
        files = self.tls
        tls = TlsSettings.from_paths(files.ca_file, files.cert_file, files.key_file)
        return ControlClient(self.scheduler, tls=tls, timeout_s=self.call_timeout_s)


def context_path(env: Mapping[str, str]) -> Path:
    """Return where the context file is, whether or not it exists."""
    named = env.get("BERTH_CONTEXT")
    if named:
        return Path(named)
    return Path(env.get("HOME") or Path.home()) / ".berth" / _CONTEXT_NAME


def load_connection(
    *, env: Mapping[str, str], flags: Mapping[str, object], context: Path | None = None
) -> ConnectionSettings:
    """Return what flags, environment and context file say.

    Args:
        env: the environment.
        flags: values by setting; None = not given.
        context: the file that --context names; it must exist.

    Raises:
        ConfigError: it lists every fault.
    """
    named = context or (context_path(env) if env.get("BERTH_CONTEXT") else None)
    file = named or context_path(env)
    if named is None and not file.is_file():
        file = None  # type: ignore[assignment]  # The default one need not exist.
    return load_settings(ConnectionSettings, file=file, env=env, flags=flags)


def write_context(
    path: Path, scheduler: Sequence[str], *, tls: TlsFiles | None = None, docker_host: str = ""
) -> None:
    """Write the context file, readable by its user alone; an old one is replaced at once."""
    # JSON's strings and lists of strings are TOML's as well.
    lines = [f"scheduler = {json.dumps(list(scheduler))}"]
    if docker_host:
        lines.append(f"docker_host = {json.dumps(docker_host)}")
    if tls is not None:
        lines += ["", "[tls]"]
        lines += [
            f"{name} = {json.dumps(getattr(tls, name))}"
            for name in ("ca_file", "cert_file", "key_file")
        ]
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write("\n".join(lines) + "\n")
    fresh.replace(path)
