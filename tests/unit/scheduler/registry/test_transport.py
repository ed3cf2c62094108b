import socket

import pytest
import requests

from berth.errors import ConfigError
from scheduler.registry.transport import RegistrySettings, clean, reason


@pytest.mark.parametrize(
    ("listed", "authority", "is_insecure"),
    [
        ((), "127.0.0.1:5000", True),
        ((), "127.8.9.10", True),
        ((), "[::1]:5000", True),
        ((), "localhost:5000", True),
        ((), "10.0.0.1:5000", False),
        ((), "r.example:5000", False),
        ((), "localhost.example", False),
        ((), "127.0.0.1.example:5000", False),
        (("r.example:5000",), "r.example:5000", True),
        (("r.example:5000",), "R.Example:5000", True),
        (("r.example:5000",), "r.example:5001", False),
        (("r.example",), "r.example:5001", True),
        (("10.0.0.0/8",), "10.1.2.3:5000", True),
        (("10.0.0.0/8",), "11.1.2.3:5000", False),
        (("fd00::/8",), "[fd00::1]:5000", True),
        (("fd00::/8",), "10.1.2.3:5000", False),
        (("10.1.2.3",), "10.1.2.3:5000", True),
    ],
)
def test_which_registries_need_not_prove_their_name(listed, authority, is_insecure):
    assert RegistrySettings(listed).is_insecure(authority) is is_insecure


def test_wrong_settings_are_all_named():
    with pytest.raises(ConfigError) as caught:
        RegistrySettings(("http://r:5000", "10.0.0.0/99", ""), read_timeout_s=0, ca_file="/no/ca")
    assert [fault.path for fault in caught.value.faults] == [
        *["insecure_registries"] * 3,
        "read_timeout_s",
        "ca_file",
    ]
    assert '"10.0.0.0/99" is not HOST, HOST:PORT or CIDR' in str(caught.value)


def test_a_failure_is_told_without_the_systems_number():
    error = requests.ConnectionError(socket.gaierror(-2, "Name or service not known"))
    assert reason(error) == "cannot be reached (Name or service not known)"


def test_a_strangers_text_is_made_safe_and_short():
    assert clean("a\x1b[31m\nb") == "a [31m b"
    assert len(clean("x" * 1000)) == 200
