from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from berth.errors import InvalidRequestError
from berth.model.resources import Limits, Reservation
from berth.model.service import (
    BindOptions,
    ContainerSpec,
    Device,
    DnsConfig,
    EndpointSpec,
    FailureAction,
    FileReference,
    GpuRequest,
    HealthCheck,
    LogDriver,
    ModeKind,
    Mount,
    MountType,
    NetworkAttachment,
    Placement,
    PlacementStrategy,
    PortSpec,
    RestartCondition,
    RestartPolicy,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
    Ulimit,
    UpdateOrder,
    UpdatePolicy,
)
from cli.env_values import read_env_file, with_own_value
from cli.flags import Scope, SwitchCommand, click_options
from cli.spec_flags import (
    FLAGS,
    given_flags,
    spec_from_flags,
    updated_spec,
)
from scheduler.control.validate import validate_spec


def parsed(scope: Scope, words: Sequence[str]) -> dict[str, Any]:
    """Return the flags that click reads from a command line, as the real command does."""
    command = SwitchCommand("x", params=[*click_options(FLAGS, scope)])
    return given_flags(command.make_context("x", list(words)).params)


def created(*words: str, image: str = "busybox", args: Sequence[str] = ()) -> ServiceSpec:
    return spec_from_flags(image, args, parsed(Scope.CREATE, words))


def updated(spec: ServiceSpec, *words: str) -> ServiceSpec:
    return updated_spec(spec, parsed(Scope.UPDATE, words))


FULL = ServiceSpec(
    name="web",
    labels={"tier": "front", "flag": ""},
    mode=ServiceMode(ModeKind.REPLICATED, 5),
    task=TaskSpec(
        container=ContainerSpec(
            image="busybox",
            command=("sh", "-c"),
            args=("sleep", "1d"),
            env=("A=1", "B=x=y"),
            labels={"c": "d"},
            workdir="/srv",
            user="1000:1000",
            groups=("audio",),
            hostname="{{.Service.Name}}",
            tty=True,
            read_only=True,
            init=True,
            stop_signal="SIGINT",
            stop_grace_s=90.0,
            health_check=HealthCheck(("CMD-SHELL", "test -f /x"), 10.0, 2.0, 5.0, 1.0, 3),
            mounts=(
                Mount(MountType.BIND, "/a", "/b", True, bind=BindOptions("rslave")),
                Mount(MountType.VOLUME, "data", "/d"),
            ),
            hosts=("10.0.0.1 db",),
            dns=DnsConfig(("1.1.1.1",), ("a.b",), ("ndots:2",)),
            capabilities_add=("CAP_NET_ADMIN",),
            capabilities_drop=("ALL",),
            ulimits=(Ulimit("nofile", 10, 20),),
            sysctls={"net.core.somaxconn": "9"},
            oom_score_adj=-5,
            devices=(Device("/dev/a", "/dev/b", "rw"),),
            privileged=True,
            gpus=(GpuRequest(count=2),),
            shm_size_bytes=64 * 1024 * 1024,
            configs=(FileReference("", "conf", "conf", "0", "0"),),
            secrets=(FileReference("", "pw", "/pw", "7", "0", 0o400),),
        ),
        limits=Limits(500_000_000, 512 * 1024 * 1024, 100),
        reservation=Reservation(250_000_000, 256 * 1024 * 1024, {"ssd": 1}),
        restart=RestartPolicy(RestartCondition.ON_FAILURE, 1.0, 3, 60.0),
        placement=Placement(
            ("node.labels.zone==a", "node.role!=manager"),
            ("node.labels.zone",),
            2,
            strategy=PlacementStrategy.BINPACK,
        ),
        log_driver=LogDriver("json-file", {"max-size": "1m"}),
        networks=(NetworkAttachment("host"),),
    ),
    endpoint=EndpointSpec("vip", (PortSpec("", "tcp", 80, 8080), PortSpec("", "udp", 53, 53))),
    update=UpdatePolicy(2, 1.0, 9.0, FailureAction.ROLLBACK, 0.2, UpdateOrder.STOP_FIRST),
    rollback=UpdatePolicy(0, 0.5, 1.0, FailureAction.CONTINUE, 0.5, UpdateOrder.START_FIRST),
)
FULL_FLAGS = """
--name web --mode replicated --replicas 5 --label tier=front -l flag
--entrypoint sh\\ -c --env A=1 -e B=x=y --container-label c=d -w /srv -u 1000:1000 --group audio
--hostname {{.Service.Name}} -t --read-only --init --stop-signal SIGINT --stop-grace-period 1m30s
--health-cmd test\\ -f\\ /x --health-interval 10s --health-timeout 2s --health-start-period 5s
--health-start-interval 1s --health-retries 3
--mount type=bind,source=/a,target=/b,ro,bind-propagation=rslave --mount source=data,target=/d
--host db:10.0.0.1 --dns 1.1.1.1 --dns-search a.b --dns-option ndots:2
--cap-add net_admin --cap-drop all --ulimit nofile=10:20 --sysctl net.core.somaxconn=9
--oom-score-adj -5 --device /dev/a:/dev/b:rw --privileged --gpus 2 --shm-size 64m
--limit-cpu .5 --limit-memory 512m --limit-pids 100
--reserve-cpu 0.25 --reserve-memory 256MB --generic-resource ssd=1
--restart-condition on-failure --restart-delay 1s --restart-max-attempts 3 --restart-window 1m
--constraint node.labels.zone==a --constraint node.role!=manager
--placement-pref spread=node.labels.zone --replicas-max-per-node 2 --strategy binpack
--log-driver json-file --log-opt max-size=1m --network host --endpoint-mode vip
-p 8080:80 --publish 53:53/udp --config conf --secret source=pw,target=/pw,uid=7,mode=0400
--update-parallelism 2 --update-delay 1s --update-monitor 9s --update-failure-action rollback
--update-max-failure-ratio .2 --update-order stop-first
--rollback-parallelism 0 --rollback-delay 500ms --rollback-monitor 1s
--rollback-failure-action continue --rollback-max-failure-ratio 0.5 --rollback-order start-first
"""


