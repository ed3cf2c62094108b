"""The harness itself, for real: hosts that pull, run, lose power and network, and vanish."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.hosts import Host, ImageFactory, Lab, LabError, Prometheus, lab
from tests.hosts.ledger import clean, read_records
from tests.hosts.leftovers import leftovers
from tests.hosts.procfs import ProcessIdentity, find_processes, find_sessions

pytestmark = pytest.mark.engine
_TOP = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def shared() -> Iterator[Lab]:
    with lab(hosts=3) as it:
        yield it


@pytest.fixture
def three(shared: Lab) -> Iterator[Lab]:
    yield shared
    shared.heal()


def eventually(claim: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not claim():
        assert time.monotonic() < deadline, f"not true within {timeout_s} s"
        time.sleep(0.05)


def run(host: Host, image: str, **settings: Any) -> dict[str, Any]:
    """Pull and start a container; return what inspect says of it."""
    with contextlib.closing(host.engine.client()) as client:
        client.images.pull(image)
        container = client.containers.run(image, detach=True, **settings)
        attrs: dict[str, Any] = client.api.inspect_container(container.id)
        return attrs


def inspect(host: Host, container_id: str) -> dict[str, Any]:
    with contextlib.closing(host.engine.client()) as client:
        attrs: dict[str, Any] = client.api.inspect_container(container_id)
        return attrs


def can_reach(source: Host, target: str) -> bool:
    argv = ["nsenter", f"--net=/run/netns/{source.netns}"]
    argv += ["busybox", "nc", "-w", "1", *target.split(":"), "-e", "true"]
    return subprocess.run(argv, capture_output=True).returncode == 0


def test_hosts_have_their_own_name_address_and_engine(three: Lab) -> None:
    facts = []
    for host in three.hosts:
        with contextlib.closing(host.engine.client()) as client:
            facts.append(client.info())
    assert [fact["Name"] for fact in facts] == ["host-1", "host-2", "host-3"]
    assert len({fact["ID"] for fact in facts}) == 3
    assert len({host.address for host in three.hosts}) == 3


def test_every_host_pulls_and_runs_the_pinned_image(three: Lab) -> None:
    old = three.images.web("1.0")
    three.images.retag(old, three.images.web("1.1"))
    for host in three.hosts:
        seen = run(host, old.pinned, ports={"80/tcp": 8080})
        assert old.pinned in inspect_image(host, seen["Image"])["RepoDigests"]
        eventually(partial(serves, f"http://{host.address}:8080/", "1.0\n"))
    with contextlib.closing(three.hosts[0].engine.client()) as client:
        moved = client.images.pull(old)
        assert moved.attrs["Config"]["Labels"] == {"test.version": "1.1"}
        assert client.images.get(old.pinned).id != moved.id


def inspect_image(host: Host, image_id: str) -> dict[str, Any]:
    with contextlib.closing(host.engine.client()) as client:
        attrs: dict[str, Any] = client.api.inspect_image(image_id)
        return attrs


def serves(url: str, text: str) -> bool:
    try:
        return requests.get(url, timeout=2).text == text
    except requests.RequestException:
        return False


def test_a_tag_moves_to_content_of_another_repository(three: Lab) -> None:
    sleeper = three.images.sleeper("1.0")
    crasher = three.images.crasher("1.0")
    moved = three.images.retag(sleeper, crasher)
    assert moved == sleeper
    assert moved.digest == crasher.digest
    assert three.images.sleeper("1.0").digest == sleeper.digest != moved.digest


def test_a_manifest_list_gives_each_platform_its_own_image(three: Lab) -> None:
    listed = three.images.manifest_list("berth/multi", "1.0", ["amd64", "arm64"])
    with contextlib.closing(three.hosts[0].engine.client()) as client:
        data = client.api.inspect_distribution(listed)
    assert data["Descriptor"]["digest"] == listed.digest
    assert {platform["architecture"] for platform in data["Platforms"]} == {"amd64", "arm64"}


@pytest.mark.parametrize(
    ("kind", "exit_code"), [("crasher", 1), ("finisher", 0)], ids=["fails", "succeeds"]
)
def test_a_container_ends_by_itself(three: Lab, kind: str, exit_code: int) -> None:
    host = three.hosts[0]
    seen = run(host, three.images.build(kind))
    eventually(lambda: inspect(host, seen["Id"])["State"]["Status"] == "exited")
    assert inspect(host, seen["Id"])["State"]["ExitCode"] == exit_code


@pytest.mark.parametrize(
    ("kind", "status"), [("healthy", "healthy"), ("sick", "unhealthy"), ("web", "healthy")]
)
def test_a_health_check_has_its_outcome(three: Lab, kind: str, status: str) -> None:
    host = three.hosts[1]
    seen = run(host, three.images.build(kind))
    eventually(lambda: inspect(host, seen["Id"])["State"]["Health"]["Status"] == status)


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [
        pytest.param("sleeper", 0, id="a sleeper stops when told to"),
        pytest.param("web", 0, id="a web server stops when told to"),
        pytest.param("talker", 0, id="a talker stops when told to"),
        pytest.param("stubborn", 137, id="a stubborn one is killed after its grace"),
    ],
)
def test_a_container_is_stopped(three: Lab, kind: str, exit_code: int) -> None:
    host = three.hosts[2]
    seen = run(host, three.images.build(kind))
    with contextlib.closing(host.engine.client()) as client:
        eventually(lambda: client.api.logs(seen["Id"]) != b"")
        client.api.stop(seen["Id"], timeout=2 if kind == "stubborn" else 50)
    assert inspect(host, seen["Id"])["State"]["ExitCode"] == exit_code


def test_power_off_ends_everything_of_that_host_only(three: Lab) -> None:
    image = three.images.sleeper()
    victim, other = three.hosts[0], three.hosts[1]
    kept = run(victim, image, restart_policy={"Name": "always"})
    forgotten = run(victim, image)
    spared = run(other, image)
    program = victim.popen(["sleep", "1000"])
    pids = [kept["State"]["Pid"], forgotten["State"]["Pid"]]

    victim.power_off()

    assert program.wait(30.0) == -signal.SIGKILL
    assert not any(os.path.exists(f"/proc/{pid}/ns/net") for pid in pids)
    assert not victim.engine.is_running
    assert not find_processes(netns_inodes(victim), frozenset([victim.cgroup]))
    assert inspect(other, spared["Id"])["State"]["Pid"] == spared["State"]["Pid"]
    assert not can_reach(other, f"{victim.address}:1")

    victim.power_on()

    eventually(lambda: inspect(victim, kept["Id"])["State"]["Running"])
    assert not inspect(victim, forgotten["Id"])["State"]["Running"]


def netns_inodes(host: Host) -> frozenset[int]:
    return frozenset([os.stat(f"/run/netns/{host.netns}").st_ino])


def test_a_cut_link_silences_the_host_until_restored(three: Lab) -> None:
    host, other = three.hosts[1], three.hosts[2]
    target = three.registry.address
    seen = run(host, three.images.sleeper())
    assert can_reach(host, target)

    host.cut_link()

    assert not can_reach(host, target)
    assert can_reach(other, target)
    assert inspect(host, seen["Id"])["State"]["Running"]

    host.restore_link()

    eventually(lambda: can_reach(host, target))


def test_live_restore_keeps_containers_over_an_engine_restart(three: Lab) -> None:
    host = three.hosts[0]
    host.stop_engine()
    host.start_engine(live_restore=True)
    try:
        before = run(host, three.images.sleeper())["State"]
        host.restart_engine()
        [container] = containers(host)
        assert inspect(host, container)["State"]["Pid"] == before["Pid"]
        host.kill_engine()
        host.start_engine(live_restore=True)
        after = inspect(host, container)["State"]
        assert (after["Pid"], after["StartedAt"]) == (before["Pid"], before["StartedAt"])
    finally:
        host.stop_engine()
        host.start_engine()


def containers(host: Host) -> list[str]:
    with contextlib.closing(host.engine.client()) as client:
        return [item["Id"] for item in client.api.containers(quiet=True)]


def test_without_live_restore_an_engine_restart_stops_containers(three: Lab) -> None:
    host = three.hosts[1]
    seen = run(host, three.images.sleeper())
    host.restart_engine()
    assert inspect(host, seen["Id"])["State"]["Status"] == "exited"


def test_a_registry_with_a_password_asks_for_it(three: Lab) -> None:
    registry = three.start_registry("private", user="ann", password="secret")
    try:
        image = ImageFactory(registry).sleeper()
        with contextlib.closing(three.hosts[0].engine.client()) as client:
            with pytest.raises(Exception, match="no basic auth credentials"):
                client.images.pull(image)
            client.images.pull(image, auth_config={"username": "ann", "password": "secret"})
    finally:
        registry.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{registry.url}/v2/", timeout=2)


def test_prometheus_scrapes_its_targets_and_tells_the_dead(three: Lab) -> None:
    prometheus = Prometheus(three.network.address, three.work_dir / "prometheus", three.processes)
    dead = f"{three.hosts[0].address}:1"
    prometheus.start({"itself": [prometheus.address], "nobody": [dead]})

    def seen() -> dict[str, float]:
        return {labels["instance"]: value for labels, value in prometheus.query("up")}

    try:
        eventually(lambda: seen() == {prometheus.address: 1.0, dead: 0.0})
        with pytest.raises(LabError, match="parse error"):
            prometheus.query("up{")
    finally:
        prometheus.stop()


def test_nothing_is_left_after_a_failure_in_the_block() -> None:
    seen: list[Any] = []
    with pytest.raises(RuntimeError, match="on purpose"):
        fill_a_lab_and_fail(seen)
    folder, records, shims = seen
    assert leftovers(folder, records) == []
    assert not shims & set(os.listdir("/run/containerd/s"))


def fill_a_lab_and_fail(seen: list[Any]) -> None:
    with lab(hosts=2) as it:
        run(it.hosts[0], it.images.sleeper(), restart_policy={"Name": "always"})
        run(it.hosts[1], it.images.web(), ports={"80/tcp": 8080})
        it.hosts[0].popen(["sleep", "1000"]).pause()
        it.processes.start(["sh", "-c", "sleep 1000 & sleep 1000"])
        records, shims = read_records(it.work_dir), shim_sockets(it.work_dir)
        there = {name.split()[0] for name in leftovers(it.work_dir, records)}
        assert {"process", "netns", "link", "rule"} <= there
        assert len(shims & set(os.listdir("/run/containerd/s"))) == 2
        seen += [it.work_dir, records, shims]
        raise RuntimeError("on purpose")


def shim_sockets(folder: Path) -> set[str]:
    # No "**": it would walk through what the Engines are at work on, and raise for what vanishes.
    tasks = "h*/engine/exec/containerd/daemon/io.containerd.runtime.v2.task/moby"
    return {path.read_text().rsplit("/", 1)[1] for path in folder.glob(f"{tasks}/*/address")}


_OWNER = """
import sys, time
from tests.hosts import lab
with lab(hosts=1, registry=False) as it:
    print(it.work_dir, flush=True)
    time.sleep(1000)
