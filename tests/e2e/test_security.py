"""Who may speak to a cluster: those with its certificates, each in its own role."""

import json
from pathlib import Path

import pytest

from berth.access import UserRole
from berth.certificates import copy_for_docker, create_authority, issue, load_authority
from berth.clock import SystemClock
from berth.entropy import SystemEntropy
from berth.model.instant import Timestamp
from berth.wire.tls import Role, TlsSettings
from tests.cluster import DOCKER_CLIS, AgentProgram, DockerCli, TestCluster
from tests.e2e.asking import rows
from tests.hosts import ImageFactory

pytestmark = pytest.mark.e2e

_REFUSALS = ("scheduler_unreachable", "scheduler_refused", "session_broke", "session_unreadable")


def stranger(folder: Path, role: Role, name: str, *addresses: str) -> TlsSettings:
    """Issue a certificate of another authority, which claims to be of this cluster."""
    clock, entropy = SystemClock(), SystemEntropy()
    authority = create_authority(folder, clock=clock, entropy=entropy)
    return issue(authority, role, name, addresses, folder, clock=clock, entropy=entropy)


def tls_env(tls: TlsSettings, **changes: str) -> dict[str, str]:
    return {
        "BERTH_TLS_CA_FILE": str(tls.ca_file),
        "BERTH_TLS_CERT_FILE": str(tls.cert_file),
        "BERTH_TLS_KEY_FILE": str(tls.key_file),
        **changes,
    }


def extra_agent(cluster: TestCluster, tls: TlsSettings, folder: Path) -> AgentProgram:
    """Make one more agent on the first host."""
    host = cluster.agents[0].host
    return AgentProgram(
        host,
        schedulers=[scheduler.grpc_address for scheduler in cluster.schedulers],
        http_port=7713,
        state_dir=folder / "state",
        files_dir=folder / "files",
        tls=tls,
        flags=["--node-name=intruder"],
        env={},
        log_path=folder / "agent.log",
    )


@pytest.mark.parametrize("kind", ["another authority", "client", "another node's"])
def test_an_agent_without_a_certificate_for_agents_of_this_cluster_is_refused(
    cluster: TestCluster, tmp_path: Path, kind: str
) -> None:
    address = cluster.agents[0].host.address
    if kind == "client":
        tls = cluster.certificate(Role.CLIENT, "intruder", address)
    elif kind == "another node's":
        tls = cluster.certificate(Role.AGENT, "intruder", address)
        victim = cluster.agents[0].state_dir / "node-id"
        (tmp_path / "state").mkdir()
        (tmp_path / "state" / "node-id").write_bytes(victim.read_bytes())
    else:
        theirs = stranger(tmp_path / "tls", Role.AGENT, "intruder", address)
        # It trusts our schedulers, so that it is they who refuse it.
        tls = TlsSettings(cluster.tls.ca_file, theirs.cert_file, theirs.key_file)
    agent = extra_agent(cluster, tls, tmp_path)
    agent.start()
    try:
        cluster.wait_until("it says why it is not let in", lambda: _complaint(agent), timeout_s=40)
        print(f"an agent with a certificate of {kind} says: {_complaint(agent)}")
        ready, words = agent.readiness()
        assert not ready, words
        assert agent.metric("berth_agent_sessions_total") == 0
    finally:
        agent.stop()
    names = [row["Hostname"] for row in rows(cluster, "node", "ls")]
    assert names == ["host-1", "host-2", "host-3"]


def _complaint(agent: AgentProgram) -> str:
    """Return why the agent has no session, in its own words."""
    told = [json.loads(line) for line in agent.log().splitlines() if line.startswith("{")]
    reasons = [entry["why"] for entry in told if entry["event"] in _REFUSALS and "why" in entry]
    return reasons[-1] if reasons else ""


def test_an_agent_does_not_obey_schedulers_of_another_authority(
    cluster: TestCluster, tmp_path: Path
) -> None:
    address = cluster.agents[0].host.address
    ours = cluster.certificate(Role.AGENT, "intruder", address)
    theirs = stranger(tmp_path / "tls", Role.AGENT, "x", address)
    agent = extra_agent(
        cluster, TlsSettings(theirs.ca_file, ours.cert_file, ours.key_file), tmp_path
    )
    agent.start()
    try:
        cluster.wait_until("it says so", lambda: _complaint(agent), timeout_s=40)
        assert agent.metric("berth_agent_sessions_total") == 0
    finally:
        agent.stop()


def test_a_user_needs_a_client_certificate_of_this_cluster(
    cluster: TestCluster, tmp_path: Path
) -> None:
    theirs = stranger(tmp_path / "tls", Role.CLIENT, "intruder")
    agents = cluster.certificate(Role.AGENT, "curious", "192.0.2.1")
    refused = {
        "none": {"BERTH_TLS_CA_FILE": "", "BERTH_TLS_CERT_FILE": "", "BERTH_TLS_KEY_FILE": ""},
        "another authority's": tls_env(theirs),
        "another authority's, trusting ours": tls_env(
            theirs, BERTH_TLS_CA_FILE=str(cluster.tls.ca_file)
        ),
        "an agent's": tls_env(agents),
    }
    for which, env in refused.items():
        answer = cluster.berth("--call-timeout=5s", "service", "ls", env=env, check=False)
        print(f"{which}: {answer.stderr.strip()}")
        assert answer.exit_code == 1, which
        assert answer.stderr.startswith("Error: "), which
        assert not answer.stdout, which
    assert "role client" in answer.stderr, "an agent's certificate is told what it lacks"
    assert cluster.berth("service", "ls").exit_code == 0


