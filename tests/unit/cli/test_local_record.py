"""The record of a local cluster: whole, locked, and readable or refused."""

import json
from pathlib import Path

import pytest

from berth.errors import ConfigError, ConflictError
from cli.local_record import (
    Folders,
    LocalCluster,
    ProcessRecord,
    load_record,
    locked,
    save_record,
)


def a_cluster() -> LocalCluster:
    record = ProcessRecord("etcd", "etcd", ("etcd", "--x"), {"A": "b"}, "/w/etcd.log", 12, 345)
    return LocalCluster(
        docker_url="unix:///d.sock",
        etcd_urls=("http://127.0.0.1:2379",),
        scheduler_addresses=("127.0.0.1:7701",),
        nodes=3,
        cluster_id="c1",
        firewall_rules=[["nat", "POSTROUTING"]],
        links=["docker0"],
        processes={"etcd": record},
    )


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    save_record(folders, a_cluster())
    assert load_record(folders) == a_cluster()


def test_without_a_file_there_is_nothing(tmp_path: Path) -> None:
    assert load_record(Folders(tmp_path)) == LocalCluster()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("{", id="cut short"),
        pytest.param(json.dumps({"version": 99, "processes": {}}), id="of another version"),
        pytest.param(json.dumps({"version": 1, "processes": {}, "new": 1}), id="unknown key"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_that_says_what_to_do(
    tmp_path: Path, content: str
) -> None:
    folders = Folders(tmp_path)
    folders.record.write_text(content)
    with pytest.raises(ConfigError, match="end the processes"):
        load_record(folders)


def test_a_failed_save_leaves_the_old_record(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    save_record(folders, a_cluster())
    broken = a_cluster()
    broken.links.append(object())  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        save_record(folders, broken)
    assert load_record(folders) == a_cluster()


def test_two_commands_do_not_change_one_cluster_at_once(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    refused = pytest.raises(ConflictError, match="another `berth up`")
    with locked(folders), refused, locked(folders):
        pass
    with locked(folders):
        pass  # Free again.


def test_a_work_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--work-dir"), locked(Folders(tmp_path / "file")):
        pass


def test_the_default_folder_follows_xdg(tmp_path: Path) -> None:
    assert Folders.default({"XDG_DATA_HOME": "/x"}).work_dir == Path("/x/berth")
    assert Folders.default({}).work_dir == Path.home() / ".local/share/berth"
