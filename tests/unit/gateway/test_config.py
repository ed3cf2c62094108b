import pytest

from gateway.config import is_loopback, refusal_of_tcp


@pytest.mark.parametrize(
    ("address", "is_local"),
    [
        ("127.0.0.1:7702", True),
        ("127.8.9.1:7702", True),
        ("[::1]:7702", True),
        ("localhost:7702", True),
        ("unix:/run/berth.sock", True),
        ("0.0.0.0:7702", False),
        ("[::]:7702", False),
        (":7702", False),
        ("10.0.0.1:7702", False),
        ("scheduler-1:7702", False),
    ],
)
def test_what_only_this_machine_can_reach(address, is_local):
    assert is_loopback(address) is is_local


@pytest.mark.parametrize(
    ("socket", "has_tls", "ways", "closed"),
    [
        ("/run/b.sock", True, ["unix:///run/b.sock", "DOCKER_TLS_VERIFY=1"], ["docker_socket"]),
        ("", False, ["[tls]", "set docker_socket"], ["DOCKER_TLS_VERIFY"]),
    ],
)
def test_the_refusal_names_key_value_and_the_ways_out(socket, has_tls, ways, closed):
    words = refusal_of_tcp("10.0.0.1:7702", socket, has_tls=has_tls)
    for way in ('http_listen = "10.0.0.1:7702"', "set docker_insecure_tcp = true", *ways):
        assert way in words
    assert not [way for way in closed if way in words]