def words_of(text: str) -> list[str]:
    return [word.replace("\\", " ") for word in text.replace("\\ ", "\\").split()]


def test_create_with_every_flag_makes_the_whole_spec() -> None:
    spec = created(*words_of(FULL_FLAGS), args=("sleep", "1d"))
    assert spec == FULL
    assert validate_spec(spec, previous=None)[0] == []


def test_every_flag_that_create_has_is_in_that_test() -> None:
    tested = set(words_of(FULL_FLAGS))
    elsewhere = {"--env-file", "--isolation", "--max-concurrent", "--no-healthcheck"}
    missing = [
        flag.names[0]
        for flag in FLAGS
        if flag.belongs_to(Scope.CREATE)
        and not tested & set(flag.names)
        and flag.names[0] not in elsewhere
    ]
    assert missing == []


def test_without_flags_the_user_said_nothing() -> None:
    assert created() == ServiceSpec(task=TaskSpec(container=ContainerSpec(image="busybox")))


def test_an_update_without_flags_changes_nothing() -> None:
    assert updated(FULL) == FULL


C = "task.container"
CHANGES = [
    ("--image nginx --args a\\ b", f"{C}.image={'nginx'!r} {C}.args=('a','b')"),
    ("--replicas 7", "mode.replicas=7"),
    ("--force", "task.force_update=1"),
    ("--label-add tier=back --label-add new=1", "labels={'tier':'back','flag':'','new':'1'}"),
    ("--label-rm tier --label-rm none", "labels={'flag':''}"),
    ("--env-add A=2 --env-add C=3", f"{C}.env=('A=2','B=x=y','C=3')"),
    ("--env-rm A", f"{C}.env=('B=x=y',)"),
    ("--env-rm A --env-add A=9", f"{C}.env=('B=x=y','A=9')"),
    ("--container-label-rm c", f"{C}.labels={{}}"),
    ("--group-add video --group-rm audio", f"{C}.groups=('video',)"),
    (
        "--tty=false --no-read-only --init=false",
        f"{C}.tty=False {C}.read_only=False {C}.init=False",
    ),
    ("--mount-rm /b", f"{C}.mounts=FULL.task.container.mounts[1:]"),
    (
        "--mount-add type=tmpfs,target=/d",
        f"{C}.mounts=(FULL.task.container.mounts[0],Mount(MountType.TMPFS,'','/d'))",
    ),
    ("--host-rm db", f"{C}.hosts=()"),
    ("--host-rm db:10.0.0.2", f"{C}.hosts=('10.0.0.1\\x20db',)"),
    ("--host-add db:10.0.0.2", f"{C}.hosts=('10.0.0.1\\x20db','10.0.0.2\\x20db')"),
    ("--dns-add 8.8.8.8 --dns-rm 1.1.1.1", f"{C}.dns.nameservers=('8.8.8.8',)"),
    ("--dns-option-rm ndots:2", f"{C}.dns.options=()"),
    ("--dns-search-add c.d", f"{C}.dns.search=('a.b','c.d')"),
    (
        "--cap-drop NET_ADMIN",
        f"{C}.capabilities_add=() {C}.capabilities_drop=('ALL','CAP_NET_ADMIN')",
    ),
    (
        "--cap-add all",
        f"{C}.capabilities_add=('CAP_NET_ADMIN','ALL') {C}.capabilities_drop=()",
    ),
    (
        "--ulimit-add nofile=1 --ulimit-add core=2",
        f"{C}.ulimits=(Ulimit('nofile',1,1),Ulimit('core',2,2))",
    ),
    ("--ulimit-rm nofile", f"{C}.ulimits=()"),
    ("--sysctl-rm net.core.somaxconn", f"{C}.sysctls={{}}"),
    ("--device-rm /dev/b", f"{C}.devices=()"),
    ("--no-privileged", f"{C}.privileged=False"),
    ("--gpus=", f"{C}.gpus=()"),
    (
        "--constraint-rm node.role\\!=\\manager",
        "task.placement.constraints=('node.labels.zone==a',)",
    ),
    ("--placement-pref-rm spread=node.labels.zone", "task.placement.spread_preferences=()"),
    ("--generic-resource-add ssd=2", "task.reservation.generic={'ssd':2}"),
    ("--generic-resource-rm ssd", "task.reservation.generic={}"),
    ("--network-rm host", "task.networks=()"),
    ("--publish-rm 53/udp", "endpoint.ports=FULL.endpoint.ports[:1]"),
    ("--publish-rm 53", "endpoint.ports=FULL.endpoint.ports"),
    ("--publish-add 9090:90", "endpoint.ports=(*FULL.endpoint.ports,PortSpec('','tcp',90,9090))"),
    ("--health-retries 9", f"{C}.health_check.retries=9"),
    ("--no-healthcheck", f"{C}.health_check.test=('NONE',)"),
    ("--log-opt a=b", "task.log_driver.options={'a':'b'}"),
    ("--update-order start-first", "update.order=UpdateOrder.START_FIRST"),
    ("--max-concurrent 3", "mode.max_concurrent=3"),
]


