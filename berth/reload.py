"""Take in changed settings while a process runs: all of them that may, or none.

Duty: on SIGHUP read the settings anew, let each part prepare what it needs from them, and only then
put everything in use; name what needs a restart; tell how it went, in the log and as metrics.
Not here: which settings may change (scheduler.reloads, nodeagent.process), reading them
(berth.config), holding a certificate (berth.wire.live_tls).
Invariants (tests/unit/berth/test_reload.py): a file that is refused, by anybody, changes nothing; a
setting that needs a restart is named at each reload until the restart, and is not applied.
"""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final, Generic, TypeVar

import structlog
from prometheus_client import CollectorRegistry, Gauge

from berth.clock import Clock
from berth.config import settings_by_key
from berth.errors import BerthError, ConfigError, Fault
from berth.systemd import Notifier
from berth.wire.live_tls import LiveTls
from berth.wire.tls import TlsSettings

log = structlog.get_logger(__name__)

S = TypeVar("S")
Commit = Callable[[], object]
Prepare = Callable[[S], Commit]

RENEWED_FOLDER: Final = "credentials"
"""Within RUNTIME_DIRECTORY: what deploy/systemd/renew-credentials puts there at a reload."""


class ReloadMetrics:
    """How the last reload went; a start counts as one that succeeded."""

    def __init__(self, registry: CollectorRegistry, clock: Clock) -> None:
        self._clock = clock
        self._success = Gauge(
            "berth_config_reload_success",
            "1 if the settings were taken in when they were last read, 0 if they were refused.",
            registry=registry,
        )
        self._read_at = Gauge(
            "berth_config_reload_timestamp_seconds",
            "When settings were last taken in, in seconds since 1970.",
            registry=registry,
        )
        self.taken_in()

    def taken_in(self) -> None:
        """Note that settings were read and are in use."""
        self._success.set(1)
        self._read_at.set(self._clock.timestamp())

    def refused(self) -> None:
        """Note that settings were read and refused."""
        self._success.set(0)


class Reloader(Generic[S]):
    """Knows the settings in use, and how to exchange them."""

    def __init__(
        self,
        settings: S,
        load: Callable[[], S],
        live: Collection[str],
        *,
        metrics: ReloadMetrics,
        notifier: Notifier,
    ) -> None:
        """Change nothing yet.

        Args:
            settings: in use since the start.
            load: reads them anew, or raises a BerthError.
            live: keys that may change while the process runs, such as ``log.level``; a key that
                ends with a dot stands for a whole table.
            metrics: told of each reload.
            notifier: the service manager, told as well.
        """
        self._in_use = settings_by_key(settings)
        self._load = load
        self._live = frozenset(live)
        self._metrics = metrics
        self._notifier = notifier
        self._prepares: list[Prepare[S]] = []

    def add(self, prepare: Prepare[S]) -> None:
        """Let a part take in settings.

        Args:
            prepare: given the new settings, it checks and builds all that may fail, changes
                nothing, and returns what puts it in use. It refuses by raising a BerthError. It is
                called at each reload, changed settings or not: files may have changed.
        """
        self._prepares.append(prepare)

    def reload(self) -> bool:
        """Read the settings and put them in use; return whether they were taken in."""
        self._notifier.reloading()
        try:
            settings = self._load()
            commits = [prepare(settings) for prepare in self._prepares]
        except BerthError as error:
            self._metrics.refused()
            log.error("config_reload_refused", error=error.message, in_use="the settings before")
            return False
        else:
            for commit in commits:
                commit()
            self._tell(settings_by_key(settings))
            return True
        finally:
            self._notifier.reloaded()

    def _tell(self, found: Mapping[str, object]) -> None:
        changed = {key for key, value in found.items() if value != self._in_use.get(key)}
        live = {key for key in changed if key in self._live or _table(key) in self._live}
        self._in_use |= {key: found[key] for key in live}
        self._metrics.taken_in()
        log.info("config_reloaded", changed=sorted(live))
        if waiting := sorted(changed - live):
            # Names only: a value may be a secret.
            log.warning("config_needs_restart", settings=waiting, fix="restart the program")


def _table(key: str) -> str:
    return key.partition(".")[0] + "."


def prepare_certificate(
    live: LiveTls | None, settings: TlsSettings | None, env: Mapping[str, str]
) -> Commit:
    """Prepare the exchange of a program's certificate for what its settings name now.

    Args:
        live: in use; None without TLS.
        settings: as loaded anew.
        env: by which renewed credentials are found.

    Raises:
        ConfigError: the files cannot be used, or TLS is to be switched on or off.
    """
    if live is None and settings is None:
        return lambda: None
    if live is None or settings is None:
        problem = "TLS cannot be switched on or off by a reload: restart the program"
        raise ConfigError(problem, [Fault("tls", problem)])
    files = (settings.ca_file, settings.cert_file, settings.key_file)
    return live.prepare(TlsSettings(*(renewed(file, env) for file in files)))


def renewed(path: Path, env: Mapping[str, str]) -> Path:
    """Return the file that stands in for a credential of systemd's since a reload, else `path`.

    systemd loads credentials once, at the start of a unit. When it reloads one, root copies them
    anew into the unit's runtime directory, which is gone at the next start.

    Args:
        path: as the settings name it.
        env: the environment, for CREDENTIALS_DIRECTORY and RUNTIME_DIRECTORY.
    """
    folder, loaded = env.get("RUNTIME_DIRECTORY", ""), env.get("CREDENTIALS_DIRECTORY", "")
    if not folder or not loaded or path.parent != Path(loaded):
        return path
    newer = Path(folder.partition(":")[0]) / RENEWED_FOLDER / path.name
    return newer if newer.exists() else path
