"""Logs of all tasks of a service through the scheduler: merged, followed, and never hanging."""

import re
import subprocess
import time

import pytest

from tests.cluster import TestCluster
from tests.e2e.asking import create, nodes_of, steadiest_node
from tests.hosts import ImageFactory

pytestmark = pytest.mark.e2e

_LINE = re.compile(r"talk\.(\d)\.\w+@(host-\d) +\| (line|error) (\d+)")


@pytest.fixture
def talking(cluster: TestCluster, images: ImageFactory) -> TestCluster:
    """A cluster with a service of three tasks that write all the time, and have begun to."""
    create(cluster, "talk", images.talker("1.0"), replicas=3)
    cluster.wait_running("talk", 3)
    cluster.wait_until(
        "each task has written to both streams",
        lambda: (
            (said := cluster.berth("service", "logs", "talk"))
            and {m[1] for m in _LINE.finditer(said.stdout)}
            == {m[1] for m in _LINE.finditer(said.stderr)}
            == {"1", "2", "3"}
        ),
    )
    return cluster


def read_until(
    following: "subprocess.Popen[str]", slots: set[str], timeout_s: float = 90.0
) -> dict[str, list[int]]:
    """Read lines until each of `slots` has written three; return the numbers by slot."""
    assert following.stdout is not None
    deadline = time.monotonic() + timeout_s
    seen: dict[str, list[int]] = {}
    for line in following.stdout:
        if (found := _LINE.search(line)) and found[3] == "line":
            seen.setdefault(found[1], []).append(int(found[4]))
        if all(len(seen.get(slot, [])) >= 3 for slot in slots):
            return seen
        assert time.monotonic() < deadline, f"only {seen} of {slots} wrote"
    raise AssertionError(f"the command ended, having shown {seen}")


def end(following: "subprocess.Popen[str]") -> None:
    following.kill()
    following.wait()
    assert following.stdout is not None
    following.stdout.close()


def test_logs_of_all_tasks_are_merged_and_both_streams_kept_apart(talking: TestCluster) -> None:
    shown = talking.berth("service", "logs", "talk")
    assert {found[3] for found in _LINE.finditer(shown.stdout)} == {"line"}
    assert {found[3] for found in _LINE.finditer(shown.stderr)} == {"error"}
    by_slot: dict[str, list[int]] = {}
    for found in _LINE.finditer(shown.stdout):
        by_slot.setdefault(found[1], []).append(int(found[4]))
    for slot, numbers in by_slot.items():
        assert numbers == list(range(1, len(numbers) + 1)), f"slot {slot}: none lost, in order"

    tail = talking.berth("service", "logs", "--tail=2", "talk").stdout
    assert len(_LINE.findall(tail)) <= 6
    task = talking.running_tasks("talk")[0]
    one = talking.berth("service", "logs", "--raw", "--tail=4", task.id)
    assert re.fullmatch(r"(line \d+\n)*", one.stdout)
    assert one.stdout or one.stderr


def test_since_leaves_out_what_is_older(talking: TestCluster) -> None:
    moment_s = time.time()
    talking.wait_until(
        "lines were written since then",
        lambda: _LINE.findall(
            talking.berth("service", "logs", f"--since={moment_s:.3f}", "talk").stdout
        ),
    )
    stamped = talking.berth("service", "logs", "--timestamps", f"--since={moment_s:.3f}", "talk")
    first = min(line.split()[0] for line in stamped.stdout.splitlines() if line[:2] == "20")
    earliest = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment_s))
    assert first >= earliest
    assert all(int(found[4]) > 1 for found in _LINE.finditer(stamped.stdout))


def test_followed_logs_go_on_with_tasks_that_come_later_and_under_the_next_leader(
    talking: TestCluster,
) -> None:
    following = talking.berth.popen("service", "logs", "--follow", "--tail=0", "talk")
    try:
        before = read_until(following, {"1", "2", "3"})
        talking.berth("service", "scale", "-d", "talk=4")
        between = read_until(following, {"4"})
        old = talking.leader()
        old.kill()
        talking.wait_leader(other_than=old)
        after = read_until(following, {"1", "2", "3", "4"})
    finally:
        end(following)
    for slot, numbers in after.items():
        shown = [*before.get(slot, []), *between.get(slot, []), *numbers]
        assert shown == list(range(shown[0], shown[0] + len(shown))), f"slot {slot}: {shown}"


def test_logs_tell_of_a_dead_node_and_do_not_wait_for_it(talking: TestCluster) -> None:
    victim = steadiest_node(talking, nodes_of(talking, "talk"))
    slot = next(t.slot for t in talking.running_tasks("talk") if t.node_name == victim)
    talking.power_off(victim)
    began_s = time.monotonic()
    shown = talking.berth("service", "logs", "--tail=3", "talk", check=False, timeout_s=90)
    took_s = time.monotonic() - began_s
    print(f"logs with a node that has just died: {took_s:.1f} s; {shown.stderr.strip()[-300:]}")
    assert took_s < 60.0
    others = {found[1] for found in _LINE.finditer(shown.stdout)}
    assert others >= {"1", "2", "3"} - {str(slot)}, "the others' logs are shown"
    assert victim in shown.stderr, "the missing ones are said"