def set_at(value: Any, path: str, new: Any) -> Any:
    head, _, rest = path.partition(".")
    inner = set_at(getattr(value, head), rest, new) if rest else new
    return replace(value, **{head: inner})


@pytest.mark.parametrize(("flags", "changes"), CHANGES, ids=[flags for flags, _ in CHANGES])
def test_an_update_changes_what_it_names_and_nothing_else(flags: str, changes: str) -> None:
    expected = FULL
    for change in changes.split(" "):
        path, _, expression = change.partition("=")
        expected = set_at(expected, path, eval(expression))
    assert updated(FULL, *words_of(flags)) == expected


def test_policies_that_were_never_set_begin_empty() -> None:
    spec = updated(created(), "--rollback-delay", "3s", "--health-cmd", "true")
    assert spec.rollback == UpdatePolicy(delay_s=3.0)
    assert spec.task.container.health_check == HealthCheck(("CMD-SHELL", "true"))


def test_a_health_command_and_none_contradict_each_other() -> None:
    with pytest.raises(InvalidRequestError, match="--no-healthcheck and --health-cmd contradict"):
        created("--no-healthcheck", "--health-cmd", "true")


def test_variables_come_from_files_and_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "env"
    file.write_text("# a comment\n\nA=1\nHERE\nELSEWHERE\n")
    monkeypatch.setenv("HERE", "yes")
    monkeypatch.delenv("ELSEWHERE", raising=False)
    assert read_env_file(str(file)) == ("A=1", "HERE=yes", "ELSEWHERE")
    spec = created("--env-file", str(file), "--env", "A=2", "-e", "HERE")
    assert spec.task.container.env == ("A=2", "HERE=yes", "ELSEWHERE")
    assert with_own_value("X", {"X": ""}) == "X="
    with pytest.raises(InvalidRequestError, match="cannot read"):
        read_env_file(str(tmp_path / "none"))


def test_a_value_that_cannot_be_read_is_a_usage_error() -> None:
    with pytest.raises(click.BadParameter, match="is not a number of CPUs"):
        parsed(Scope.CREATE, ["--limit-cpu", "lots"])
    with pytest.raises(click.BadParameter, match="write the target port alone"):
        parsed(Scope.UPDATE, ["--publish-rm", "8080:80"])
    with pytest.raises(click.BadParameter, match="is not one of pause, continue, rollback"):
        parsed(Scope.UPDATE, ["--update-failure-action", "panic"])


def test_list_flags_have_their_own_forms_at_create_and_update() -> None:
    with pytest.raises(click.NoSuchOption):
        parsed(Scope.UPDATE, ["--env", "A=1"])
    with pytest.raises(click.NoSuchOption):
        parsed(Scope.CREATE, ["--env-add", "A=1"])
