"""The same image everywhere: digests, moved tags, platforms, registries of all kinds."""

import base64
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from berth.model.task import TaskState
from tests.cluster import TestCluster
from tests.e2e.asking import (
    QUICK_RESTART,
    QUICK_UPDATE,
    create,
    inspect_service,
    rows,
    task_rows,
    wait_ends,
    wait_error,
)
from tests.e2e.engines import files_below, running_processes
from tests.hosts import ImageFactory, Registry

pytestmark = pytest.mark.e2e


def image_ids(cluster: TestCluster, service: str) -> set[str]:
    """Return the IDs of the images that the running containers really have."""
    return {each["Image"] for _, each in cluster.containers(service)}


def test_a_service_keeps_its_digest_after_its_tag_has_moved(
    cluster: TestCluster, images: ImageFactory
) -> None:
    old = images.build("sleeper", "1.0", repository="berth/moving")
    create(cluster, "web", old, *QUICK_UPDATE, replicas=2)
    cluster.wait_running("web", 2)
    (image_id,) = image_ids(cluster, "web")
    new = images.build("sleeper", "2.0", repository="berth/moving")
    images.retag(old, new)

    cluster.berth("service", "scale", "-d", "web=5")
    cluster.wait_running("web", 5)
    assert image_ids(cluster, "web") == {image_id}, "new replicas run the old image"
    listed = task_rows(cluster, "web", "--digests", "--no-trunc")
    assert {row["Digest"] for row in listed} == {old.digest}
    assert {row["Drift"] for row in listed} == {""}
    assert {row["Platform"].split("/")[0] for row in listed} == {"linux"}
    cluster.berth("service", "update", "-d", "--env-add=A=b", "web")
    cluster.wait_update("web", "completed")
    assert image_ids(cluster, "web") == {image_id}, "an update that names no image keeps it"


def test_an_update_that_names_the_image_looks_its_tag_up_again(
    cluster: TestCluster, images: ImageFactory
) -> None:
    old = images.build("sleeper", "1.0", repository="berth/again")
    create(cluster, "web", old, *QUICK_UPDATE)
    cluster.wait_running("web", 1)
    new = images.build("sleeper", "2.0", repository="berth/again")
    images.retag(old, new)
    cluster.berth("service", "update", "-d", f"--image={old}", "web")
    cluster.wait_update("web", "completed")
    assert inspect_service(cluster, "web")["image_digest"] == new.digest
    (row,) = [r for r in task_rows(cluster, "web", "--digests", "--no-trunc")
              if r["CurrentState"].startswith("Running")]  # fmt: skip
    assert row["Digest"] == new.digest


def test_an_image_that_does_not_exist_is_refused_at_create(
    cluster: TestCluster, images: ImageFactory
) -> None:
    images.sleeper("1.0")
    address = cluster.lab.registry.address
    for image in (f"{address}/berth/nosuch:1", f"{address}/berth/sleeper:nosuchtag"):
        refused = cluster.berth("service", "create", "-d", "--name=web", image, check=False)
        assert refused.exit_code == 1
        assert f'has no image "{image}"' in refused.stderr
        assert "check its name and tag" in refused.stderr
    assert rows(cluster, "service", "ls") == []


def test_an_image_that_cannot_be_pulled_is_rejected_with_the_reason(
    cluster: TestCluster, images: ImageFactory
) -> None:
    image = f"{cluster.lab.registry.address}/berth/nosuch:1"
    created = cluster.berth(
        "service", "create", "-d", "--name=bad", "--no-resolve-image", "--restart-max-attempts=2",
        *QUICK_RESTART, image,
    )  # fmt: skip
    assert "not held to a digest" in created.stderr
    found = wait_ends(cluster, "bad", 3, TaskState.REJECTED)
    assert all(image in row["Error"] and "cannot pull" in row["Error"] for row in found)
    assert not cluster.containers("bad", running_only=False)
    explained = cluster.berth("explain", "bad").stdout
    assert "cannot pull" in explained


