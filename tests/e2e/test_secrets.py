"""Configs and secrets, from the docker CLI to files in containers, and nowhere else.

One scheduler's cluster of real Engines; payloads are random per test, so that a search for them in
every file that a disk keeps cannot find another test's.
"""

import base64
import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import DOCKER_CLIS, DockerCli, TestCluster
from tests.e2e.engines import files_below, run_inside
from tests.hosts import Host, ImageFactory

pytestmark = pytest.mark.e2e

QUICK = ("--update-monitor=1s", "--restart-delay=200ms", "--detach=false", "--quiet")


@pytest.fixture
def cli(cluster: TestCluster, tmp_path: Path) -> Iterator[DockerCli]:
    """A docker CLI on a scheduler that does not lead; what it made is removed at the end."""
    program = DOCKER_CLIS.get("new") or DOCKER_CLIS["debian"]
    it = DockerCli(program, lambda: cluster.standbys()[0].docker_host, tmp_path)
    yield it
    cluster.remove_services()
    for kind in ("secret", "config"):
        if names := it.lines(kind, "ls", "-q"):
            it(kind, "rm", *names)


def plain() -> str:
    """Return a payload that is nowhere on this machine yet."""
    return f"plain-{secrets.token_hex(16)}"


def only(cluster: TestCluster, service: str) -> tuple[Host, str]:
    """Return the host and the ID of the one container of a service."""
    ((host, container),) = cluster.containers(service)
    return host, str(container["Id"])


def inside(cluster: TestCluster, service: str, *argv: str) -> str:
    return run_inside(*only(cluster, service), *argv)


def node_of(cluster: TestCluster, service: str) -> str:
    return only(cluster, service)[0].name


def files_on(cluster: TestCluster, node: str) -> list[bytes]:
    """Return what the files are that an agent keeps in memory."""
    return [held for _, held in files_below(cluster.agent(node).files_dir)]


def found_on_disk(cluster: TestCluster, text: str) -> list[str]:
    """Return every file below the lab's folder that holds `text`: etcd, agents, Engines, logs."""
    wanted = text.encode()
    return [str(path) for path, held in files_below(cluster.lab.work_dir) if wanted in held]


def inspected(cli: DockerCli, *argv: str) -> dict[str, Any]:
    (document,) = json.loads(cli(*argv).stdout)
    assert isinstance(document, dict)
    return document


def test_a_secret_reaches_its_container_and_no_disk(
    cli: DockerCli, cluster: TestCluster, images: ImageFactory
) -> None:
    password, setting, control = plain(), plain(), plain()
    cli("secret", "create", "--label=a=b", "pw", "-", stdin=password)
    cli("config", "create", "conf", "-", stdin=setting)
    cli("service", "create", "--name=web", *QUICK,
        "--secret=source=pw,target=db/pw,uid=65534,gid=50,mode=0440",
        "--config=source=conf,target=/etc/conf", f"--env=CONTROL={control}",
        images.sleeper("1.0"))  # fmt: skip

    assert inside(cluster, "web", "cat", "/run/secrets/db/pw") == password
    assert inside(cluster, "web", "cat", "/etc/conf") == setting
    shown = inside(cluster, "web", "stat", "-c", "%a %u %g", "/run/secrets/db/pw").split()
    assert shown == ["440", "65534", "50"]
    assert inside(cluster, "web", "stat", "-c", "%a %u %g", "/etc/conf").split() == [
        "444",
        "0",
        "0",
    ]
    mounts = [line.split() for line in inside(cluster, "web", "cat", "/proc/mounts").splitlines()]
    for target in ("/run/secrets/db/pw", "/etc/conf"):
        (mount,) = [fields for fields in mounts if fields[1] == target]
        assert mount[2] == "tmpfs", mount
        assert "ro" in mount[3].split(","), mount
    refused = inside(cluster, "web", "sh", "-c", "echo x > /run/secrets/db/pw")
    assert "Read-only file system" in refused

    # In memory for root alone, on the node that needs it and on no other.
    node = node_of(cluster, "web")
    folder = next(cluster.agent(node).files_dir.iterdir())
    assert (folder.stat().st_mode & 0o777, folder.stat().st_uid) == (0o700, 0)
    assert sorted(files_on(cluster, node)) == sorted([password.encode(), setting.encode()])
    for agent in cluster.agents:
        if agent.host.name != node:
            assert files_on(cluster, agent.host.name) == []

    # Shown to nobody; and on no disk, where a variable of the same container is found.
    secret = inspected(cli, "secret", "inspect", "pw")
    assert (secret["Spec"]["Labels"], secret["Spec"].get("Data")) == ({"a": "b"}, None)
    assert setting in cli("config", "inspect", "--pretty", "conf").stdout
    assert password not in cli("service", "inspect", "web").stdout
    assert found_on_disk(cluster, control), "the search finds what is on a disk"
    assert found_on_disk(cluster, password) == []
    assert found_on_disk(cluster, setting) == []

    cli("service", "rm", "web")
    cluster.wait_until("its files are gone", lambda: not files_on(cluster, node))
    cli("secret", "rm", "pw")
    assert found_on_disk(cluster, password) == []


