"""The units of deploy/systemd under a real systemd: start, readiness, faults, upgrade, removal.

`make systemd-test` runs these; the first run makes an image of Debian, which takes minutes.
"""

import re
from collections.abc import Iterator

import pytest

from tests.cluster import wait_until
from tests.hosts import Lab
from tests.machine.machine import Machine
from tests.systemd.asking import AGENT, INSTALL, SCHEDULER, nodes, started, wait_another
from tests.systemd.hanging import hung_loop

pytestmark = [pytest.mark.e2e, pytest.mark.systemd]


def test_services_are_ready_after_their_first_sync_and_confined(machine: Machine) -> None:
    machine.wait_active(SCHEDULER, AGENT, "berth.target")
    wait_until("it leads", lambda: machine.unit(SCHEDULER, "StatusText") == "leads")
    wait_until("in charge", lambda: "a leader is in charge" in machine.unit(AGENT, "StatusText"))
    assert "Ready" in nodes(machine)
    reach = "test -w /run/berth-scheduler/docker.sock"
    machine(f"setpriv --reuid=nobody --regid=deployers --clear-groups {reach}")
    machine(f"! setpriv --reuid=nobody --clear-groups --regid=nogroup {reach}")
    chown = 1 << 0  # As the kernel numbers capabilities.
    for unit, user, files, capabilities in (
        (SCHEDULER, "berth", 65536, 0), (AGENT, "berth-agent", 16384, chown),
    ):  # fmt: skip
        pid = machine.unit(unit, "MainPID")
        assert machine(f"stat -c %U /proc/{pid}") == user
        status = machine(f"cat /proc/{pid}/status")
        # A container may have no more than its machine: then that is what systemd gives.
        assert open_files(machine, pid) == min(files, open_files(machine, "1"))
        assert machine.unit(unit, "TasksMax") == "512"
        assert "NoNewPrivs:\t1" in status
        assert f"CapEff:\t{capabilities:016x}" in status
        assert machine(f"cat /run/credentials/{unit}/tls.key").startswith("-----BEGIN")
        peek = f"setpriv --reuid=nobody --clear-groups cat /run/credentials/{unit}/tls.key"
        assert "denied" in machine(peek, check=False)


def open_files(machine: Machine, pid: str) -> int:
    """Return how many files a process may have open at most."""
    found = re.search(r"Max open files +\d+ +(\d+)", machine(f"cat /proc/{pid}/limits"))
    assert found is not None
    return int(found[1])


def test_a_confined_agent_writes_files_of_tasks_and_gives_them_away(
    machine: Machine, one_host: Lab
) -> None:
    machine("printf x | berth secret create pw -")
    wait_until("the node is ready", lambda: "Ready" in nodes(machine))
    image = one_host.images.sleeper("1.0")
    machine(f"berth service create -d --name needy --secret source=pw,uid=999,mode=0400 {image}")
    # The Engine runs outside of this machine, so it cannot see the file that was written for it.
    wait_until(
        "the file was written, and the Engine asked to bind it",
        lambda: "bind source path does not exist: /run/berth-files" in tasks(machine, "needy"),
        describe=lambda: tasks(machine, "needy"),
    )
    assert machine("stat -c '%U %a' /run/berth-files") == "berth-agent 700"
    machine("berth service rm needy && berth secret rm pw")


def tasks(machine: Machine, service: str) -> str:
    return machine(f"berth service ps --no-trunc {service}")


@pytest.fixture
def patient_cluster(machine: Machine) -> Iterator[None]:
    """A cluster in which no node is lost while its agent starts on a busy machine."""
    machine("berth cluster update --lost-after 60s")
    yield
    machine("berth cluster update --lost-after 5s")


@pytest.mark.usefixtures("patient_cluster")
def test_a_killed_program_is_started_again(machine: Machine, one_host: Lab, service: str) -> None:
    before = started(one_host, service)
    for unit in (SCHEDULER, AGENT):
        pid = machine.unit(unit, "MainPID")
        machine(f"kill -9 {pid}")
        wait_another(machine, unit, pid)
        machine.wait_active(unit)
    wait_until("the node is ready", lambda: "Ready" in nodes(machine))
    assert started(one_host, service) == before != {}


