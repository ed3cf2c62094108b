"""Whose context file it is."""

from pathlib import Path

import pytest

from berth.wire.tls import TlsSettings
from cli.connection import load_connection, write_context
from cli.local_context import drop_context, take_context
from cli.local_record import Folders


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path / "work")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def a_tls(folders: Folders) -> TlsSettings:
    return TlsSettings(
        folders.tls / "ca.crt", folders.tls / "operator.crt", folders.tls / "operator.key"
    )


def test_commands_find_the_cluster_without_any_variable(
    folders: Folders, env: dict[str, str]
) -> None:
    assert take_context(folders, ["127.0.0.1:7701", "127.0.0.1:7711"], a_tls(folders), env)
    found = load_connection(env=env, flags={})
    assert found.scheduler == ("127.0.0.1:7701", "127.0.0.1:7711")
    assert found.tls.key_file == str(folders.tls / "operator.key")


def test_a_second_up_renews_its_own_file(folders: Folders, env: dict[str, str]) -> None:
    take_context(folders, ["127.0.0.1:1"], a_tls(folders), env)
    assert take_context(folders, ["127.0.0.1:2"], a_tls(folders), env)
    assert load_connection(env=env, flags={}).scheduler == ("127.0.0.1:2",)


def test_another_clusters_context_is_left_alone(
    folders: Folders, env: dict[str, str], tmp_path: Path
) -> None:
    write_context(tmp_path / ".berth/context.toml", ["prod:7701"])
    assert not take_context(folders, ["127.0.0.1:1"], a_tls(folders), env)
    drop_context(folders, env)
    assert load_connection(env=env, flags={}).scheduler == ("prod:7701",)


def test_down_removes_its_own_file(folders: Folders, env: dict[str, str], tmp_path: Path) -> None:
    take_context(folders, ["127.0.0.1:1"], a_tls(folders), env)
    drop_context(folders, env)
    assert not (tmp_path / ".berth/context.toml").exists()
    drop_context(folders, env)  # Nothing is there any more, and that is fine.
