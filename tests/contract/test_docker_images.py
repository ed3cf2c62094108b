"""Images on a real Engine from a real registry: the very ones asked for, and no others removed."""

import asyncio
from contextlib import closing

import pytest

from berth.errors import RetryRule
from berth.model.instant import Timestamp
from nodeagent.runtime.observer import PullOutcome
from nodeagent.runtime.port import RegistryCredentials, RuntimeCallError
from nodeagent.runtime.pulled_images import FilePulledImages, MemoryPulledImages
from tests.contract.docker_runtime import ground
from tests.hosts import ImageFactory

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def locked(one_host):
    """A registry that asks for a password, and an image in it."""
    registry = one_host.start_registry("locked", user="berth", password="right")
    yield ImageFactory(registry).sleeper("secret")
    registry.stop()


def run(one_engine, scenario, **fields):
    async def main():
        async with ground(one_engine, "", **fields) as it:
            async with asyncio.timeout(90.0):
                return await scenario(it)

    return asyncio.run(main())


async def pull(it, image, *, credentials=None):
    progress = []
    task = it.task(image=image, of_task={"credentials": credentials})
    return await it.runtime.pull(task, progress.append), progress


async def refusal_of(it, image, **fields):
    with pytest.raises(RuntimeCallError) as refusal:
        await pull(it, image, **fields)
    return refusal.value


def with_tag(image):
    """Return the reference as a scheduler pins it: tag for people, digest for the Engine."""
    return f"{image}@{image.digest}"


def test_a_pinned_image_is_the_one_that_was_pinned_after_its_tag_moved(one_host, one_engine):
    old = one_host.images.build("sleeper", "1.0", repository="berth/moving")
    old_pinned = with_tag(old)
    new = one_host.images.build("sleeper", "2.0", repository="berth/moving")
    one_host.images.retag(old, new)  # The tag 1.0 now names what 2.0 is.

    async def scenario(it):
        image, _ = await pull(it, old_pinned)
        lines, seen = await it.run("cat", "/etc/version", image=old_pinned)
        moved, _ = await pull(it, str(old))
        return image, lines, seen, moved

    image, lines, seen, moved = run(one_engine, scenario)
    assert image.digest == seen.image_digest == old.digest
    assert lines == ["1.0"]
    assert moved.digest == new.digest
    assert image.platform == seen.platform == moved.platform
    assert image.image_id == seen.image_id != moved.image_id


def test_progress_is_told_and_a_pinned_image_is_pulled_once(one_host, one_engine):
    image = with_tag(one_host.images.build("sleeper", "progress", repository="berth/progress"))

    async def scenario(it):
        _, first = await pull(it, image)
        one_host.registry.stop()  # What is present needs no registry.
        try:
            _, second = await pull(it, image)
        finally:
            one_host.registry.start()
        return first, second, it.observed.pulls

    first, second, pulls = run(one_engine, scenario)
    assert first[-1].layers_done == first[-1].layers_total == 2
    assert first[-1].bytes_done == first[-1].bytes_total
    assert second == []
    assert [outcome for _, outcome in pulls] == [PullOutcome.PULLED, PullOutcome.PRESENT]


def test_tasks_that_want_the_same_image_at_once_all_get_it(one_host, one_engine):
    image = with_tag(one_host.images.build("sleeper", "crowd", repository="berth/crowd"))

    async def scenario(it):
        got = await asyncio.gather(*(pull(it, image) for _ in range(8)))
        return {pulled.image_id for pulled, _ in got}, [outcome for _, outcome in it.observed.pulls]

    image_ids, outcomes = run(one_engine, scenario)
    assert len(image_ids) == 1
    assert PullOutcome.FAILED not in outcomes
    assert PullOutcome.PRESENT in outcomes


def test_a_plain_tag_is_asked_for_each_time_and_falls_back_to_what_is_there(one_host, one_engine):
    image = one_host.images.build("sleeper", "tag", repository="berth/tag")

    async def scenario(it):
        first, _ = await pull(it, str(image))
        moved = one_host.images.build("finisher", "tag", repository="berth/tag")
        second, _ = await pull(it, str(image))
        one_host.registry.stop()
        try:
            third, _ = await pull(it, str(image))
            refusal = await refusal_of(it, f"{one_host.registry.address}/berth/none:1")
        finally:
            one_host.registry.start()
        outcomes = [outcome for _, outcome in it.observed.pulls]
        return first.digest, second.digest, third.digest, moved.digest, outcomes, refusal

    first, second, third, moved, outcomes, refusal = run(one_engine, scenario)
    assert first == image.digest
    assert second == third == moved != first
    assert outcomes[:3] == [PullOutcome.PULLED, PullOutcome.PULLED, PullOutcome.FELL_BACK]
    assert refusal.retry is RetryRule.LATER
    assert "the registry did not answer" in refusal.message


