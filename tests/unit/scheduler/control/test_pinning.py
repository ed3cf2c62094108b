"""When a registry is asked, and what stays as it was."""

import pytest

from berth.model.service import Platform
from scheduler.control.pinning import PinAction, placement_platforms, plan_pin
from tests.builders import a_spec
from tests.unit.scheduler.control.harness import DIGEST_A, DIGEST_B

PINNED = f"app:1@{DIGEST_A}"
OTHER = f"app:1@{DIGEST_B}"


@pytest.mark.parametrize(
    ("before", "sent", "flags", "action", "image"),
    [
        pytest.param(None, "app:1", "", "resolve", "app:1", id="a new tag is resolved"),
        pytest.param(None, PINNED, "", "describe", PINNED, id="a digest is kept and described"),
        pytest.param(None, "app:1", "no", "trust", "app:1", id="unless the user forbids it"),
        pytest.param(None, PINNED, "no", "trust", PINNED, id="a digest needs no registry"),
        pytest.param(PINNED, PINNED, "", "keep", PINNED, id="the same reading changes nothing"),
        pytest.param(PINNED, "app:1", "", "keep", PINNED, id="the same tag keeps its digest"),
        pytest.param(PINNED, "docker.io/library/app:1", "", "keep", PINNED, id="however written"),
        pytest.param(PINNED, "app:1", "no", "keep", PINNED, id="also where none is asked"),
        pytest.param(PINNED, "app:1", "yes", "resolve", "app:1", id="until it is asked for anew"),
        pytest.param(
            PINNED, PINNED, "yes", "keep", PINNED, id="but a digest that is sent is meant"
        ),
        pytest.param(PINNED, OTHER, "yes", "describe", OTHER, id="whichever it is"),
        pytest.param(PINNED, OTHER, "", "describe", OTHER, id="another digest is taken"),
        pytest.param(PINNED, "app:2", "", "resolve", "app:2", id="another tag is resolved"),
        pytest.param("app:1", "app:1", "", "keep", "app:1", id="what was not pinned stays so"),
        pytest.param("app:1", "app:1", "yes", "resolve", "app:1", id="until it is asked for"),
        pytest.param("app:1", PINNED, "", "describe", PINNED, id="or given"),
    ],
)
def test_plan_pin(before, sent, flags, action, image):
    previous = None if before is None else a_spec(image=before)
    plan = plan_pin(a_spec(image=sent), previous, no_resolve=flags == "no", resolve=flags == "yes")
    assert (plan.action, plan.image) == (PinAction(action), image)
    assert plan.keeps_platforms == (action == "keep")


def test_platforms_are_compared_without_variants_and_arm_without_its_processor():
    found = placement_platforms(
        (
            Platform("linux", "x86_64"),
            Platform("linux", "amd64", "v2"),
            Platform("linux", "arm", "v7"),
            Platform("linux", "aarch64", "v8"),
        )
    )
    assert found == (Platform("linux", "amd64"), Platform("linux", ""), Platform("linux", "arm64"))