def test_what_is_in_use_stays_and_rotation_restarts_tasks(
    cli: DockerCli, cluster: TestCluster, images: ImageFactory
) -> None:
    cli("secret", "create", "pw1", "-", stdin="old")
    cli("service", "create", "--name=web", *QUICK, "--secret=pw1", images.sleeper("1.0"))
    refused = cli("secret", "rm", "pw1", check=False)
    assert refused.exit_code != 0
    assert "secret 'pw1' is in use by the following service: web" in refused.output
    again = cli("secret", "create", "pw1", "-", stdin="new", check=False)
    assert again.exit_code != 0
    assert "already exists" in again.output

    cli("secret", "create", "pw2", "-", stdin="new")
    before = only(cluster, "web")
    cli("service", "update", *QUICK, "--secret-rm=pw1",
        "--secret-add=source=pw2,target=pw1", "web")  # fmt: skip
    assert only(cluster, "web") != before
    assert inside(cluster, "web", "cat", "/run/secrets/pw1") == "new"
    cli("secret", "rm", "pw1")
    gone = cli("service", "rollback", "-d", "web", check=False)
    assert gone.exit_code != 0
    assert 'secret "pw1"' in gone.output
    assert inside(cluster, "web", "cat", "/run/secrets/pw1") == "new"


def test_an_agents_restart_keeps_files_and_what_restarts_without_a_leader_has_them(
    cli: DockerCli, cluster: TestCluster, images: ImageFactory
) -> None:
    cli("secret", "create", "pw", "-", stdin="kept")
    cli("service", "create", "--name=web", *QUICK, "--secret=pw", images.sleeper("1.0"))
    host, container = only(cluster, "web")
    cluster.control.change_settings(lost_after_s=60.0)  # It is not lost while it is away.
    agent = cluster.agent(host.name)
    agent.kill()
    assert inside(cluster, "web", "cat", "/run/secrets/pw") == "kept"
    assert files_on(cluster, host.name) == [b"kept"]
    for scheduler in cluster.schedulers:
        scheduler.pause()
    try:
        agent.start()
        before = cluster.container_starts("web")
        assert set(before) == {container}
        run_inside(host, container, "kill", "-TERM", "1")
        # It is away for a moment only: who looks for that may miss it.
        cluster.wait_until(
            "the agent restarted it alone",
            lambda: (after := cluster.container_starts("web")) and after != before,
        )
        assert only(cluster, "web") == (host, container)
        assert inside(cluster, "web", "cat", "/run/secrets/pw") == "kept"
    finally:
        for scheduler in cluster.schedulers:
            scheduler.resume()
    cluster.wait_running("web", 1)


