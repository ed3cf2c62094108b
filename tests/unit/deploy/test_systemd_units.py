"""The units hold what docs/operations.md says of them, as far as systemd's own tools can tell."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from berth.systemd import READY_WITHIN_S, STOP_EXTENSION_S

TOP = Path(__file__).parents[3]
UNITS = TOP / "deploy" / "systemd"
SERVICES = ("berth-scheduler", "berth-agent")
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze comes with Debian's systemd"
)


def settings(name):
    """Return key -> values of a unit; of a key that is given twice, both."""
    found = {}
    for line in (UNITS / f"{name}.service").read_text("utf-8").splitlines():
        if match := re.match(r"([A-Za-z]+)=(.*)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


def joined(name):
    """Return the unit's text with continued lines joined."""
    return (UNITS / f"{name}.service").read_text("utf-8").replace("\\\n", " ")


def copy_with_present_programs(folder):
    """Copy the units, their programs replaced by one that is there: `verify` looks for it."""
    for path in UNITS.glob("*.*"):
        text = re.sub(r"^(Exec\w+=\+?)/opt\S+", r"\1/bin/true", path.read_text(), flags=re.M)
        (folder / path.name).write_text(text, "utf-8")
    return [str(folder / name) for name in ("berth.target", *(f"{s}.service" for s in SERVICES))]


@needs_systemd
def test_systemd_finds_no_fault_in_them(tmp_path):
    files = copy_with_present_programs(tmp_path)
    answer = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in answer.stderr.splitlines() if "berth" in line]
    assert (answer.returncode, ours) == (0, [])


@needs_systemd
@pytest.mark.parametrize("name", SERVICES)
def test_their_exposure_is_as_low_as_the_guide_says(name):
    answer = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", UNITS / f"{name}.service"],
        capture_output=True,
        text=True,
        check=False,
    )
    score = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", answer.stdout)[1])
    guide = (TOP / "docs" / "operations.md").read_text("utf-8")
    told = float(re.search(rf"\| `{name}\.service` \| ([0-9.]+) \|", guide)[1])
    assert score <= told <= 2.0


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_notified_watched_and_never_given_up(name):
    unit = settings(name)
    assert unit["Type"] == ["notify"]
    assert float(unit["WatchdogSec"][0]) >= 10
    assert float(unit["TimeoutStartSec"][0]) > READY_WITHIN_S
    assert (unit["Restart"], unit["StartLimitIntervalSec"]) == (["always"], ["0"])
    assert unit["WantedBy"] == ["berth.target"]


@pytest.mark.parametrize("name", SERVICES)
def test_the_settings_name_the_credentials_that_the_unit_loads(name):
    loaded = {entry.split(":")[0] for entry in settings(name)["LoadCredential"]}
    example = (TOP / f"deploy/config/{name.removeprefix('berth-')}.toml").read_text("utf-8")
    asked = set(re.findall(rf'"/run/credentials/{name}\.service/([^"]+)"', example))
    assert asked == loaded


@pytest.mark.parametrize("name", SERVICES)
def test_a_reload_renews_each_certificate_from_where_it_was_loaded(name):
    loaded = set(settings(name)["LoadCredential"]) - {"sealing.key:/etc/berth/sealing.key"}
    renew, tell, check = re.findall(r"^ExecReload=(.*)", joined(name), re.MULTILINE)
    program, service, user, *renewed = renew.split()
    assert program == "+/opt/berth/share/systemd/renew-credentials"
    assert (service, [user]) == (name, settings(name)["User"])
    assert settings(name)["RuntimeDirectory"] == [name], "where renewed credentials go"
    assert set(renewed) == loaded
    assert tell == "/bin/sh -c 'kill -HUP $MAINPID'", "/bin/kill is not on every machine"
    assert check == settings(name)["ExecStart"][0] + " --check-config"


def test_only_the_agent_may_use_the_engine():
    assert settings("berth-agent")["SupplementaryGroups"] == ["docker"]
    assert "SupplementaryGroups" not in settings("berth-scheduler")
    for name in SERVICES:
        assert settings(name)["User"] != ["root"]
        # The agent gives the files of a task to the user whom its service names.
        capabilities = ["CAP_CHOWN"] if name == "berth-agent" else [""]
        assert settings(name)["CapabilityBoundingSet"] == capabilities
        assert settings(name)["AmbientCapabilities"] == capabilities


