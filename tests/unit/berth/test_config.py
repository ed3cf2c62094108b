from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import pytest

from berth.config import check_config, describe_settings, load_settings
from berth.errors import ConfigError, Fault


class Mood(StrEnum):
    CALM = "calm"
    LOUD = "loud"


@dataclass(frozen=True, slots=True)
class Tls:
    cert_file: Path | None = None
    key_file: Path | None = None

    def __post_init__(self) -> None:
        if (self.cert_file is None) != (self.key_file is None):
            raise ConfigError("x", [Fault("cert_file", "needs key_file")])


@dataclass(frozen=True, slots=True)
class Settings:
    name: str
    etcd: tuple[str, ...] = ("127.0.0.1:2379",)
    lost_after_s: float = 5.0
    heartbeat_s: float = 1.0
    cache_bytes: int = 1024
    workers: int = 4
    is_eager: bool = False
    mood: Mood = Mood.CALM
    labels: Mapping[str, str] = field(default_factory=dict)
    state_dir: Path = Path("/var/lib/berth")
    password: str = ""
    tls: Tls = field(default_factory=Tls)

    def validate(self) -> None:
        if self.heartbeat_s > self.lost_after_s / 3:
            raise ValueError("heartbeat_s is above a third of lost_after_s")


def load(
    tmp_path: Path,
    text: str = 'name = "a"',
    env: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Settings:
    file = tmp_path / "berth.toml"
    file.write_text(text)
    return load_settings(Settings, file=file, env=env or {}, flags=flags or {})


def faults_of(
    tmp_path: Path,
    text: str = 'name = "a"',
    env: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, env, flags)
    return [str(fault) for fault in caught.value.faults]


def test_a_file_fills_every_kind_of_setting(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        """
        name = "s1"
        etcd = ["a:1", "b:2"]
        lost-after-s = "10s"
        cache_bytes = "2m"
        workers = 8
        is_eager = true
        mood = "loud"
        labels = { zone = "a" }
        state_dir = "/tmp/x"
        [tls]
        cert_file = "c.pem"
        key_file = "k.pem"
        """,
    )
    assert settings == Settings(
        name="s1",
        etcd=("a:1", "b:2"),
        lost_after_s=10.0,
        cache_bytes=2 * 1024 * 1024,
        workers=8,
        is_eager=True,
        mood=Mood.LOUD,
        labels={"zone": "a"},
        state_dir=Path("/tmp/x"),
        tls=Tls(Path("c.pem"), Path("k.pem")),
    )


def test_the_environment_overrides_the_file_and_flags_override_both(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        'name = "file"\nworkers = 1\nis_eager = true\nmood = "loud"',
        env={
            "BERTH_WORKERS": "2",
            "BERTH_NAME": "env",
            "BERTH_ETCD": "x:1, y:2",
            "BERTH_LABELS": "zone=a,disk=ssd",
            "BERTH_TLS_CERT_FILE": "c",
            "BERTH_TLS_KEY_FILE": "k",
            "BERTH_IS_EAGER": "off",
            "BERTH_MOOD": "",
        },
        flags={"name": "flag", "workers": None, "labels": ("zone=b",), "tls.cert_file": "c2"},
    )
    assert settings.name == "flag"
    assert settings.workers == 2
    assert settings.etcd == ("x:1", "y:2")
    assert settings.labels == {"zone": "b"}
    assert settings.tls == Tls(Path("c2"), Path("k"))
    assert settings.is_eager is False
    assert settings.mood is Mood.LOUD, "an empty variable counts as unset"


def test_every_fault_is_told_at_once_with_key_value_and_fix(tmp_path: Path) -> None:
    found = faults_of(
        tmp_path,
        """
        lost_aftr_s = 3
        workers = "many"
        is_eager = 3
        mood = "sad"
        labels = ["zone"]
        state_dir = 5
        name = 7
        [tls]
        cert_file = "c"
        [zzz]
        """,
        env={"BERTH_HEARTBEAT_S": "5 apples", "BERTH_WORKRES": "3"},
    )
    file = tmp_path / "berth.toml"
    assert found == [
        f'lost_aftr_s: there is no such setting ({file}); did you mean "lost_after_s"?',
        f"zzz: there is no such setting ({file}); there are cache_bytes, etcd, heartbeat_s, "
        "is_eager, labels, lost_after_s, mood, name, password, state_dir, tls, workers",
        'BERTH_WORKRES: there is no such setting; did you mean "BERTH_WORKERS"?',
        f"name: 7 ({file}) is not text; put it in quotes",
        "heartbeat_s: '5 apples' (BERTH_HEARTBEAT_S) is not a duration; write 5s, 1m30s or 500ms",
        f"workers: 'many' ({file}) is not a whole number",
        f"is_eager: 3 ({file}) is neither true nor false",
        f"mood: 'sad' ({file}) is not one of calm, loud",
        f"labels: ['zone'] ({file}) \"zone\" is not KEY=VALUE",
        f"state_dir: 5 ({file}) is not a path; write it in quotes",
        "tls.cert_file: needs key_file",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "name: is not set; set it in the file, by BERTH_NAME or by its flag"),
        pytest.param('name = "a"\ntls = 3', "tls: 3 ({file}) is not a table; write [tls]"),
        pytest.param('name = "a"\nheartbeat_s = 4', "heartbeat_s is above a third of lost_after_s"),
        pytest.param(
            'name = "a"\nlost_after_s = nan',
            "lost_after_s: nan ({file}) is not a duration; write 5s, 1m30s or 500ms",
        ),
        pytest.param(
            'name = "a"\npassword = 1234',
            "password: (secret) ({file}) is not text; put it in quotes",
        ),
    ],
    ids=["missing", "no table", "relation", "not finite", "secret"],
)
def test_single_faults(tmp_path: Path, text: str, expected: str) -> None:
    (found,) = faults_of(tmp_path, text)
    assert found == expected.format(file=tmp_path / "berth.toml")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read: No such file.*"):
        load_settings(Settings, file=tmp_path / "none", env={}, flags={"name": "a"})
    (found,) = faults_of(tmp_path, "name = ")
    assert "is not TOML" in found, "and not that the name is missing: who knows what it sets"


def test_variables_of_other_programs_are_left_alone(tmp_path: Path) -> None:
    env = {"BERTH_EPOCH": "3", "BERTH_SOMETHING_ELSE": "x", "PATH": "/bin"}
    assert load(tmp_path, env=env).name == "a"


def test_check_config_says_what_holds_and_hides_secrets(tmp_path: Path) -> None:
    lines: list[str] = []
    code = check_config(lambda: load(tmp_path, 'name = "a"\npassword = "hush"'), lines.append)
    assert code == 0
    assert 'name = "a"' in lines
    assert "password = (secret)" in lines
    assert "tls.cert_file = None" in lines
    assert lines[-1] == "the configuration is valid"
    assert "hush" not in "".join(lines)


def test_check_config_fails_with_the_faults(tmp_path: Path) -> None:
    lines: list[str] = []
    assert check_config(lambda: load(tmp_path, "workers = 1"), lines.append) == 1
    assert "name: is not set" in "".join(lines)


def test_described_lists_look_like_toml() -> None:
    assert 'etcd = ["127.0.0.1:2379"]' in describe_settings(Settings(name="a"))


def test_described_switches_can_be_copied_into_a_file() -> None:
    assert "is_eager = false" in describe_settings(Settings(name="a"))
    assert "is_eager = true" in describe_settings(Settings(name="a", is_eager=True))
