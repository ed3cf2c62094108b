"""What the docker CLI, of today and Debian's, says while nobody leads, and while that changes."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cluster import DockerCli, TestCluster
from tests.hosts import ImageFactory

pytestmark = pytest.mark.e2e

QUICK = ("--update-monitor=1s",)
WAIT_S = 10.0  # As promised: so long a request waits for a leader.
MARGIN_S = 40.0  # For a machine that is busy with other things.


def test_where_nobody_can_lead_a_command_ends_and_names_cause_and_fix(
    cli: DockerCli, cluster: TestCluster, images: ImageFactory
) -> None:
    """First the last leader still knows what there was; then it is gone too."""
    image = images.sleeper("1.0")
    cli("service", "create", "-q", "--detach=false", "--name=web", *QUICK, image)
    leader = cluster.leader()
    for member in cluster.etcds[:2]:
        member.kill()
    cluster.wait_until(
        "no scheduler is ready",
        lambda: not any(scheduler.readiness()[0] for scheduler in cluster.schedulers),
        60.0,
    )
    create = ("service", "create", "--detach=false", "--name=no", image)
    assert_refused(cli, *create)
    assert cli.lines("service", "ls", "--format={{.Name}}") == ["web"], "read-only, not blind"
    leader.kill()
    commands = (create, ("service", "ls"), ("node", "ls"), ("service", "ps", "web"))
    with ThreadPoolExecutor(len(commands)) as typing:  # Each of them waits long.
        list(typing.map(lambda argv: assert_refused(cli, *argv), commands))

    for member in cluster.etcds[:2]:
        member.start()
    cluster.wait_until(
        "the others are ready",
        lambda: all(each.readiness()[0] for each in cluster.schedulers if each is not leader),
        60.0,
    )
    cluster.wait_leader(other_than=leader)
    assert cli.lines("service", "ls", "--format={{.Name}}") == ["web"], "nothing came of it"


def assert_refused(cli: DockerCli, *argv: str) -> None:
    """Type a command; it ends in time with what is wrong, and what to do."""
    began_s = time.monotonic()
    refused = cli(*argv, check=False)
    took_s = time.monotonic() - began_s
    print(f"{argv}: {took_s:.1f} s, {refused.exit_code}, {refused.stderr.strip()}")
    assert refused.exit_code != 0
    for words in ("read-only", "no quorum", "containers run on", "Mend etcd and try again"):
        assert words in refused.stderr, argv
    assert took_s < 2 * WAIT_S + MARGIN_S, "a command asks once or twice"


def test_a_create_typed_while_the_leader_is_dead_succeeds_exactly_once(
    cli: DockerCli, cluster: TestCluster, images: ImageFactory
) -> None:
    """Nameless, so that a second one would not be refused."""
    image = images.sleeper("1.0")
    cluster.wait_leader().kill()
    created = cli("service", "create", "--detach=false", "--label=once=yes", *QUICK, image)
    assert "converged" in created.stdout
    found = cli.lines("service", "ls", "-q", "--filter=label=once=yes")
    assert len(found) == 1
    assert created.stdout.split()[0].startswith(found[0])
    (service,) = cluster.control.services()
    assert len(cluster.running_tasks(service.spec.name)) == 1
