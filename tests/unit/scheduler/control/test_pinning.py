"""When a registry is asked, and what stays as it was."""

import asyncio
from dataclasses import replace

import pytest

from berth.model.service import Platform
from scheduler.control.pinning import PinAction, pinned_spec, placement_platforms, plan_pin
from scheduler.registry import ResolvedImage
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


class Registry:
    """Knows one digest for all tags."""

    async def resolve(self, reference: str, auth: object) -> ResolvedImage:
        return ResolvedImage(f"{reference}@{DIGEST_A}", DIGEST_A, "", 0, (Platform("linux"),))


def pinned(spec, **flags):
    plan = plan_pin(spec, None, no_resolve=flags.get("no_resolve", False), resolve=False)
    return asyncio.run(pinned_spec(plan, spec, None, Registry(), None))[0]


def test_containers_that_were_one_are_one_again_under_their_digest():
    one = a_spec("one", image="app:1")
    two = replace(one, name="two")
    assert pinned(one).task.container is pinned(two).task.container
    assert pinned(one).task.container == replace(one.task.container, image=PINNED)
    assert pinned(one).task.placement.platforms == (Platform("linux"),)
    other = a_spec("three", image="app:1")
    assert pinned(other).task.container == pinned(one).task.container


def test_a_spec_that_is_trusted_stays_the_very_same():
    spec = a_spec()
    assert pinned(spec, no_resolve=True) is spec


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