AGENT_THAT_LEAVES = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
print("up", flush=True)
signal.sigwait({signal.SIGUSR1})
print("departing", flush=True)
"""


def leave_cluster(folder, state):
    """Run leave-cluster where systemd says `state`; return the agent's exit code, if it ended."""
    systemctl = folder / "systemctl"
    systemctl.write_text(f"#!/bin/sh\necho {state}\nexit 1\n", "utf-8")
    systemctl.chmod(0o755)
    argv = [sys.executable, "-c", AGENT_THAT_LEAVES]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdout.readline() == "up\n"
        env = {"PATH": f"{folder}:/usr/bin:/bin"}
        with subprocess.Popen([UNITS / "leave-cluster", str(agent.pid)], env=env) as script:
            if state == "stopping":
                assert agent.stdout.readline() == "departing\n"
                agent.wait(timeout=60)  # Reaped, as systemd does; the script waits for that.
            assert script.wait(timeout=60) == 0
        code = agent.poll()
        agent.kill()
    return code


@pytest.mark.parametrize("state", ["running", "degraded", "starting", "maintenance"])
def test_a_stop_while_the_machine_runs_drains_nothing(tmp_path, state):
    assert leave_cluster(tmp_path, state) is None, "the agent was told nothing"


def test_a_shutdown_tells_the_agent_to_leave_and_waits_for_it(tmp_path):
    assert leave_cluster(tmp_path, "stopping") == 0


def test_the_agent_stops_first_and_leaves_the_cluster_only_then():
    unit = settings("berth-agent")
    assert unit["ExecStop"] == ["+/opt/berth/share/systemd/leave-cluster $MAINPID"]
    needed = {"network.target", "docker.service", "berth-scheduler.service"}
    assert needed <= set(unit["After"][0].split()), "what it needs to leave stops after it"
    assert float(unit["TimeoutStopSec"][0]) > STOP_EXTENSION_S


def pause_restart(folder, restarts, ran_s, before_s):
    """Return how long pause-restart waits after a run of `ran_s`, itself begun after `before_s`."""
    sleeps, state = folder / "sleeps", folder / "berth-agent.service"
    uptime_s = float(Path("/proc/uptime").read_text("utf-8").split()[0])
    state.write_text(f"{uptime_s - ran_s:.0f} {before_s}\n", "utf-8")
    sleeps.write_text("", "utf-8")
    for name, says in (("systemctl", f"echo {restarts}"), ("sleep", f"echo $1 >>{sleeps}")):
        (folder / name).write_text(f"#!/bin/sh\n{says}\n", "utf-8")
        (folder / name).chmod(0o755)
    env = {"PATH": f"{folder}:/usr/bin:/bin"}
    subprocess.run([UNITS / "pause-restart", state.name, folder], env=env, check=True)
    pause = int(sleeps.read_text("utf-8") or 0)
    began, told = state.read_text("utf-8").split()
    assert int(told) == pause
    assert int(began) >= int(uptime_s) + pause, "when the program begins, for the next time"
    return pause


@pytest.mark.parametrize(
    ("restarts", "ran_s", "before_s", "pause"),
    [
        pytest.param(1, 5, 0, 1, id="the first crash soon after the start"),
        pytest.param(2, 5, 1, 2, id="another one"),
        pytest.param(6, 5, 16, 30, id="at most half a minute"),
        pytest.param(7, 5, 30, 30, id="for ever"),
        pytest.param(7, 100, 30, 0, id="after a run that lasted"),
        pytest.param(0, 5, 30, 0, id="by hand"),
    ],
)
def test_pauses_between_restarts_grow_while_runs_are_short(
    tmp_path, restarts, ran_s, before_s, pause
):
    assert pause_restart(tmp_path, restarts, ran_s, before_s) == pause


@pytest.mark.parametrize("name", SERVICES)
def test_a_start_waits_out_the_longest_pause(name):
    unit, (script, service, folder) = settings(name), settings(name)["ExecStartPre"][0].split()
    assert script == "+/opt/berth/share/systemd/pause-restart"
    assert (service, folder) == (f"{name}.service", "/run/berth-restarts")
    assert float(unit["TimeoutStartSec"][0]) > 30