def test_an_unreachable_registry_is_said_and_can_be_passed_over(
    cluster: TestCluster, images: ImageFactory
) -> None:
    registry = cluster.lab.start_registry("sleepy")
    image = ImageFactory(registry).sleeper("1.0")
    create(cluster, "seen", image)
    cluster.wait_running("seen", 1)
    registry.stop()
    refused = cluster.berth("service", "create", "-d", "--name=web", image, check=False)
    assert refused.exit_code == 1
    assert f"registry {registry.address}" in refused.stderr
    assert "--no-resolve-image" in refused.stderr
    before = running_processes(cluster, "seen")
    cluster.berth("service", "update", "-d", "--label-add=a=b", "seen")
    assert running_processes(cluster, "seen") == before

    (task,) = cluster.running_tasks("seen")
    create(cluster, "web", image.pinned, "--no-resolve-image",
           f"--constraint=node.hostname=={task.node_name}")  # fmt: skip
    cluster.wait_running("web", 1)  # This node has the very image and needs no registry.


def test_a_node_of_another_platform_is_filtered_out_and_explained(
    cluster: TestCluster, images: ImageFactory
) -> None:
    foreign = images.manifest_list("berth/foreign", "1.0", ["arm64", "s390x"])
    create(cluster, "web", foreign)
    row = wait_error(cluster, "web", "platform")
    assert "platform" in row["Error"]
    found = json.loads(cluster.berth("explain", "--format=json", "web").stdout)
    (platform,) = [one for one in found["filters"] if one["forbids_alone"]]
    assert (platform["name"], platform["forbids_alone"]) == ("platform", 3)
    assert "linux/arm64 or linux/s390x" in platform["words"]

    both = images.manifest_list("berth/both", "1.0", ["arm64", "amd64"])
    create(cluster, "fine", both)
    cluster.wait_running("fine", 1)
    (row,) = task_rows(cluster, "fine", "--digests", "--no-trunc")
    assert (row["Platform"], row["Drift"]) == ("linux/amd64", "")


@pytest.fixture
def locked(cluster: TestCluster) -> Iterator[Registry]:
    """A registry that asks for a password."""
    registry = cluster.lab.start_registry("locked", user="ship", password="port-and-starboard")
    with contextlib.ExitStack() as stack:
        stack.callback(registry.stop)
        yield registry


def contents(*folders: Path) -> bytes:
    """Return all that is in files below these folders."""
    return b"".join(held for _, held in files_below(*folders))


def log_in(folder: Path, registry: Registry) -> dict[str, str]:
    """Write what `docker login` writes; return the environment that finds it."""
    assert registry.auth is not None
    token = base64.b64encode(":".join(registry.auth).encode()).decode()
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"auths": {registry.address: {"auth": token}}}))
    return {"DOCKER_CONFIG": str(folder)}


def test_a_password_travels_with_the_service_and_is_never_shown(
    cluster: TestCluster, locked: Registry, tmp_path: Path
) -> None:
    image = ImageFactory(locked).sleeper("1.0")
    refused = cluster.berth("service", "create", "-d", "--name=web", image, check=False)
    assert refused.exit_code == 1
    assert "denies" in refused.stderr
    assert "--with-registry-auth" in refused.stderr
    assert rows(cluster, "service", "ls") == []

    env = log_in(tmp_path / "docker", locked)
    cluster.berth("service", "create", "-d", "--name=web", "--replicas=3",
                  "--with-registry-auth", image, env=env)  # fmt: skip
    cluster.wait_running("web", 3)
    assert {task.node_name for task in cluster.running_tasks("web")} == {
        "host-1", "host-2", "host-3",
    }, "every node can pull"  # fmt: skip

    secret = "port-and-starboard"
    encoded = base64.b64encode(f"ship:{secret}".encode()).decode()
    shown = cluster.berth("service", "inspect", "web").output
    shown += cluster.berth("explain", "web").output
    shown += "".join(program.log() for program in cluster.programs)
    stored = contents(*(member.place.data_dir for member in cluster.etcds))
    journals = contents(*(agent.state_dir for agent in cluster.agents))
    assert b"berth/sleeper" in stored
    assert b"berth/sleeper" in journals
    for text in (secret, encoded):
        assert text not in shown
        assert text.encode() not in stored, "sealed at rest in etcd"
        assert text.encode() not in journals, "agents keep no passwords"
