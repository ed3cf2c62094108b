import base64
from pathlib import Path

import pytest

from berth.errors import ConfigError
from cli.registry_login import config_path, find_login, login_for

BASIC = base64.b64encode(b"me:hush").decode()
CONFIG = {
    "auths": {
        "https://index.docker.io/v1/": {"auth": BASIC},
        "reg.example:5000": {"auth": BASIC},
        "https://other.example/v2/": {"identitytoken": "tok"},
        "empty.example": {},
    }
}


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("busybox", ("me", "hush", "", "docker.io")),
        ("team/app:1", ("me", "hush", "", "docker.io")),
        ("reg.example:5000/app", ("me", "hush", "", "reg.example:5000")),
        ("other.example/app", ("", "", "tok", "other.example")),
    ],
)
def test_credentials_are_found_by_registry(image: str, expected: tuple[str, ...]) -> None:
    auth = find_login(CONFIG, image)
    assert auth is not None
    found = (auth.username, auth.password, auth.identity_token, auth.server_address)
    assert found == expected


@pytest.mark.parametrize("image", ["empty.example/app", "reg.example/app", "ghcr.io/a/b"])
def test_other_registries_get_nothing(image: str) -> None:
    assert find_login(CONFIG, image) is None


def test_no_file_means_no_credentials_and_a_broken_one_is_told(tmp_path: Path) -> None:
    env = {"DOCKER_CONFIG": str(tmp_path)}
    assert config_path(env) == tmp_path
    assert login_for("busybox", env) is None
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot read"):
        login_for("busybox", env)
