"""What tests ask a machine with systemd, its node and its Engine."""

import contextlib

from tests.cluster import wait_until
from tests.hosts import Lab
from tests.machine.machine import Machine

SCHEDULER, AGENT = "berth-scheduler.service", "berth-agent.service"
INSTALL = "/src/deploy/install.sh --wheels /wheels"


def wait_another(machine: Machine, unit: str, pid: str) -> None:
    """Wait until a unit has a main process other than this one."""
    wait_until(
        f"another {unit} runs",
        lambda: machine.unit(unit, "MainPID") not in (pid, "0"),
        45,
        describe=lambda: machine(f"journalctl -u {unit} -n 30 -o cat --no-pager"),
    )


def nodes(machine: Machine) -> str:
    return machine("berth node ls")


def started(lab: Lab, service: str) -> dict[str, str]:
    """Return when each container of a service was started, by ID."""
    with contextlib.closing(lab.hosts[0].engine.client()) as client:
        label = f"com.docker.swarm.service.name={service}"
        return {
            each.id: each.attrs["State"]["StartedAt"]
            for each in client.containers.list(filters={"label": label})
        }
