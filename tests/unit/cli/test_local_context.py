"""Whose context file it is."""

from pathlib import Path

import pytest

from berth.errors import InvalidRequestError
from berth.wire.tls import TlsSettings
from cli.connection import TlsFiles, load_connection, write_context
from cli.local_context import drop_context, folders_to_end, take_context
from cli.local_record import Folders, LocalCluster, ProcessRecord, save_record


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path / "work")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "share")}


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


def bring_up(folders: Folders) -> Folders:
    """Leave behind what a cluster that is up leaves in its folder."""
    folders.work_dir.mkdir(parents=True)
    etcd = ProcessRecord("etcd", "etcd", ("etcd",), {}, "/w/etcd.log", 12, 345)
    save_record(folders, LocalCluster(processes={"etcd": etcd}))
    return folders


def test_down_finds_the_folder_that_up_was_given(folders: Folders, env: dict[str, str]) -> None:
    take_context(bring_up(folders), ["127.0.0.1:1"], a_tls(folders), env)
    assert folders_to_end(env) == folders
    drop_context(folders, env)
    assert folders_to_end(env) == Folders.default(env)


def test_down_prefers_a_cluster_that_is_up_in_the_usual_folder(
    folders: Folders, env: dict[str, str]
) -> None:
    usual = bring_up(Folders.default(env))
    bring_up(folders)
    assert folders_to_end(env) == usual  # Nothing names the other one.
    take_context(folders, ["127.0.0.1:1"], a_tls(folders), env)
    with pytest.raises(InvalidRequestError, match=rf"{folders.work_dir}: say which one by"):
        folders_to_end(env)
    save_record(usual, LocalCluster())
    assert folders_to_end(env) == folders
    save_record(folders, LocalCluster())
    assert folders_to_end(env) == usual


def test_a_context_file_that_is_not_ups_leads_down_nowhere(
    folders: Folders, env: dict[str, str], tmp_path: Path
) -> None:
    for schedulers, tls in (
        (["prod:7701"], None),
        (["prod:7701"], TlsFiles(str(tmp_path / "ca.crt"), "/c", "/k")),
        (["prod:7701"], TlsFiles(str(folders.tls / "other.crt"), "/c", "/k")),
        (["127.0.0.1:1"], TlsFiles(str(tmp_path / "gone/tls/ca.crt"), "/c", "/k")),
    ):
        write_context(tmp_path / ".berth/context.toml", schedulers, tls=tls)
        assert folders_to_end(env) == Folders.default(env)
