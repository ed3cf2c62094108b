import pytest

from berth.errors import InvalidRequestError
from gateway.versioning import VERSION_MAX, VERSION_MIN, ApiVersion, split_version


@pytest.mark.parametrize(
    ("path", "version", "rest"),
    [
        pytest.param("/v1.41/services", ApiVersion(1, 41), "/services", id="a version is cut off"),
        pytest.param("/v1.24/_ping", VERSION_MIN, "/_ping", id="the oldest is spoken"),
        pytest.param("/v1.51/info", VERSION_MAX, "/info", id="the newest is spoken"),
        pytest.param("/services", VERSION_MAX, "/services", id="none means the newest"),
        pytest.param("/v1.41", ApiVersion(1, 41), "/", id="nothing after it"),
        pytest.param("/version", VERSION_MAX, "/version", id="a path that only begins like it"),
        pytest.param("/v1.x/info", VERSION_MAX, "/v1.x/info", id="no version at all"),
    ],
)
def test_the_prefix_of_a_path(path, version, rest):
    assert split_version(path) == (version, rest)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/v1.52/info", "client version 1.52 is too new. Maximum supported API version is 1.51"),
        ("/v2.0/info", "client version 2.0 is too new. Maximum supported API version is 1.51"),
        ("/v1.23/info", "client version 1.23 is too old. Minimum supported API version is 1.24"),
    ],
)
def test_other_versions_are_refused_naming_both(path, words):
    with pytest.raises(InvalidRequestError) as refused:
        split_version(path)
    assert words in refused.value.message


def test_versions_compare_as_numbers():
    assert ApiVersion(1, 9) < ApiVersion(1, 24) < ApiVersion(2, 0)
    assert ApiVersion.from_text("1.41") == ApiVersion(1, 41)