class _YearAgo(SystemClock):
    """A clock by which a certificate that is issued now ended yesterday."""

    def timestamp(self) -> Timestamp:
        return Timestamp(super().timestamp() - 366 * 86400)


def test_whoever_cannot_connect_because_its_certificate_ended_says_so(
    cluster: TestCluster, tmp_path: Path
) -> None:
    authority, ports = load_authority(cluster.folder / "tls"), (_YearAgo(), SystemEntropy())
    address = cluster.agents[0].host.address
    old, mine = (
        issue(authority, role, "late", [address], tmp_path / role, clock=ports[0], entropy=ports[1])
        for role in (Role.AGENT, Role.CLIENT)
    )
    agent = extra_agent(cluster, old, tmp_path)
    agent.start()
    try:
        cluster.wait_until("it could not connect", lambda: _complaint(agent), timeout_s=40)
        assert "our certificate ended on 20" in agent.readiness()[1]
        assert '"certificate_ended"' in agent.log()
    finally:
        agent.stop()
    answer = cluster.berth("service", "ls", env=tls_env(mine), check=False)
    assert "; our certificate ended on 20" in answer.stderr
    assert answer.exit_code == 1


# -- The Docker API over TLS


@pytest.mark.parametrize("program", sorted(DOCKER_CLIS))
def test_the_docker_cli_comes_in_by_tls_as_what_its_certificate_says(
    cluster: TestCluster, images: ImageFactory, tmp_path: Path, program: str
) -> None:
    standby = cluster.standbys()[0]

    def cli(tls: TlsSettings) -> DockerCli:
        config = tmp_path / tls.cert_file.stem
        config.mkdir()
        address = f"tcp://{standby.http_address}"
        return DockerCli(
            DOCKER_CLIS[program], lambda: address, config, cert_path=copy_for_docker(tls)
        )

    users = {
        role: cli(cluster.certificate(Role.CLIENT, f"a-{role}", user_role=role))
        for role in UserRole
    }
    create = ("service", "create", "-q", "--detach=false", "--name=web", "--replicas=1")
    image = images.sleeper("1.0")

    refused = users[UserRole.VIEWER](*create, image, check=False)
    assert refused.exit_code != 0
    assert '"a-viewer" may not use' in refused.stderr
    assert "needs the role deployer" in refused.stderr
    assert not cluster.control.services()
    users[UserRole.DEPLOYER](*create, "--update-monitor=1s", image)
    assert users[UserRole.VIEWER].lines("service", "ls", "--format={{.Name}} {{.Replicas}}") == [
        "web 1/1"
    ]
    label = ("node", "update", "--label-add=a=b", "host-1")
    refused = users[UserRole.DEPLOYER](*label, check=False)
    assert refused.exit_code != 0
    assert "needs the role admin" in refused.stderr
    users[UserRole.ADMIN](*label)
    assert cluster.control.node("host-1").node.spec.labels == {"a": "b"}

    theirs = stranger(tmp_path / "tls", Role.CLIENT, "intruder")
    forged = TlsSettings(cluster.tls.ca_file, theirs.cert_file, theirs.key_file)
    agent = cluster.certificate(Role.AGENT, "curious", "192.0.2.1")
    plain = DockerCli(DOCKER_CLIS[program], lambda: f"tcp://{standby.http_address}", tmp_path)
    for who, stranger_cli, words in (
        ("a stranger", cli(forged), "error during connect"),
        ("an agent", cli(agent), "is an agent"),
        ("nobody, in the clear", plain, "DOCKER_TLS_VERIFY=1"),
    ):
        answer = stranger_cli("service", "ls", check=False)
        assert answer.exit_code != 0, who
        assert words in answer.stderr, who
        assert not answer.stdout, who
    assert "certificate verify failed" in standby.log(), "an operator finds why"
    # On the same port Prometheus goes on without a certificate.
    assert standby.metric("berth_docker_requests_total") > 0
    assert standby.readiness()[0]


def test_the_berth_command_is_held_to_the_role_of_its_certificate(cluster: TestCluster) -> None:
    viewer = cluster.certificate(Role.CLIENT, "looker", user_role=UserRole.VIEWER)
    env = tls_env(viewer)
    assert cluster.berth("service", "ls", env=env).exit_code == 0
    refused = cluster.berth("cluster", "update", "--task-history-limit=3", env=env, check=False)
    assert refused.exit_code == 1
    assert '"looker" may not use the call UpdateCluster' in refused.stderr
    assert "berth certificate issue admin looker" in " ".join(refused.stderr.split())