def test_what_is_not_there_is_refused_for_good(one_host, one_engine):
    image = one_host.images.sleeper("there")
    absent_digest = f"{image}@sha256:{'0' * 64}"
    listed = one_host.images.manifest_list("berth/listed", "1.0", ["s390x"])

    async def scenario(it):
        return [
            await refusal_of(it, f"{one_host.registry.address}/berth/sleeper:absent"),
            await refusal_of(it, absent_digest),
            await refusal_of(it, with_tag(listed)),
            await refusal_of(it, "Not A Reference"),
        ]

    absent_tag, absent, platform, nonsense = run(one_engine, scenario)
    assert all(
        refusal.retry is RetryRule.NEVER for refusal in (absent_tag, absent, platform, nonsense)
    )
    assert "check the name and the tag" in absent_tag.message
    assert "0" * 64 in absent.message
    assert "platform" in platform.message
    assert "Not A Reference" in nonsense.message


def test_credentials_open_a_registry_and_wrong_ones_are_refused(one_engine, locked):
    right = RegistryCredentials(username="berth", password="right")
    wrong = RegistryCredentials(username="berth", password="mistaken")
    image = with_tag(locked)

    async def scenario(it):
        nobody = await refusal_of(it, image)
        refused = await refusal_of(it, image, credentials=wrong)
        got, _ = await pull(it, image, credentials=right)
        return nobody, refused, got

    nobody, refused, got = run(one_engine, scenario)
    assert got.digest == locked.digest
    for refusal in (nobody, refused):
        assert refusal.retry is RetryRule.NEVER
        assert "--with-registry-auth" in refusal.message
        assert "mistaken" not in refusal.message


def test_an_image_removed_between_pull_and_create_is_pulled_again(one_host, one_engine):
    image = with_tag(one_host.images.build("sleeper", "gone", repository="berth/gone"))

    async def scenario(it):
        task = it.task("sleep", "60", image=image)
        pulled = await it.runtime.pull(task, lambda _: None)
        with closing(one_engine.client()) as client:
            client.images.remove(pulled.image_id, force=True)
        made = await it.runtime.create(task, pulled)
        await it.runtime.start(made.container_id)
        return (await it.runtime.inspect_task(task.task_id)).state.value

    assert run(one_engine, scenario) == "running"


def test_only_berths_own_unused_old_images_are_removed(one_host, one_engine, tmp_path):
    names = ("old", "used", "theirs")
    images = {
        name: with_tag(one_host.images.build("sleeper", name, repository=f"berth/clean-{name}"))
        for name in names
    }
    tagged = str(one_host.images.build("sleeper", "tagged", repository="berth/clean-tagged"))
    remembered = FilePulledImages(tmp_path / "images.json")

    def present():
        with closing(one_engine.client()) as client:
            found = client.api.images()
        texts = {text for image in found for text in (image["RepoDigests"] or ())}
        return {name for name in (*names, "tagged") if any(f"clean-{name}@" in t for t in texts)}

    async def scenario(it):
        with closing(one_engine.client()) as client:
            client.api.pull(images["theirs"].partition("@")[0].rpartition(":")[0], tag="theirs")
        for image in (*images.values(), tagged):
            await pull(it, image)
        await it.start(it.task("sleep", "60", image=images["used"]))
        nothing = await it.runtime.remove_unused_images(3600.0)
        before = present()
        freed = await it.runtime.remove_unused_images(0.0)
        return nothing, before, freed, present()

    nothing, before, freed, left = run(one_engine, scenario, pulled=remembered)
    assert (nothing, before) == (0, {"old", "used", "theirs", "tagged"})
    assert freed > 0
    assert left == {"used", "theirs"}
    (kept,) = (key for key in remembered.last_used() if "clean-" in key)
    assert "clean-used" in kept


def test_what_somebody_else_removed_is_forgotten(one_engine):
    remembered = MemoryPulledImages()
    remembered.record("berth/never-there:1", Timestamp(1.0))

    async def scenario(it):
        return await it.runtime.remove_unused_images(0.0)

    assert run(one_engine, scenario, pulled=remembered) == 0
    assert remembered.last_used() == {}
