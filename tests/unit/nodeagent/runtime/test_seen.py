"""What an Engine answers, as the agent reads it."""

import pytest

from berth.model.resources import NodeResources
from berth.model.service import Platform
from nodeagent.runtime.port import ContainerState, Health
from nodeagent.runtime.seen import (
    ImageFacts,
    image_facts,
    node_description,
    seen_container,
    unix_nanoseconds,
    unix_seconds,
)

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


def a_document(state=None, **fields):
    return {
        "Id": "c1",
        "Image": "sha256:img",
        "State": {
            "Status": "running",
            "ExitCode": 0,
            "Pid": 7,
            "StartedAt": "2026-11-23T06:00:00.5Z",
            "FinishedAt": "0001-01-01T00:00:00Z",
            **(state or {}),
        },
        "Config": {"Image": f"app:1@{DIGEST}", "Labels": {"berth.task": "t1"}},
        **fields,
    }


FACTS = ImageFacts("sha256:img", "linux/amd64", 5, (f"app@{DIGEST}",))


def test_a_running_container():
    seen = seen_container(a_document(), FACTS)
    assert seen.state is ContainerState.RUNNING
    assert seen.health is Health.NONE
    assert seen.exit_code is None
    assert (seen.task_id, seen.pid, seen.image_digest) == ("t1", 7, DIGEST)
    assert (seen.image_id, seen.platform) == ("sha256:img", "linux/amd64")
    assert (seen.started_at, seen.finished_at) == (1795413600.5, 0.0)


def test_an_ended_container_has_its_code_and_cause():
    state = {
        "Status": "exited",
        "ExitCode": 137,
        "OOMKilled": True,
        "Error": "boom",
        "Pid": 0,
        "FinishedAt": "2026-11-23T06:00:01Z",
    }
    seen = seen_container(a_document(state), FACTS)
    assert (seen.exit_code, seen.oom_killed, seen.error) == (137, True, "boom")
    assert seen.finished_at == 1795413601.0


def test_a_quick_container_does_not_end_before_it_began():
    state = {"Status": "exited", "FinishedAt": "2026-11-23T06:00:00.4Z"}
    seen = seen_container(a_document(state), FACTS)
    assert seen.finished_at == seen.started_at == 1795413600.5


def test_a_container_that_could_not_start_has_an_error_and_no_exit_code():
    seen = seen_container(a_document({"Status": "created", "ExitCode": 127, "Error": "no"}), None)
    assert (seen.state, seen.exit_code, seen.error) == (ContainerState.CREATED, None, "no")
    assert (seen.image_digest, seen.platform) == ("", "")


@pytest.mark.parametrize("status", ["starting", "healthy", "unhealthy"])
def test_health(status):
    document = a_document({"Health": {"Status": status}})
    assert seen_container(document, FACTS).health.value == status


def test_ports_bound_on_both_address_families_are_one():
    ports = {
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}],
        "53/udp": [{"HostIp": "0.0.0.0", "HostPort": "49153"}],
        "90/tcp": None,
    }
    seen = seen_container(a_document(NetworkSettings={"Ports": ports}), FACTS)
    assert seen.ports == (("tcp", 80, 8080), ("udp", 53, 49153))


@pytest.mark.parametrize(
    ("reference", "digest"),
    [
        pytest.param(f"app:1@{OTHER}", OTHER, id="a pinned reference says it itself"),
        pytest.param("app:1", DIGEST, id="a tag by the name's digest"),
        pytest.param("docker.io/library/app", DIGEST, id="the long form is the same name"),
        pytest.param("else:1", "", id="another name has none"),
        pytest.param("a" * 64, "", id="an image ID has no name"),
    ],
)
def test_which_digest_a_reference_stands_for(reference, digest):
    assert FACTS.digest_for(reference) == digest


def test_image_facts():
    facts = image_facts(
        {
            "Id": "sha256:x",
            "Os": "linux",
            "Architecture": "arm64",
            "Variant": "v8",
            "Size": 9,
            "RepoDigests": [f"app@{DIGEST}"],
        }
    )
    assert facts == ImageFacts("sha256:x", "linux/arm64/v8", 9, (f"app@{DIGEST}",))
    assert image_facts({"Id": "sha256:x", "RepoDigests": None}).digests == ()


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        pytest.param("1970-01-01T00:00:01Z", 10**9, id="whole seconds"),
        pytest.param("1970-01-01T00:00:01.000000001Z", 10**9 + 1, id="one nanosecond"),
        pytest.param("1970-01-01T00:00:00.25Z", 25 * 10**7, id="a short fraction"),
        pytest.param("1970-01-01T02:00:01.5+02:00", 1_500_000_000, id="another zone"),
        pytest.param("2026-11-23T06:05:47.074709554Z", 1795413947074709554, id="exact today"),
        pytest.param("0001-01-01T00:00:00Z", 0, id="never"),
    ],
)
def test_times_are_exact(text, nanoseconds):
    assert unix_nanoseconds(text) == nanoseconds


def test_what_is_no_time_is_refused():
    with pytest.raises(ValueError, match="yesterday"):
        unix_nanoseconds("yesterday")
    assert unix_seconds("") == 0.0


INFO = {
    "NCPU": 4,
    "MemTotal": 1 << 33,
    "OSType": "linux",
    "Architecture": "aarch64",
    "ServerVersion": "20.10.24",
    "Labels": ["zone=a", "bare"],
    "Plugins": {"Volume": ["nfs", "local"], "Network": ["host"], "Log": None},
}


def test_the_machine_is_described():
    generic = NodeResources(nano_cpus=99, generic_counts={"ssd": 3}, generic_names={"gpu": ("u",)})
    told = node_description(
        INFO, node_name="n1", address="10.0.0.1", resources=None, generic=generic
    )
    assert (told.hostname, told.address, told.engine_version) == ("n1", "10.0.0.1", "20.10.24")
    assert told.platform == Platform("linux", "arm64")
    assert told.resources == NodeResources(4 * 10**9, 1 << 33, {"ssd": 3}, {"gpu": ("u",)})
    assert told.engine_labels == {"zone": "a", "bare": ""}
    assert (told.volume_plugins, told.network_plugins) == (("local", "nfs"), ("host",))
    assert told.log_plugins == ()


def test_a_share_of_the_machine_replaces_the_whole():
    share = NodeResources(nano_cpus=10**9, memory_bytes=1 << 30)
    told = node_description(
        INFO, node_name="n1", address="", resources=share, generic=NodeResources()
    )
    assert told.resources == share
