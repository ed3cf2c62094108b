"""A machine that is shut down gives its tasks away first, and is as before when it is back.

The machine's own scheduler leads, so that the order of the units counts too: the agent leaves
before anything that it needs for that goes. Another agent, on the same Engine, is the node
that takes the tasks; each node touches only its own containers.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from berth.wire.tls import TlsSettings
from tests.cluster import wait_until
from tests.cluster.programs import AgentProgram
from tests.hosts import Lab
from tests.machine.machine import Machine
from tests.systemd.asking import AGENT, SCHEDULER, started

pytestmark = [pytest.mark.e2e, pytest.mark.systemd]


@pytest.fixture(scope="module")
def journalled(machine: Machine) -> Machine:
    """The machine, whose journal outlives its shutdowns."""
    machine("mkdir -p /var/log/journal && systemctl restart systemd-journald")
    return machine


@pytest.fixture
def other(journalled: Machine, one_host: Lab, keys: Path, tmp_path: Path) -> Iterator[AgentProgram]:
    """Another node of the cluster, which stays up."""
    host = one_host.hosts[0]
    agent = AgentProgram(
        host,
        schedulers=[f"{host.address}:7701"],
        http_port=7713,  # The host has a network of its own; the machine's agent has 7703.
        state_dir=tmp_path / "state",
        files_dir=tmp_path / "files",
        tls=TlsSettings(keys / "ca.crt", keys / "other.crt", keys / "other.key"),
        flags=["--node-name=other"],
        env={},
        log_path=tmp_path / "other.log",
    )
    agent.start()
    wait_until("it is ready", lambda: state_of(journalled, "other") == ("ready", "active"))
    yield agent
    if agent.is_running:
        agent.stop()
    journalled("berth node rm --force other")


def state_of(machine: Machine, name: str) -> tuple[str, str]:
    """Return status and availability of a node, as `berth node ls` tells them."""
    for node in listed(machine, "node ls"):
        if node["Hostname"] == name:
            return node["Status"].lower(), node["Availability"].lower()
    return "", ""


def placed_on(machine: Machine, service: str) -> str:
    """Return the node of a service's only running task, once there is one.

    A leader that has just begun does not list it before the node's agent is back.
    """
    nodes: list[str] = []

    def is_one() -> bool:
        tasks = listed(machine, f"service ps {service}")
        nodes[:] = [task["Node"] for task in tasks if task["CurrentState"].startswith("Running")]
        return len(nodes) == 1

    wait_until(f"one task of {service} runs", is_one)
    return nodes[0]


def listed(machine: Machine, what: str) -> list[dict[str, str]]:
    """Return the rows of a listing; none while no leader answers."""
    answer = machine(f"berth {what} --format json", check=False)
    return [json.loads(line) for line in answer.splitlines() if line.startswith("{")]


def told(machine: Machine, event: str) -> str:
    """Return the newest line of this event in the agent's journal, of all boots."""
    return machine(f"journalctl -u {AGENT} -o cat --no-pager | grep {event} | tail -n 1")


def shut_down_and_boot(machine: Machine, how: str) -> None:
    machine(f"systemctl {how}", check=False)
    machine.wait_off()
    machine.boot()
    machine.wait_active(SCHEDULER, AGENT)
    wait_until("it is ready", lambda: state_of(machine, "machine")[0] == "ready")


def test_stopping_and_restarting_the_agent_moves_nothing(
    journalled: Machine, other: AgentProgram, one_host: Lab, service: str
) -> None:
    before, departure = started(one_host, service), told(journalled, "departure_begun")
    journalled(f"systemctl restart {AGENT} && systemctl stop {AGENT} && systemctl start {AGENT}")
    wait_until("it is ready", lambda: state_of(journalled, "machine")[0] == "ready")
    assert started(one_host, service) == before != {}
    assert told(journalled, "departure_begun") == departure, "none since"


@pytest.mark.parametrize("how", ["poweroff", "reboot"])
def test_a_shutdown_moves_tasks_first_and_after_the_boot_the_node_is_active(
    journalled: Machine, other: AgentProgram, one_host: Lab, how: str
) -> None:
    machine = journalled
    image = one_host.images.sleeper("1.0")
    machine("berth node drain --wait other")
    machine(f"berth service create --name moving {image}")
    machine("berth node activate other")
    assert placed_on(machine, "moving") == "machine"
    shut_down_and_boot(machine, how)
    assert '"why": "no task is left"' in told(machine, "departure_over")
    assert state_of(machine, "machine") == ("ready", "active")
    assert placed_on(machine, "moving") == "other"
    machine("berth service rm moving")


def test_the_only_node_goes_down_at_once_and_an_operators_drain_stays(
    journalled: Machine, service: str
) -> None:
    machine = journalled
    machine("berth node drain machine")
    shut_down_and_boot(machine, "reboot")
    assert "no other node takes tasks; 1 task left" in told(machine, "departure_over")
    assert state_of(machine, "machine") == ("ready", "drain")
    machine("berth node activate machine")
    assert placed_on(machine, service) == "machine"


def test_without_a_leader_the_machine_goes_down_after_a_bounded_wait(
    journalled: Machine, other: AgentProgram, service: str
) -> None:
    journalled(f"systemctl stop {SCHEDULER}")
    shut_down_and_boot(journalled, "poweroff")
    assert "no leader answers; 1 task left" in told(journalled, "departure_over")


def test_a_drain_that_is_switched_off_moves_nothing(
    journalled: Machine, other: AgentProgram, one_host: Lab, service: str
) -> None:
    machine, before = journalled, started(one_host, service)
    set_to = "sed -i 's|^#*drain_on_shutdown_s = .*|{}|' /etc/berth/agent.toml"
    machine(set_to.format('drain_on_shutdown_s = "0s"') + f" && systemctl reload {AGENT}")
    shut_down_and_boot(machine, "reboot")
    # The Engine is outside of this machine, so that here the container outlives it.
    assert started(one_host, service) == before != {}
    assert "left after 0 s" in told(machine, "departure_over")
    machine(set_to.format('#drain_on_shutdown_s = "60s"') + f" && systemctl reload {AGENT}")