def test_a_stack_brings_configs_and_secrets(
    cli: DockerCli, cluster: TestCluster, images: ImageFactory, tmp_path: Path
) -> None:
    cli("secret", "create", "shared", "-", stdin="outside")
    (tmp_path / "pw").write_text("from a file")
    (tmp_path / "page").write_text("{{.Service.Name}} {{env `WHO`}} {{secret `pw`}}")
    document = {
        "version": "3.8",
        "services": {
            "a": {
                "image": images.sleeper("1.0"),
                "environment": {"WHO": "me"},
                "secrets": ["pw", {"source": "shared", "target": "/opt/shared", "mode": 0o400}],
                "configs": [{"source": "page", "target": "/srv/page"}],
            }
        },
        "secrets": {"pw": {"file": "./pw"}, "shared": {"external": True}},
        "configs": {"page": {"file": "./page", "template_driver": "golang"}},
    }
    compose = tmp_path / "compose.yml"
    compose.write_text(json.dumps(document))
    cli("stack", "deploy", "-c", str(compose), "app")
    cluster.wait_running("app_a", 1)
    assert inside(cluster, "app_a", "cat", "/run/secrets/pw") == "from a file"
    assert inside(cluster, "app_a", "cat", "/opt/shared") == "outside"
    assert inside(cluster, "app_a", "cat", "/srv/page") == "app_a me from a file"
    before = only(cluster, "app_a")
    cli("stack", "deploy", "-c", str(compose), "app")
    time.sleep(1.0)
    assert only(cluster, "app_a") == before, "deployed again without a change"
    (tmp_path / "pw").write_text("changed")
    refused = cli("stack", "deploy", "-c", str(compose), "app", check=False)
    assert "only updates to Labels are allowed" in refused.output
    cli("stack", "rm", "app")
    assert cli.lines("secret", "ls", "--format={{.Name}}") == ["shared"]
    assert cli.lines("config", "ls", "-q") == []


@pytest.mark.parametrize("name", sorted(DOCKER_CLIS))
def test_both_clients_keep_list_and_remove(
    name: str, cluster: TestCluster, tmp_path: Path, cli: DockerCli
) -> None:
    it = DockerCli(DOCKER_CLIS[name], lambda: cluster.schedulers[0].docker_host, tmp_path)
    for kind in ("config", "secret"):
        file = tmp_path / "data"
        file.write_bytes(bytes(range(256)))
        created = it(kind, "create", "--label=team=x", "one", str(file)).stdout.strip()
        assert it.lines(kind, "ls", "--filter=name=one", "--format={{.ID}} {{.Name}}") == [
            f"{created} one"
        ]
        assert it.lines(kind, "ls", "-q", "--filter=label=team=y") == []
        assert inspected(it, kind, "inspect", created[:8])["Spec"]["Name"] == "one"
        if kind == "secret":  # The old client does not look among configs.
            assert inspected(it, "inspect", created)["ID"] == created
        assert it.lines(kind, "rm", "one") == ["one"]
        missing = it(kind, "inspect", "one", check=False)
        assert missing.exit_code != 0
    large = secrets.token_bytes(1000 * 1024 - 1)
    file.write_bytes(large)
    it("config", "create", "large", str(file))
    assert base64.b64decode(inspected(it, "config", "inspect", "large")["Spec"]["Data"]) == large


def test_what_a_service_cannot_have_is_refused_or_told(
    cli: DockerCli, cluster: TestCluster, images: ImageFactory
) -> None:
    unknown = cli("service", "create", "-d", "--secret=nosuch", images.sleeper("1.0"), check=False)
    assert unknown.exit_code != 0
    assert "nosuch" in unknown.output
    refused = cluster.berth(
        "service", "create", "-d", "--name=x", "--secret=nosuch", "--config=none",
        images.sleeper("1.0"), check=False,
    )  # fmt: skip
    assert refused.exit_code != 0
    assert 'secret "nosuch" not found' in refused.stderr
    assert 'config "none" not found' in refused.stderr
    cli("config", "create", "--template-driver=golang", "bad", "-", stdin="{{secret `none`}}")
    cli("service", "create", "-d", "--name=web", *QUICK[:2], "--config=bad", images.sleeper("1.0"))
    cluster.wait_until(
        "the task says what is wrong",
        lambda: any(
            'no secret with the target "none"' in task.status.error
            for task in cluster.control.tasks("web", only_wanted=False)
        ),
    )