@pytest.mark.parametrize("unit", [SCHEDULER, AGENT])
def test_a_hung_loop_is_restarted(machine: Machine, one_host: Lab, service: str, unit: str) -> None:
    def noticed() -> int:
        return machine(f"journalctl -u {unit} -o cat --no-pager").count("Watchdog timeout")

    before, pid, earlier = started(one_host, service), machine.unit(unit, "MainPID"), noticed()
    with hung_loop(one_host, machine, unit):
        wait_until("the watchdog notices", lambda: noticed() > earlier, 45)
        assert started(one_host, service) == before != {}
    wait_another(machine, unit, pid)
    machine.wait_active(unit)
    if unit == SCHEDULER:
        assert started(one_host, service) == before
    # The task of a lost node is replaced: here by one on the same node, once that is back.
    wait_until("its task runs", lambda: "1/1" in machine("berth service ls"))


def test_stopping_the_agent_leaves_containers_running(
    machine: Machine, one_host: Lab, service: str
) -> None:
    before = started(one_host, service)
    machine(f"systemctl stop {AGENT}")
    assert machine.unit(AGENT, "Result") == "success"
    assert started(one_host, service) == before != {}
    machine(f"systemctl start {AGENT}")  # Waits until it is ready, and so in sync.
    assert "1/1" in machine("berth service ls")
    assert started(one_host, service) == before


def served_serial(machine: Machine, port: int = 7701) -> str:
    """Return the serial number of the certificate that the scheduler shows a new client."""
    return machine(
        f"openssl s_client -connect 127.0.0.1:{port} -CAfile /keys/ca.crt -cert /keys/operator.crt "
        "-key /keys/operator.key </dev/null 2>/dev/null | openssl x509 -noout -serial"
    )


def shown_metric(machine: Machine, port: int, name: str) -> str:
    """Return the lines of a metric of a program on the machine."""
    url = f"http://127.0.0.1:{port}/metrics"
    read = f"import urllib.request; print(urllib.request.urlopen('{url}').read().decode())"
    return machine(f'python3 -c "{read}" | grep ^{name}')


def test_a_reload_serves_a_renewed_certificate_and_restarts_nothing(
    machine: Machine, one_host: Lab, service: str
) -> None:
    before, serial = started(one_host, service), served_serial(machine)
    pids = [machine.unit(unit, "MainPID") for unit in (SCHEDULER, AGENT)]
    issue_again = "cd /keys && berth certificate issue --authority=. --out=."
    machine(f"{issue_again} scheduler scheduler && {issue_again} agent agent")
    machine("cp /keys/{scheduler,agent}.{crt,key} /etc/berth/tls/")
    machine("sed -i 's|^#level = .*|level = \"debug\"|' /etc/berth/{scheduler,agent}.toml")
    machine("sed -i 's|^#pulls = .*|pulls = 2|' /etc/berth/agent.toml")
    assert served_serial(machine) == serial, "not before it is asked for"
    reload = f"systemctl reload {SCHEDULER} {AGENT}"
    machine(f"{reload} || (journalctl -n 40 -o cat --no-pager; exit 1)")
    machine.wait_active(SCHEDULER, AGENT)
    renewed = machine("openssl x509 -noout -serial -in /keys/scheduler.crt")
    wait_until("the renewed certificate is served", lambda: served_serial(machine) == renewed)
    assert served_serial(machine, 7702) == renewed, "the Docker API shows it too"
    for unit in (SCHEDULER, AGENT):
        told = machine(f"journalctl -u {unit} -o cat --no-pager | grep config_reloaded")
        assert "log.level" in told
    told = machine(f"journalctl -u {AGENT} -o cat --no-pager | grep config_needs_restart")
    assert "parallel.pulls" in told
    assert [machine.unit(unit, "MainPID") for unit in (SCHEDULER, AGENT)] == pids
    machine(f"systemctl restart {SCHEDULER}")  # The agent connects anew, with what was renewed.
    wait_until("the node is ready", lambda: "Ready" in nodes(machine))
    assert machine.unit(AGENT, "MainPID") == pids[1]
    assert started(one_host, service) == before != {}