"""


@contextlib.contextmanager
def a_lab_of_another_process(**env: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    with subprocess.Popen(
        [sys.executable, "-c", _OWNER],
        cwd=_TOP,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as owner:
        assert owner.stdout is not None
        folder = Path(owner.stdout.readline().decode().strip())
        try:
            yield owner, folder
        finally:
            owner.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_the_owner_is_ended(number: signal.Signals) -> None:
    with a_lab_of_another_process() as (owner, folder):
        records = read_records(folder)
        assert leftovers(folder, records) != []
        owner.send_signal(number)
        assert owner.wait(120) != 0
    eventually(lambda: not folder.exists())
    assert leftovers(folder, records) == []


def watcher_of(folder: Path) -> int:
    [pid] = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if f"--watch\0{folder}\0".encode() in read_or_nothing(path)
    ]
    return pid


def read_or_nothing(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # It ended in between.
        return b""


def test_clean_ends_a_lab_whose_owner_and_watcher_were_killed() -> None:
    with a_lab_of_another_process() as (owner, folder):
        records = read_records(folder)
        os.kill(watcher_of(folder), signal.SIGKILL)
        owner.kill()
    assert leftovers(folder, records) != []
    argv = [sys.executable, "-m", "tests.hosts", "--clean", str(folder)]
    said = subprocess.run(argv, cwd=_TOP, capture_output=True, text=True, check=True).stdout
    assert f"cleaned up {folder}" in said
    assert leftovers(folder, records) == []


def test_logs_are_kept_where_asked_for(tmp_path: Path) -> None:
    with a_lab_of_another_process(BERTH_LAB_LOGS=str(tmp_path)) as (owner, folder):
        owner.terminate()
        owner.wait(120)
    assert "API listen on" in (tmp_path / folder.name / "h1/engine/dockerd.log").read_text()


def test_clean_never_ends_a_stranger_with_a_recorded_pid(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as stranger:
        record = f'{{"kind": "process", "value": [{stranger.pid}, 12345]}}\n'
        folder = tmp_path / "lab"
        folder.mkdir()
        (folder / "lab.jsonl").write_text(record)
        clean(folder)
        assert stranger.poll() is None
        assert find_sessions([ProcessIdentity(stranger.pid, 12345)]) == frozenset()
        stranger.kill()
    assert not folder.exists()


def test_a_work_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(LabError, match="is not empty"), lab(work_dir=tmp_path):
        pass
    assert (tmp_path / "precious").exists()
