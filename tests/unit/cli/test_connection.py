import stat
from pathlib import Path

import pytest

from berth.errors import ConfigError
from cli.connection import (
    DEFAULT_SCHEDULER,
    ConnectionSettings,
    TlsFiles,
    context_path,
    load_connection,
    write_context,
)


def test_without_anything_the_cluster_is_on_this_machine(tmp_path: Path) -> None:
    found = load_connection(env={"HOME": str(tmp_path)}, flags={})
    assert found == ConnectionSettings()
    assert found.scheduler == (DEFAULT_SCHEDULER,)


def test_flags_beat_the_environment_which_beats_the_context_file(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path)}
    tls = TlsFiles("/ca", "/cert", '/key with "quotes"')
    write_context(context_path(env), ["a:1", "b:2"], tls=tls, docker_host="tcp://a:7702")
    found = load_connection(env=env, flags={})
    assert found.scheduler == ("a:1", "b:2")
    assert found.tls == tls
    assert found.docker_host == "tcp://a:7702"
    env["BERTH_SCHEDULER"] = "c:3"
    assert load_connection(env=env, flags={}).scheduler == ("c:3",)
    assert load_connection(env=env, flags={"scheduler": "d:4,e:5"}).scheduler == ("d:4", "e:5")
    assert load_connection(env=env, flags={"call_timeout_s": "3s"}).call_timeout_s == 3.0


def test_the_context_file_is_its_users_alone_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "context.toml"
    write_context(path, ["a:1"])
    write_context(path, ["b:2"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    env = {"BERTH_CONTEXT": str(path)}
    assert load_connection(env=env, flags={}).scheduler == ("b:2",)
    assert list(path.parent.iterdir()) == [path]


def test_a_context_file_that_was_named_must_exist(tmp_path: Path) -> None:
    for env, context in (
        ({"BERTH_CONTEXT": str(tmp_path / "none")}, None),
        ({"HOME": str(tmp_path)}, tmp_path / "none"),
    ):
        with pytest.raises(ConfigError, match="cannot be read"):
            load_connection(env=env, flags={}, context=context)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"scheduler": "nowhere"}, '"nowhere" is not HOST:PORT'),
        ({"scheduler": ","}, "is empty"),
        ({"call_timeout_s": "0s"}, "is not above 0"),
        ({"call_timeout_s": "soon"}, r"\(--call-timeout\) is not a duration"),
    ],
)
def test_wrong_settings_are_refused(tmp_path: Path, flags: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_connection(env={"HOME": str(tmp_path)}, flags=flags)


def test_half_of_the_certificates_is_refused() -> None:
    settings = ConnectionSettings(tls=TlsFiles(ca_file="/ca"))
    with pytest.raises(ConfigError, match=r"tls\.cert_file"):
        settings.open_client()