@pytest.mark.parametrize(("unit", "port"), [(SCHEDULER, 7702), (AGENT, 7703)])
def test_a_reload_refuses_what_is_broken_and_runs_on(
    machine: Machine, service: str, unit: str, port: int
) -> None:
    program, pid = unit.removesuffix(".service"), machine.unit(unit, "MainPID")
    file = f"/etc/berth/{program.removeprefix('berth-')}.toml"
    machine(f"cp {file} /tmp/good.toml && sed -i 's|^level = .*||;s|^#level = .*||' {file}")
    machine(f"sed -i 's|^\\[log\\]|[log]\\nlevel = \"loud\"|' {file}")
    try:
        told = machine(f"systemctl reload {unit}", check=False)
        assert "failed" in told.lower(), told
        success = "berth_config_reload_success"
        wait_until("it is told", lambda: shown_metric(machine, port, success).endswith(" 0.0"))
        # By its level, as the runbook says; the mark of the level is not part of the line.
        shown = machine(f"journalctl -u {unit} -p warning -o cat --no-pager").splitlines()
        (refusal, *_) = [line for line in shown if "config_reload_refused" in line]
        assert "log.level" in refusal
        assert refusal.startswith("{")
        machine.wait_active(unit)
        assert machine.unit(unit, "MainPID") == pid
    finally:
        machine(f"cp /tmp/good.toml {file}")
    machine(f"systemctl reload {unit}")
    wait_until("it is well", lambda: shown_metric(machine, port, success).endswith(" 1.0"))


def test_shutting_down_ends_both_in_good_order(machine: Machine) -> None:
    machine.wait_active(SCHEDULER, AGENT)
    machine(f"systemctl stop berth.target {AGENT} {SCHEDULER}")  # Named, so that it waits for them.
    for unit in (SCHEDULER, AGENT):
        assert machine.unit(unit, "ActiveState") == "inactive"
        assert (machine.unit(unit, "Result"), machine.unit(unit, "ExecMainStatus")) == (
            "success",
            "0",
        )
    assert '"outcome": "resigned"' in machine(f"journalctl -u {SCHEDULER} -o cat --no-pager")
    machine("systemctl start berth.target")
    machine.wait_active(SCHEDULER, AGENT)


def test_an_upgrade_keeps_containers_and_settings_and_removal_leaves_them(
    machine: Machine, one_host: Lab, service: str
) -> None:
    before, release = started(one_host, service), machine("readlink /opt/berth/bin")
    edited = machine("sha256sum /etc/berth/*.toml")
    machine(INSTALL)
    assert machine("readlink /opt/berth/bin") != release
    machine.wait_active(SCHEDULER, AGENT)
    assert started(one_host, service) == before != {}
    machine("/src/deploy/install.sh --remove")
    leftovers = "ls /opt/berth /usr/local/bin/berth /etc/systemd/system/berth* 2>/dev/null"
    assert machine(leftovers, check=False) == ""
    assert "berth" not in machine("cut -d: -f1 /etc/passwd; systemctl list-units --all 'berth*'")
    assert machine("sha256sum /etc/berth/*.toml") == edited
    assert started(one_host, service) == before
    machine(f"{INSTALL} --scheduler --agent")
    machine("usermod -aG deployers berth")  # The user is a new one: docker_socket_group wants it.
    machine("systemctl start berth.target")
    machine.wait_active(SCHEDULER, AGENT)
    wait_until("it is the same node", lambda: nodes(machine).count("machine") == 1)
    assert started(one_host, service) == before


def test_pauses_grow_while_a_program_cannot_start_and_none_is_left_after_the_repair(
    machine: Machine, service: str
) -> None:
    file, since = "/etc/berth/agent.toml", machine("date +%s")
    machine(f"cp {file} /tmp/good.toml && echo nonsense >>{file}")

    def told() -> str:
        return machine(f"journalctl -u {AGENT} --since=@{since} -o cat --no-pager")

    try:
        machine(f"systemctl restart --no-block {AGENT}")
        for pause_s in (1, 2, 4):
            wait_until(
                f"it waits for {pause_s} s",
                lambda pause_s=pause_s: f"the next start is in {pause_s} s" in told(),
                describe=told,
            )
        assert "is not TOML" in told(), "why it does not start"
    finally:
        machine(f"mv /tmp/good.toml {file}")
    machine(f"systemctl restart {AGENT}")  # Ends the pause, and waits for none.
    assert machine.unit(AGENT, "NRestarts") == "0"
    assert machine(f"cat /run/berth-restarts/{AGENT}").endswith(" 0")
