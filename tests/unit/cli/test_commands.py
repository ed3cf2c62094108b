"""The `berth` command end to end, against a fake cluster over real gRPC."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from berth.errors import Fault, InvalidRequestError, OutOfSequenceError
from berth.model.service import ModeKind
from berth.v1 import control_pb2, streams_pb2
from tests.hosts.ports import free_port
from tests.unit.cli.conftest import Line


def last_call(berth: Line, name: str) -> Any:
    return [request for call, request in berth.control.calls if call == name][-1]


def create_web(berth: Line, replicas: int = 2, *flags: str) -> None:
    answer = berth(
        "service", "create", "--name", "web", "--replicas", str(replicas), "-d", *flags,
        "--update-monitor", "0s", "--rollback-monitor", "0s", "busybox:1.36", "sleep", "1d",
    )  # fmt: skip
    assert answer.code == 0, answer.err


def test_create_sends_the_spec_and_prints_the_id(berth: Line) -> None:
    berth.control.warnings = ["port 80 is published in host mode"]
    answer = berth(
        "service", "create", "--name", "web", "--env", "A=1", "--tty=false", "--detach",
        "busybox:1.36", "sh", "-c", "echo --name",
    )  # fmt: skip
    assert answer.code == 0
    assert answer.lines == ["webid00000000000000000000"]
    assert answer.err == "Warning: port 80 is published in host mode\n"
    spec = berth.control.spec_of("web")
    assert spec.task.container.args == ("sh", "-c", "echo --name")
    assert spec.task.container.env == ("A=1",)


def test_a_service_without_a_name_is_named_after_its_image(berth: Line) -> None:
    berth("service", "create", "-d", "localhost:5000/team/My_app:1".lower())
    (service,) = berth.control.services.values()
    assert service.spec.name.startswith("my_app-")


def test_create_waits_until_all_tasks_run(berth: Line) -> None:
    berth.control.on_get_service = lambda service: berth.control.run_all()
    answer = berth(
        "service", "create", "--name", "web", "--replicas", "3", "--update-monitor", "100ms", "a"
    )
    assert answer.code == 0
    assert answer.lines[1:] == ["3 of 3 tasks running", "service web converged"]


def test_waiting_gives_up_with_the_reason(berth: Line) -> None:
    def wait(service: control_pb2.Service) -> None:
        if not berth.control.tasks:
            berth.control.add_task(
                "web", 1, state=64, error="no suitable node (2: not enough CPUs)"
            )

    berth.control.on_get_service = wait
    answer = berth("service", "create", "--name", "web", "--timeout", "2s", "busybox")
    assert answer.code == 1
    assert answer.err == (
        'Error: service "web" did not converge within 2s: 0 of 1 tasks running; '
        "web.1: no suitable node (2: not enough CPUs)\n"
    )
    assert "web.1: no suitable node (2: not enough CPUs)" in answer.lines


def test_a_paused_update_fails_with_its_message(berth: Line) -> None:
    create_web(berth)

    def pause(service: control_pb2.Service) -> None:
        service.update_status.state = "paused"
        service.update_status.message = "task web.1 failed: exit 1"

    berth.control.on_get_service = pause
    answer = berth("service", "update", "--image", "nginx", "web")
    assert answer.code == 1
    assert answer.err == ('Error: service "web": the update is paused: task web.1 failed: exit 1\n')


def test_an_update_that_is_rolled_back_fails_and_a_rollback_does_not(berth: Line) -> None:
    create_web(berth)
    berth("service", "update", "-d", "--env-add", "A=1", "web")

    def roll_back(service: control_pb2.Service) -> None:
        berth.control.run_all()
        service.update_status.state = "rollback_completed"

    berth.control.on_get_service = roll_back
    answer = berth("service", "update", "--env-add", "A=2", "web")
    assert answer.code == 1
    assert "the update was rolled back" in answer.err
    assert berth("service", "rollback", "web").code == 0


def test_update_changes_the_newest_spec_and_names_its_version(berth: Line) -> None:
    create_web(berth, 2, "--env", "A=1")
    answer = berth("service", "update", "-d", "--env-rm", "A", "--env-add", "B=2", "web")
    assert answer.lines == ["web"]
    request = last_call(berth, "UpdateService")
    assert (request.version, request.no_resolve_image) == (1, True)
    assert not request.resolve_image
    assert berth.control.spec_of("web").task.container.env == ("B=2",)
    berth("service", "update", "-d", "--image", "nginx", "web")
    request = last_call(berth, "UpdateService")
    assert (request.no_resolve_image, request.resolve_image) == (False, True), "its tag may move"


def test_a_dry_run_shows_the_plan_and_changes_nothing(berth: Line) -> None:
    answer = berth("service", "create", "--name", "web", "--dry-run", "busybox")
    assert answer.lines == ["start web.1"]
    assert berth.control.services == {}
    create_web(berth)
    assert berth("service", "update", "--dry-run", "--force", "web").lines == ["replace web.1"]
    assert berth.control.spec_of("web").task.force_update == 0


def test_rollback_by_command_and_by_flag(berth: Line) -> None:
    create_web(berth)
    berth("service", "update", "-d", "--image", "nginx", "web")
    assert berth("service", "rollback", "-d", "web").code == 0
    assert berth.control.spec_of("web").task.container.image == "busybox:1.36"
    berth("service", "update", "-d", "--rollback", "web")
    assert berth.control.spec_of("web").task.container.image == "nginx"
    answer = berth("service", "update", "--rollback", "--image", "x", "web")
    assert answer.code == 2
    assert "--rollback cannot be combined" in answer.err


def test_scale(berth: Line) -> None:
    create_web(berth)
    answer = berth("service", "scale", "-d", "web=5")
    assert answer.lines == ["web scaled to 5"]
    assert berth.control.spec_of("web").mode.replicas == 5
    assert berth("service", "scale", "web").code == 2
    assert berth("service", "scale", "web=many").code == 2
    berth("service", "create", "-d", "--name", "everywhere", "--mode", "global", "busybox")
    answer = berth("service", "scale", "everywhere=2")
    assert answer.err == (
        'Error: service "everywhere" is global; only replicated ones can be scaled\n'
    )


def test_remove_goes_on_after_a_refusal_and_tells_it(berth: Line) -> None:
    create_web(berth)
    answer = berth("service", "rm", "none", "web")
    assert (answer.code, answer.out) == (1, "web\n")
    assert answer.err == 'Error: there is no service "none"\n'
    assert berth.control.services == {}


def test_service_list_is_aligned_or_json_or_ids(berth: Line) -> None:
    create_web(berth, 2, "-p", "8080:80")
    berth.control.run_all()
    assert berth("service", "ls").lines == [
        "ID             NAME   MODE         REPLICAS   IMAGE          PORTS",
        "webid0000000   web    replicated   2/2        busybox:1.36   *:8080->80/tcp",
    ]
    (line,) = berth("service", "ls", "--format", "json").lines
    assert json.loads(line)["ID"] == "webid00000000000000000000"
    assert berth("service", "ls", "-q").lines == ["webid0000000"]
    assert berth("service", "ls", "--filter", "name=x").lines == [
        "ID   NAME   MODE   REPLICAS   IMAGE   PORTS"
    ]
    assert berth("service", "ls", "--filter", "colour=red").code == 1


def test_tasks_show_history_errors_and_digests(berth: Line) -> None:
    create_web(berth)
    control = berth.control
    digest = "sha256:" + "b" * 64
    running = control.add_task("web", 1, node="node-1", attempt=2, is_drifted=True)
    running.status.state_age_s = 125.0
    running.status.image_digest = digest
    running.status.platform = "linux/amd64"
    control.add_task(
        "web", 1, node="node-2", state=704, desired=640, attempt=1, is_history=True,
        error="task: non-zero exit (1)", is_current=False,
    )  # fmt: skip
    control.add_task("web", 2, state=64, error="no suitable node")
    lines = berth("service", "ps", "web").lines
    assert lines[0].split("  ")[0] == "ID"
    assert [line.split("   ")[1].strip() for line in lines[1:]] == ["web.1", r"\_ web.1", "web.2"]
    assert "Running 2 minutes ago" in lines[1]
    assert "task: non-zero exit (1)" in lines[2]
    assert "no suitable node" in lines[3]
    lines = berth("service", "ps", "--digests", "--no-trunc", "web").lines
    assert digest in lines[1]
    assert "linux/amd64" in lines[1]
    assert lines[1].endswith("drifted")
    found = berth("service", "ps", "--format", "json", "-f", "desired-state=running", "web").lines
    assert [json.loads(line)["Name"] for line in found] == ["web.1", "web.2"]


def test_inspect_is_json_or_for_people(berth: Line) -> None:
    create_web(berth, 2, "--env", "A=1")
    (found,) = json.loads(berth("service", "inspect", "web").out)
    assert found["spec"]["task"]["container"]["env"] == ["A=1"]
    assert found["spec"]["mode"]["kind"] == "replicated"
    lines = berth("service", "inspect", "--pretty", "web").lines
    assert "  Replicas: 2" in lines
    assert not any("Sysctls" in line for line in lines), "what is empty is left out"
    (node,) = json.loads(berth("node", "inspect", "node-1").out)
    assert node["node"]["description"]["hostname"] == "node-1"


def test_logs_bear_the_task_and_its_node(berth: Line) -> None:
    create_web(berth)
    task = berth.control.add_task("web", 1, node="node-1")
    berth.control.logs = [
        streams_pb2.LogChunk(
            lines=[
                streams_pb2.LogLine(task_id=task.id, time_ns=1_500_000_000, data=b"hello\n"),
                streams_pb2.LogLine(task_id=task.id, data=b"oh no", is_stderr=True),
            ]
        ),
        streams_pb2.LogChunk(error="node-2: did not answer"),
    ]
    answer = berth("service", "logs", "--tail", "5", "--since", "10", "web")
    assert answer.out == "web.1.task1x000000@node-1 | hello\n"
    assert answer.err == ("web.1.task1x000000@node-1 | oh no\nWarning: node-2: did not answer\n")
    request = last_call(berth, "ServiceLogs")
    assert (request.tail, request.since, request.stdout, request.stderr) == (5, 10.0, True, True)
    answer = berth("service", "logs", "--raw", "--timestamps", "web")
    assert answer.lines[0] == "1970-01-01T00:00:01.500000000Z hello"
    assert berth("service", "logs", "--tail", "many", "web").code == 2


def test_nodes(berth: Line) -> None:
    assert berth("node", "ls").lines == [
        "ID             HOSTNAME   STATUS   AVAILABILITY   TASKS   CPUS   MEMORY    ENGINE",
        "node-1id0000   node-1     Ready    Active         0       0/4    0B/8GiB   28.5.2",
        "node-2id0000   node-2     Ready    Active         0       0/4    0B/8GiB   28.5.2",
    ]
    assert berth("node", "update", "--label-add", "zone=a", "node-1").code == 0
    assert berth("node", "ls", "-f", "label=zone=a", "-q").lines == ["node-1id0000"]
    berth("node", "update", "--label-rm", "zone", "--availability", "pause", "node-1")
    assert berth("node", "ls", "-f", "availability=pause", "-q").lines == ["node-1id0000"]
    for verb, state in (("drain", "drain"), ("activate", "active"), ("pause", "pause")):
        assert berth("node", verb, "node-1", "node-2").lines == ["node-1", "node-2"]
        assert berth("node", "ls", "-f", f"availability={state}", "-q").lines == [
            "node-1id0000",
            "node-2id0000",
        ]
    assert berth("node", "rm", "--force", "node-1").lines == ["node-1"]
    assert last_call(berth, "RemoveNode").force is True


def test_draining_may_wait_until_nothing_is_left(berth: Line) -> None:
    create_web(berth)
    berth.control.add_task("web", 1, node="node-1", state=640)
    assert berth("node", "drain", "--wait", "node-1").code == 0
    lines = berth("node", "ps", "node-1").lines
    assert "web.1" in lines[1]


def test_cluster_and_status(berth: Line) -> None:
    create_web(berth)
    lines = berth("status").lines
    assert lines[0] == "Leader:     s1 at 127.0.0.1:7701 (epoch 7)"
    assert "Nodes:      2 (2 ready)" in lines
    assert "Tasks:      0 of 2 running" in lines
    assert json.loads(berth("status", "--format", "json").out)["cluster"]["leader_name"] == "s1"
    lines = berth("cluster", "info").lines
    assert "  lost-after:            5s" in lines
    assert berth("cluster", "update", "--lost-after", "9s").code == 0
    assert berth.control.cluster.settings.lost_after_s == 9.0
    assert berth("cluster", "update").code == 2
    answer = berth("cluster", "update", "--lost-after", "0s")
    assert answer.code == 1
    assert "lost_after_s: 0 is not within 1..3600" in answer.err


def test_explain(berth: Line) -> None:
    create_web(berth)
    task = berth.control.add_task("web", 1, state=64)
    berth.control.explanation = control_pb2.ExplainResponse(
        service_id="webid",
        service_name="web",
        nodes_total=2,
        nodes_fitting=0,
        summary="1 task waits for a place",
        filters=[
            control_pb2.ExplainedFilter(
                name="memory", words="not enough memory", forbids_alone=2, admits_if_dropped=1
            )
        ],
        tasks=[control_pb2.ExplainedTask(task=task, summary="waits", story=["created"])],
    )
    answer = berth("explain", "web")
    assert answer.lines[:2] == ["web: 1 task waits for a place", "0 of 2 nodes fit"]
    assert answer.lines[-2:] == [
        "FILTER   FORBIDS ALONE   ADMITS IF DROPPED   WHAT IT SAYS",
        "memory   2 of 2          1                   not enough memory",
    ]
    assert json.loads(berth("explain", "--format", "json", "web").out)["nodes_total"] == 2


def test_errors_are_one_line_and_exit_1(berth: Line) -> None:
    faults = [Fault("name", "is empty"), Fault("task.container.image", "is empty")]
    berth.control.refusals = [InvalidRequestError.from_faults('service ""', faults)]
    answer = berth("service", "create", "-d", "busybox")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == (
        'Error: invalid service "": name: is empty; task.container.image: is empty\n'
    )
    create_web(berth)
    berth.control.calls.clear()

    berth.control.on_get_service = lambda service: berth.control.refusals.append(
        OutOfSequenceError("the service was changed meanwhile")
    )
    answer = berth("service", "update", "--force", "-d", "web")
    assert (answer.code, answer.err) == (1, "Error: the service was changed meanwhile\n")


@pytest.mark.parametrize(
    "words",
    [
        ("service", "create"),
        ("service", "create", "--limit-cpu", "lots", "busybox"),
        ("service", "create", "--colour", "red", "busybox"),
        ("service", "fly"),
        ("node", "update", "--availability", "away", "node-1"),
    ],
)
def test_wrong_use_exits_2(berth: Line, words: tuple[str, ...]) -> None:
    answer = berth(*words)
    assert answer.code == 2
    assert "Usage:" in answer.err


def test_stored_credentials_are_sent_on_demand(berth: Line, tmp_path: Path) -> None:
    folder = tmp_path / ".docker"
    folder.mkdir()
    auth = base64.b64encode(b"me:hush").decode()
    (folder / "config.json").write_text(json.dumps({"auths": {"reg.example:5000": {"auth": auth}}}))
    image = "reg.example:5000/app"
    berth("service", "create", "-d", "--name", "a", image)
    assert not last_call(berth, "CreateService").HasField("registry_auth")
    berth("service", "create", "-d", "--name", "b", "--with-registry-auth", image)
    assert last_call(berth, "CreateService").registry_auth.password == "hush"
    answer = berth("service", "create", "-d", "--name", "c", "--with-registry-auth", "busybox")
    assert "no credentials are stored here" in answer.err


def test_the_context_file_names_the_cluster(
    berth: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BERTH_SCHEDULER")
    (tmp_path / ".berth").mkdir()
    (tmp_path / ".berth" / "context.toml").write_text(f'scheduler = ["{berth.address}"]\n')
    assert berth("status").code == 0
    dead = f"127.0.0.1:{free_port()}"
    answer = berth("--scheduler", dead, "status")
    assert answer.code == 1
    assert f"no scheduler answers at {dead}" in answer.err
    assert berth("--scheduler", f"{dead},{berth.address}", "status").code == 0
    answer = berth("--context", str(tmp_path / "none.toml"), "status")
    assert answer.code == 1
    assert "cannot be read" in answer.err


def test_global_services_have_no_slots(berth: Line) -> None:
    berth("service", "create", "-d", "--name", "all", "--mode", "global", "busybox")
    assert berth.control.spec_of("all").mode.kind is ModeKind.GLOBAL
    berth.control.add_task("all", 0, node="node-1")
    assert "all.node-1id00000000000000000   " in berth("service", "ps", "all").lines[1]
