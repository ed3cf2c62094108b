import pytest

from berth.model.service import Platform
from scheduler.registry.resolve import platforms_of_config, platforms_of_list

AMD64 = {"os": "linux", "architecture": "amd64"}


@pytest.mark.parametrize(
    ("config", "platforms"),
    [
        (AMD64, (Platform("linux", "amd64"),)),
        ({**AMD64, "variant": "v2"}, (Platform("linux", "amd64", "v2"),)),
        ({"os": "linux", "architecture": "aarch64"}, (Platform("linux", "arm64"),)),
        ({"os": "unknown", "architecture": "unknown"}, ()),
        ({}, ()),
        (None, ()),
        ("linux", ()),
    ],
)
def test_the_platform_that_a_configuration_names(config, platforms):
    assert platforms_of_config(config) == platforms


@pytest.mark.parametrize(
    ("entries", "platforms"),
    [
        pytest.param([{"platform": AMD64}] * 2, (Platform("linux", "amd64"),), id="once each"),
        pytest.param(
            [{"platform": AMD64, "annotations": {"vnd.docker.reference.type": "x"}}],
            (),
            id="no attestation",
        ),
        pytest.param([{}, 3, None, {"platform": "linux"}], (), id="nothing of what is unreadable"),
        pytest.param(
            [{"platform": AMD64, "annotations": 3}],
            (Platform("linux", "amd64"),),
            id="whatever the annotations are",
        ),
        pytest.param({"platform": AMD64}, (), id="no list, no platforms"),
    ],
)
def test_the_platforms_that_a_list_names(entries, platforms):
    assert platforms_of_list({"manifests": entries}) == platforms
