"""Every flag of `docker service logs`, of today's docker CLI and of Debian's: how lines look."""

import re
import time
from datetime import datetime

import pytest

from tests.cluster import DockerCli, TestCluster
from tests.hosts import ImageFactory

pytestmark = pytest.mark.e2e

QUICK = ("--update-monitor=1s", "--stop-grace-period=1s")
HOST = r"@host-\d +\| "
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"
SHORT = re.compile(rf"talk\.[12]\.\w{{12}}{HOST}line \d+")


@pytest.fixture
def talking(cli: DockerCli, images: ImageFactory, cluster: TestCluster) -> DockerCli:
    """A client of a cluster in which two tasks write and have written."""
    cli("service", "create", "-q", "--detach=false", "--name=talk", "--replicas=2", *QUICK,
        "--log-driver=json-file", "--log-opt=labels=team", "--container-label=team=red",
        images.talker("1.0"))  # fmt: skip
    cluster.wait_until(
        "each has written more than any test asks for",
        lambda: min(sum(f"talk.{slot}." in line for line in shown(cli)) for slot in "12") >= 10,
    )
    return cli


def shown(cli: DockerCli, *flags: str) -> list[str]:
    """Return what the tasks wrote to their standard output, with these flags.

    `--tail` counts the lines of both outputs of a task, of which each has about half.
    """
    return cli("service", "logs", *flags, "talk").stdout.splitlines()


def test_each_flag_shows_what_docker_shows(talking: DockerCli, cluster: TestCluster) -> None:
    service, tasks = cluster.control.services()[0], cluster.running_tasks("talk")
    ids = {task.id for task in tasks}

    assert all(SHORT.fullmatch(line) for line in shown(talking, "--tail=6"))

    whole = shown(talking, "--no-trunc", "--tail=6")
    assert {line.split(".")[2].split("@")[0] for line in whole} == ids

    unresolved = shown(talking, "--no-resolve", "--tail=6")
    nodes = {task.node_id for task in tasks}
    assert {line.split(".")[0] for line in unresolved} == {service.id}
    assert {line.split("@")[1].split()[0] for line in unresolved} == nodes

    bare = shown(talking, "--no-task-ids", "--tail=6")
    assert all(re.fullmatch(rf"talk\.[12]{HOST}line \d+", line) for line in bare)

    raw = shown(talking, "--raw", "--tail=6")
    assert raw
    assert all(re.fullmatch(r"line \d+", line) for line in raw)

    for flag in ("-t", "--timestamps"):
        for line in shown(talking, flag, "--tail=6"):
            stamp, _, rest = line.partition(" ")
            assert re.fullmatch(STAMP, stamp), line
            assert SHORT.fullmatch(rest)

    # Where a line is from is no detail to it; raw, nothing is taken off.
    detailed = shown(talking, "--details", "--tail=6")
    assert all("| team=red line" in line for line in detailed)
    assert all(SHORT.fullmatch(line.replace("| team=red ", "| ")) for line in detailed)
    both = shown(talking, "--details", "--timestamps", "--raw", "--tail=6")
    assert both
    origin = r"com\.docker\.swarm\.node\.id=\w+,com\.\S+,com\.docker\.swarm\.task\.id=\w+,team=red"
    assert all(re.fullmatch(rf"{STAMP} {origin} line \d+", line) for line in both)


def test_tail_and_since_choose_lines_of_each_task(talking: DockerCli) -> None:
    everything = shown(talking)
    for slot in "12":
        numbers = [int(line.split()[-1]) for line in everything if f"talk.{slot}." in line]
        assert numbers == list(range(1, len(numbers) + 1)), "none lost, none doubled, in order"
    tailed = talking("service", "logs", "--tail=4", "talk")
    assert len([*tailed.stdout.splitlines(), *tailed.stderr.splitlines()]) == 8
    assert shown(talking, "--tail=0") == []
    assert len(shown(talking, "--tail=all")) >= len(everything)

    moment_s = time.time()
    time.sleep(1.0)
    since = datetime.fromtimestamp(moment_s).astimezone().isoformat()
    for flag in (f"--since={moment_s:.6f}", f"--since={since}"):
        lines = shown(talking, "--timestamps", flag)
        assert lines
        earliest = min(datetime.fromisoformat(line[:26] + "+00:00") for line in lines)
        assert earliest.timestamp() >= moment_s - 0.001
    recent = shown(talking, "--timestamps", "--since=1s")
    assert 0 < len(recent) < len(shown(talking)), "a duration counts back from now"
