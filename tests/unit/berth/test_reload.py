"""A reload is taken in whole or refused whole, and it is said how it went."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from berth.certificates import create_authority, issue
from berth.clock import SystemClock
from berth.entropy import SystemEntropy
from berth.errors import ConfigError
from berth.model.instant import Instant, Timestamp
from berth.reload import Reloader, ReloadMetrics, prepare_certificate, renewed
from berth.systemd import Notifier
from berth.wire.live_tls import LiveTls
from berth.wire.tls import Role


@dataclass(frozen=True)
class Log:
    level: str = "info"


@dataclass(frozen=True)
class Settings:
    name: str = "one"
    password: str = field(default="", repr=False)
    log: Log = field(default_factory=Log)


class FixedClock:
    now = 100.0

    def instant(self) -> Instant:
        return Instant(self.now)

    def timestamp(self) -> Timestamp:
        return Timestamp(self.now)

    async def sleep(self, delay_s: float) -> None:
        raise AssertionError("a reload waits for nothing")


class Bench:
    """A reloader whose file is an attribute."""

    def __init__(self) -> None:
        self.file: Settings | Exception = Settings()
        self.clock = FixedClock()
        self.registry = CollectorRegistry()
        self.applied: list[str] = []
        self.reloader = Reloader(
            Settings(),
            self._load,
            ("log.",),
            metrics=ReloadMetrics(self.registry, self.clock),
            notifier=Notifier("", 0),
        )
        self.reloader.add(lambda new: lambda: self.applied.append(new.log.level))

    def _load(self) -> Settings:
        if isinstance(self.file, Exception):
            raise self.file
        return self.file

    def metric(self, name: str) -> float | None:
        return self.registry.get_sample_value(f"berth_config_reload_{name}")

    def reload(self) -> list[Mapping[str, Any]]:
        self.clock.now += 1
        with capture_logs() as lines:
            self.reloader.reload()
        return lines


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_start_counts_as_settings_taken_in(bench: Bench) -> None:
    assert (bench.metric("success"), bench.metric("timestamp_seconds")) == (1, 100)


def test_what_may_change_is_applied_and_told(bench: Bench) -> None:
    bench.file = Settings(log=Log("debug"))
    (line,) = bench.reload()
    assert (line["event"], line["changed"]) == ("config_reloaded", ["log.level"])
    assert bench.applied == ["debug"]
    assert (bench.metric("success"), bench.metric("timestamp_seconds")) == (1, 101)


def test_what_needs_a_restart_is_named_each_time_and_never_shown(bench: Bench) -> None:
    bench.file = Settings(name="two", password="hunter2", log=Log("debug"))
    for _ in range(2):
        *_, line = bench.reload()
        assert line["log_level"] == "warning"
        assert (line["event"], line["settings"]) == ("config_needs_restart", ["name", "password"])
        assert "hunter2" not in str(line)
    bench.file = replace(bench.file, name="one", password="")
    (line,) = bench.reload()
    assert line["event"] == "config_reloaded"


def test_a_broken_file_changes_nothing(bench: Bench) -> None:
    bench.file = ConfigError("log.level: no such level")
    (line,) = bench.reload()
    assert (line["event"], line["log_level"]) == ("config_reload_refused", "error")
    assert "no such level" in line["error"]
    assert bench.applied == []
    assert (bench.metric("success"), bench.metric("timestamp_seconds")) == (0, 100)
    bench.file = Settings()
    bench.reload()
    assert (bench.metric("success"), bench.metric("timestamp_seconds")) == (1, 102)


def test_a_part_that_refuses_keeps_the_others_from_changing(bench: Bench) -> None:
    def refuse(new: Settings) -> Callable[[], None]:
        raise ConfigError("tls.cert_file: no certificate")

    bench.reloader.add(refuse)
    bench.file = Settings(log=Log("debug"))
    (line,) = bench.reload()
    assert line["event"] == "config_reload_refused"
    assert bench.applied == []


def test_a_renewed_credential_stands_in_for_the_loaded_one(tmp_path: Path) -> None:
    loaded, runtime = tmp_path / "loaded", tmp_path / "run"
    env = {"CREDENTIALS_DIRECTORY": str(loaded), "RUNTIME_DIRECTORY": str(runtime)}
    key = loaded / "tls.key"
    assert renewed(key, env) == key, "nothing was renewed"
    newer = runtime / "credentials" / "tls.key"
    newer.parent.mkdir(parents=True)
    newer.touch()
    assert renewed(key, env) == newer
    assert renewed(tmp_path / "tls.key", env) == tmp_path / "tls.key", "no credential of systemd's"
    assert renewed(key, {}) == key, "no systemd"


def test_tls_is_not_switched_on_or_off(tmp_path: Path) -> None:
    ports = {"clock": SystemClock(), "entropy": SystemEntropy()}
    files = issue(create_authority(tmp_path, **ports), Role.AGENT, "m1", [], tmp_path, **ports)
    prepare_certificate(None, None, {})()
    prepare_certificate(LiveTls(files), files, {})()
    for live, wanted in ((None, files), (LiveTls(files), None)):
        with pytest.raises(ConfigError, match="restart the program"):
            prepare_certificate(live, wanted, {})
