"""Which etcd a local cluster starts, and which it refuses."""

from pathlib import Path

import pytest

from berth.errors import ConfigError, UnavailableError
from cli.local_etcd import EtcdPlace, EtcdProgram, etcd_command, find_etcd, judge_etcd


def said(version: str) -> str:
    return f"etcd Version: {version}\nGit SHA: abc\nGo Version: go1.19.8\n"


@pytest.mark.parametrize("version", ["3.5.0", "3.5.1", "3.5.2"])
def test_releases_whose_members_can_differ_are_refused(version: str) -> None:
    with pytest.raises(ConfigError, match=f"etcd {version} .* is refused"):
        judge_etcd("/bin/etcd", said(version))


@pytest.mark.parametrize("version", ["3.3.25", "2.3.8"])
def test_old_releases_are_refused(version: str) -> None:
    with pytest.raises(ConfigError, match="too old"):
        judge_etcd("/bin/etcd", said(version))


@pytest.mark.parametrize("version", ["3.4.31", "3.5.13", "3.5.30", "3.6.0", "3.7.2"])
def test_good_releases_are_taken_without_a_word(version: str) -> None:
    program = judge_etcd("/bin/etcd", said(version))
    assert program.version_text == version
    assert program.warning == ""


@pytest.mark.parametrize("version", ["3.4.23", "3.5.3", "3.5.12"])
def test_releases_that_can_lose_watch_events_are_for_playing(version: str) -> None:
    assert "production needs" in judge_etcd("/bin/etcd", said(version)).warning


def test_what_is_no_etcd_is_refused() -> None:
    with pytest.raises(ConfigError, match="does not name an etcd"):
        judge_etcd("/bin/true", "")


def a_program(folder: Path, text: str) -> Path:
    path = folder / "etcd"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_variable_wins_over_the_path(tmp_path: Path) -> None:
    chosen = a_program(tmp_path, "echo etcd Version: 3.6.4")
    program = find_etcd({"ETCD_BIN": str(chosen), "PATH": "/usr/bin:/bin"})
    assert (program.path, program.version) == (str(chosen), (3, 6, 4))


def test_a_variable_that_names_nothing_is_an_error_even_with_etcd_on_the_path(
    tmp_path: Path,
) -> None:
    a_program(tmp_path, "echo etcd Version: 3.6.4")
    with pytest.raises(ConfigError, match="ETCD_BIN"):
        find_etcd({"ETCD_BIN": str(tmp_path / "absent"), "PATH": str(tmp_path)})


def test_without_etcd_the_message_names_every_way_out(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"apt-get install etcd-server.*ETCD_BIN.*--etcd"):
        find_etcd({"PATH": str(tmp_path)})


@pytest.mark.parametrize(
    ("version", "flag"),
    [
        ((3, 4, 23), "--experimental-watch-progress-notify-interval=10s"),
        ((3, 6, 0), "--watch-progress-notify-interval=10s"),
    ],
)
def test_the_command_fits_the_release(version: tuple[int, int, int], flag: str) -> None:
    member = EtcdPlace("e1", Path("/data"), "http://127.0.0.1:1", "http://127.0.0.1:2")
    command = etcd_command(EtcdProgram("/bin/etcd", version), member)
    assert flag in command
    assert "--listen-client-urls=http://127.0.0.1:1" in command
    assert "--initial-cluster=e1=http://127.0.0.1:2" in command
