"""Leaders that die, leave, or sleep through their lease: another leads, and no task restarts."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import grpc
import pytest

from berth.model.service import ContainerSpec, ServiceSpec, TaskSpec
from berth.v1 import control_pb2 as pb
from berth.wire.convert import to_proto
from tests.cluster import SchedulerProgram, TestCluster
from tests.e2e.asking import QUICK_UPDATE, create, rows
from tests.e2e.engines import running_processes
from tests.hosts import ImageFactory

pytestmark = pytest.mark.e2e

MARGIN_S = 30.0  # For a machine that is busy with other things.


def log_entries(program: SchedulerProgram) -> Iterator[dict[str, object]]:
    """Yield what a scheduler has logged."""
    for line in program.log().splitlines(keepends=True):
        if line.startswith("{") and line.endswith("\n"):  # Else it is being written.
            yield json.loads(line)


def epochs_won(cluster: TestCluster) -> list[int]:
    """Return the epochs of all leaderships, in the order in which they were won."""
    won = []
    for scheduler in cluster.schedulers:
        for entry in log_entries(scheduler):
            if entry.get("event") == "leadership_won":
                won.append((str(entry["time"]), int(str(entry["epoch"]))))
    return [epoch for _, epoch in sorted(won)]


def leaders_by_their_own_words(cluster: TestCluster) -> list[str]:
    """Return the names of the schedulers whose metrics say that they lead."""
    return [
        scheduler.name
        for scheduler in cluster.schedulers
        if scheduler.answers and scheduler.metric("berth_leader") == 1
    ]


def test_another_leads_soon_after_the_leader_was_killed_and_no_container_restarts(
    cluster: TestCluster, images: ImageFactory
) -> None:
    image = images.sleeper("1.0")
    create(cluster, "web", image, replicas=5)
    cluster.wait_running("web", 5)
    before = running_processes(cluster, "web")
    old = cluster.leader()
    began_s = time.monotonic()
    old.kill()
    new = cluster.wait_leader(other_than=old)
    took_s = time.monotonic() - began_s
    print(
        f"{new.name} led {took_s:.1f} s after {old.name} was killed (TTL {cluster.lease_ttl_s} s)"
    )
    assert took_s < cluster.lease_ttl_s + MARGIN_S
    create(cluster, "next", image)
    cluster.wait_running("next", 1)
    cluster.wait_nodes(3)
    cluster.wait_running("web", 5)
    assert running_processes(cluster, "web") == before
    epochs = epochs_won(cluster)
    assert epochs == sorted(set(epochs))


def test_a_request_in_flight_while_the_leader_dies_takes_effect_exactly_once(
    cluster: TestCluster, images: ImageFactory
) -> None:
    image = images.sleeper("1.0")
    old = cluster.leader()
    names = [f"s{number}" for number in range(8)]

    def make(name: str) -> tuple[str, int, str]:
        done = cluster.berth(
            "service", "create", "-d", f"--name={name}", "--replicas=0", image, check=False
        )
        return name, done.exit_code, done.stderr

    with ThreadPoolExecutor(max_workers=2) as pool:
        asked = [pool.submit(make, name) for name in names]
        cluster.wait_until("some exist", lambda: len(cluster.control.services()) >= 2)
        old.kill()
        answers = [one.result() for one in asked]
    cluster.wait_leader(other_than=old)
    found = [service.spec.name for service in cluster.control.services()]
    assert len(found) == len(set(found))
    for name, exit_code, said in answers:
        if exit_code == 0:
            assert name in found, "what was acknowledged is there"
        else:
            assert "exists" in said or "may" in said or name not in found, (name, said)
    assert sum(code == 0 for _, code, _ in answers) >= len(names) - 2


def test_a_leader_that_is_told_to_stop_hands_over_within_a_second(
    cluster: TestCluster, images: ImageFactory
) -> None:
    create(cluster, "web", images.sleeper("1.0"), replicas=3)
    cluster.wait_running("web", 3)
    before = running_processes(cluster, "web")
    old = cluster.leader()
    assert old.stop() == 0
    new = cluster.wait_leader(other_than=old)
    ended = last_entry(old, "leadership_ended")
    assert ended["outcome"] == "resigned", "nobody had to wait for the lease to run out"
    stopping_s = _seconds(last_entry(old, "scheduler_stopping"))
    # It is known who leads before the new leader has loaded all, and says so.
    cluster.wait_until(
        "the next leadership has begun",
        lambda: _seconds(last_entry(new, "leadership_began")) > stopping_s,
    )
    gap_s = _seconds(last_entry(new, "leadership_began")) - stopping_s
    print(f"hand-over from {old.name} to {new.name}: {gap_s * 1000:.0f} ms (promised: 1 s)")
    assert gap_s < MARGIN_S
    epochs = epochs_won(cluster)
    assert epochs == sorted(set(epochs)), "epochs only rise"
    cluster.wait_nodes(3)
    cluster.wait_running("web", 3)
    assert running_processes(cluster, "web") == before


def test_a_leader_that_slept_through_its_lease_is_refused_and_says_so(
    cluster: TestCluster, images: ImageFactory
) -> None:
    image = images.sleeper("1.0")
    create(cluster, "web", image, replicas=3)
    cluster.wait_running("web", 3)
    before = running_processes(cluster, "web")
    old = cluster.leader()
    mark = len(old.log())
    stub = cluster.control.stub(old)
    stub.GetCluster(pb.GetClusterRequest(), timeout=10)  # So that it is connected.
    asking: grpc.UnaryUnaryMultiCallable[Any, Any] = stub.CreateService
    spec = ServiceSpec(name="late", task=TaskSpec(container=ContainerSpec(image=image)))
    request = pb.CreateServiceRequest(spec=to_proto(spec))
    old.pause()
    # A request that waits in its sockets: the deposed leader is the one that reads it.
    late = asking.future(request, timeout=90)
    new = cluster.wait_leader(other_than=old)
    create(cluster, "during", image)
    cluster.wait_running("during", 1)
    old.resume()
    refusal = late.exception()
    words = old.log()[mark:]
    cluster.wait_until(
        "it says that it does not lead any more",
        lambda: (
            "leadership_superseded" in old.log()[mark:] or "leadership_ended" in old.log()[mark:]
        ),
    )
    print(f"the late request was answered: {refusal or 'done'}\n{words}")
    cluster.wait_until(
        "exactly one scheduler says that it leads",
        lambda: leaders_by_their_own_words(cluster) == [new.name],
    )
    names = {row["Name"] for row in rows(cluster, "service", "ls")}
    assert {"web", "during"} <= names
    assert ("late" in names) == (refusal is None), "done and said, or neither"
    assert running_processes(cluster, "web") == before
    cluster.wait_nodes(3)
    create(cluster, "after", image, replicas=2)
    cluster.wait_running("after", 2)


def test_an_update_goes_on_under_the_next_leader(
    cluster: TestCluster, images: ImageFactory
) -> None:
    create(cluster, "web", images.sleeper("1.0"), *QUICK_UPDATE, "--update-delay=1s", replicas=4)
    cluster.wait_running("web", 4)
    cluster.berth("service", "update", "-d", f"--image={images.sleeper('2.0')}", "web")
    cluster.wait_until(
        "the update has begun",
        lambda: any(task.template_version == 2 for task in cluster.running_tasks("web")),
    )
    cluster.leader().kill()
    cluster.wait_update("web", "completed")
    cluster.wait_running("web", 4, template=2)


def test_without_a_scheduler_the_command_says_so_in_words(cluster: TestCluster) -> None:
    for scheduler in cluster.schedulers:
        scheduler.kill()
    began_s = time.monotonic()
    refused = cluster.berth("service", "ls", check=False, timeout_s=90.0)
    took_s = time.monotonic() - began_s
    print(f"said after {took_s:.1f} s: {refused.stderr.strip()}")
    assert refused.exit_code == 1
    assert "no scheduler answers at" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert took_s < 60.0


def last_entry(program: SchedulerProgram, event: str) -> dict[str, object]:
    """Return the last log entry of this kind."""
    found = [entry for entry in log_entries(program) if entry.get("event") == event]
    assert found, f"{program.name} has not logged {event}"
    return found[-1]


def _seconds(entry: dict[str, object]) -> float:
    return datetime.fromisoformat(str(entry["time"])).timestamp()
