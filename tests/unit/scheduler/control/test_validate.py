from dataclasses import replace

import pytest

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
    Privileges,
    PublishMode,
    RestartCondition,
    RestartPolicy,
    ServiceMode,
    ServiceSpec,
    TaskSpec,
    TmpfsOptions,
    Ulimit,
    UpdateOrder,
    UpdatePolicy,
    VolumeOptions,
)
from scheduler.control.validate import validate_spec
from tests.unit.scheduler.control.specs import PLAIN, container, health, mount, ports, spec, task

LAN = NetworkAttachment("lan")

FULL = ServiceSpec(
    name="web-1_a",
    labels={"berth.fence": "after:30s", "a": ""},
    mode=ServiceMode(replicas=1_000_000),
    task=TaskSpec(
        container=ContainerSpec(
            image="localhost:5000/a/b:1@sha256:" + "a" * 64,
            command=("sh",),
            env=("A=1", "B={{.Task.Slot}}", "UNSET"),
            workdir="/srv",
            hostname="{{.Service.Name}}-{{.Task.Slot}}",
            stop_signal="SIGRTMIN+3",
            stop_grace_s=0.0,
            groups=("audio", "1000"),
            isolation="default",
            health_check=HealthCheck(("CMD-SHELL", "true"), 1.0, 0.001, 0, 0, 3),
            mounts=(
                Mount(source="/var/{{.Service.Name}}", target="/a"),
                Mount(MountType.VOLUME, "data", "/b", volume=VolumeOptions(subpath="x/y")),
                Mount(MountType.VOLUME, "", "/c"),
                Mount(MountType.TMPFS, "", "/d", tmpfs=TmpfsOptions(1024, 0o1777)),
            ),
            hosts=("10.0.0.1 db", "::1 me you", "host-gateway gw"),
            dns=DnsConfig(("1.1.1.1", "fd00::1"), ("a.b",), ("ndots:2",)),
            capabilities_add=("NET_ADMIN", "CAP_SYS_TIME"),
            capabilities_drop=("ALL",),
            ulimits=(Ulimit("nofile", 10, 20), Ulimit("core", -1, -1), Ulimit("nproc", 5, -1)),
            sysctls={"net.core.somaxconn": "1024"},
            privileges=Privileges(seccomp='{"defaultAction": "x"}', apparmor="disabled"),
            oom_score_adj=-1000,
            devices=(Device("/dev/null", "/dev/x", "rm"),),
            gpus=(GpuRequest(count=-1),),
        ),
        limits=Limits(1_000_000, 4 * 1024 * 1024, 10),
        reservation=Reservation(1_000_000, 4 * 1024 * 1024, {"gpu": 1}),
        restart=RestartPolicy(RestartCondition.NONE, 0.0, 0, 0.0),
        placement=Placement(
            ("node.labels.zone==a", "node.id != x"),
            ("node.labels.zone", "engine.labels.rack"),
            2,
            strategy=PlacementStrategy.BINPACK,
        ),
        log_driver=LogDriver("json-file", {"max-size": "1m"}),
        networks=(NetworkAttachment("host"),),
    ),
    endpoint=EndpointSpec("vip", (PortSpec("", "tcp", 80, 8080), PortSpec("", "udp", 80, 8080))),
    update=UpdatePolicy(0, 0.0, 0.0, FailureAction.ROLLBACK, 1.0),
    rollback=UpdatePolicy(1, 1.0, 5.0, FailureAction.CONTINUE, 0.0, UpdateOrder.START_FIRST),
)


@pytest.mark.parametrize("sound", [PLAIN, FULL], ids=["plain", "full"])
def test_a_sound_spec_has_neither_faults_nor_warnings(sound: ServiceSpec) -> None:
    assert validate_spec(sound, previous=None) == ([], [])


C = "task.container"
LONG = "a" * 64
RULES = [
    # name, labels, mode
    (spec(name=""), "name", "is empty"),
    (spec(name=LONG), "name", "has 64 characters; use at most 63"),
    (spec(name="-web"), "name", '"-web" is not a name'),
    (spec(name="we.b"), "name", '"we.b" is not a name'),
    (spec(labels={"berth.fence": "30s"}), "labels[berth.fence]", "write berth.fence=after:30s"),
    (spec(labels={"": "x"}), "labels", "empty key"),
    (spec(mode=ServiceMode(replicas=-1)), "mode.replicas", "-1 is not within 0..1000000"),
    (spec(mode=ServiceMode(replicas=1_000_001)), "mode.replicas", "1000001 is not within"),
    (spec(mode=ServiceMode(ModeKind.GLOBAL, 3)), "mode.replicas", "only for replicated"),
    # what runs
    (container(image=""), f"{C}.image", "it is empty"),
    (container(image="Busybox"), f"{C}.image", "capital letters"),
    (container(env=("A=1", "=2")), f"{C}.env[1]", "has no name"),
    (container(env=("A={{.Nope}}",)), f"{C}.env[0]", "unknown field"),
    (container(env=("A=\0",)), f"{C}.env[0]", "zero byte"),
    (container(workdir="srv"), f"{C}.workdir", 'write "/srv"'),
    (container(hostname="a b"), f"{C}.hostname", "is not a host name"),
    (container(hostname="a" * 65), f"{C}.hostname", "is not a host name"),
    (container(hostname="{{.Task"), f"{C}.hostname", "is not closed"),
    (container(labels={"": "x"}), f"{C}.labels", "empty key"),
    (container(groups=("a", "")), f"{C}.groups[1]", "is empty"),
    (container(isolation="hyperv"), f"{C}.isolation", "for Windows"),
    (container(stop_signal="SIGNOPE"), f"{C}.stop_signal", "is not a signal"),
    (container(stop_signal="65"), f"{C}.stop_signal", "is not a signal"),
    (container(stop_grace_s=-1.0), f"{C}.stop_grace_s", "negative"),
    (container(stop_grace_s=float("nan")), f"{C}.stop_grace_s", "negative"),
    # health check
    (container(health_check=HealthCheck(("true",))), f"{C}.health_check.test", "begin with"),
    (container(health_check=HealthCheck(("CMD",))), f"{C}.health_check.test", "needs a command"),
    (
        container(health_check=HealthCheck(("CMD-SHELL", "a", "b"))),
        f"{C}.health_check.test",
        "exactly one",
    ),
    *(
        (
            health(**{name: 0.0005}),
            f"{C}.health_check.{name}",
            "below 1 ms",
        )
        for name in ("interval_s", "timeout_s", "start_period_s", "start_interval_s")
    ),
    (container(health_check=HealthCheck(retries=-1)), f"{C}.health_check.retries", "negative"),
    # mounts
    (mount(target=""), f"{C}.mounts[0].target", "is empty"),
    (mount(target="b"), f"{C}.mounts[0].target", "is not absolute"),
    (mount(target="/"), f"{C}.mounts[0].target", "own root"),
    (mount(target="/a/{{.X}}"), f"{C}.mounts[0].target", "unknown field"),
    (mount(consistency="odd"), f"{C}.mounts[0].consistency", "unknown"),
    (mount(source=""), f"{C}.mounts[0].source", "name a path of the node"),
    (mount(source="data"), f"{C}.mounts[0].source", "use type=volume"),
    (mount(source="/{{.X}}"), f"{C}.mounts[0].source", "unknown field"),
    (mount(type=MountType.VOLUME), f"{C}.mounts[0].source", "use type=bind"),
    (mount(type=MountType.TMPFS), f"{C}.mounts[0].source", "a tmpfs has no source"),
    (
        container(mounts=(Mount(source="/a", target="/b"), Mount(source="/c", target="/b/"))),
        f"{C}.mounts[1].target",
        "already the target of mounts[0]",
    ),
    (mount(tmpfs=TmpfsOptions()), f"{C}.mounts[0].tmpfs", "options of a tmpfs on a bind mount"),
    (mount(bind=BindOptions("odd")), f"{C}.mounts[0].bind.propagation", "is not one of"),
    *(
        (
            mount(type=MountType.VOLUME, source="d", volume=VolumeOptions(subpath=subpath)),
            f"{C}.mounts[0].volume.subpath",
            "does not stay in the volume",
        )
        for subpath in ("/a", "a/../../b")
    ),
    (
        mount(type=MountType.TMPFS, source="", tmpfs=TmpfsOptions(size_bytes=-1)),
        f"{C}.mounts[0].tmpfs.size_bytes",
        "negative",
    ),
    (
        mount(type=MountType.TMPFS, source="", tmpfs=TmpfsOptions(mode=0o10000)),
        f"{C}.mounts[0].tmpfs.mode",
        "0o10000",
    ),
    # names, security, kernel, devices
    (container(hosts=("db 10.0.0.1",)), f"{C}.hosts[0]", "hosts file"),
    (container(hosts=("10.0.0.1",)), f"{C}.hosts[0]", "hosts file"),
    (container(dns=DnsConfig(("one",))), f"{C}.dns.nameservers[0]", "is not an IP address"),
    (container(dns=DnsConfig(search=("",))), f"{C}.dns.search[0]", "is empty"),
    (container(dns=DnsConfig(options=("",))), f"{C}.dns.options[0]", "is empty"),
    (container(capabilities_add=("NET ADMIN",)), f"{C}.capabilities_add[0]", "capability"),
    (container(capabilities_drop=("",)), f"{C}.capabilities_drop[0]", "capability"),
    (container(privileges=Privileges(seccomp="x")), f"{C}.privileges.seccomp", "JSON"),
    (container(privileges=Privileges(apparmor="x")), f"{C}.privileges.apparmor", "disabled"),
    (container(ulimits=(Ulimit("open", 1, 1),)), f"{C}.ulimits[0]", "is not one of"),
    (
        container(ulimits=(Ulimit("core", 1, 1), Ulimit("core", 1, 1))),
        f"{C}.ulimits[1]",
        "set twice",
    ),
    (container(ulimits=(Ulimit("core", -2, 1),)), f"{C}.ulimits[0]", "-1 = unlimited"),
    (container(ulimits=(Ulimit("core", 2, 1),)), f"{C}.ulimits[0]", "above the hard one"),
    (container(ulimits=(Ulimit("core", -1, 1),)), f"{C}.ulimits[0]", "above the hard one"),
    (container(sysctls={"somaxconn": "1"}), f"{C}.sysctls[somaxconn]", "is not a sysctl"),
    (container(oom_score_adj=1001), f"{C}.oom_score_adj", "not within -1000..1000"),
    (container(shm_size_bytes=-1), f"{C}.shm_size_bytes", "negative"),
    (container(devices=(Device("null"),)), f"{C}.devices[0].host_path", "not absolute"),
    (container(devices=(Device("/d", "x"),)), f"{C}.devices[0].container_path", "not absolute"),
    (container(devices=(Device("/d", "", "rx"),)), f"{C}.devices[0].permissions", "r, w and m"),
    (
        container(devices=(Device("/d"), Device("/e", "/d"))),
        f"{C}.devices[1].container_path",
        "given twice",
    ),
    (container(gpus=(GpuRequest(),)), f"{C}.gpus[0]", "asks for no GPU"),
    (container(gpus=(GpuRequest(count=-2),)), f"{C}.gpus[0].count", "-1 = all"),
    (container(gpus=(GpuRequest(count=1, device_ids=("0",)),)), f"{C}.gpus[0]", "both given"),
    (container(configs=(FileReference("i", "n", mode=-1),)), f"{C}.configs[0].mode", "not within"),
    (container(secrets=(FileReference(),)), f"{C}.secrets[0]", "names no secret"),
    # resources
    (task(limits=Limits(nano_cpus=999_999)), "task.limits.nano_cpus", "below 0.001"),
    (task(limits=Limits(memory_bytes=4194303)), "task.limits.memory_bytes", "below 4 MiB"),
    (task(limits=Limits(pids=-2)), "task.limits.pids", "negative"),
    (task(reservation=Reservation(nano_cpus=-1)), "task.reservation.nano_cpus", "below"),
    (task(reservation=Reservation(memory_bytes=1)), "task.reservation.memory_bytes", "below"),
    (task(reservation=Reservation(generic={"gpu": 0})), "task.reservation.generic[gpu]", "or more"),
    (task(reservation=Reservation(generic={"": 1})), "task.reservation.generic[]", "kind"),
    # policies
    (task(restart=RestartPolicy(delay_s=-1.0)), "task.restart.delay_s", "negative"),
    (task(restart=RestartPolicy(window_s=-1.0)), "task.restart.window_s", "negative"),
    (task(restart=RestartPolicy(max_attempts=-1)), "task.restart.max_attempts", "negative"),
    (task(force_update=-1), "task.force_update", "negative"),
    *(
        rule
        for path in ("update", "rollback")
        for rule in (
            (spec(**{path: UpdatePolicy(parallelism=-1)}), f"{path}.parallelism", "negative"),
            (spec(**{path: UpdatePolicy(delay_s=-0.1)}), f"{path}.delay_s", "negative"),
            (spec(**{path: UpdatePolicy(monitor_s=-0.1)}), f"{path}.monitor_s", "negative"),
            (
                spec(**{path: UpdatePolicy(max_failure_ratio=1.1)}),
                f"{path}.max_failure_ratio",
                "1.1 is not within 0..1",
            ),
        )
    ),
    (
        spec(rollback=UpdatePolicy(failure_action=FailureAction.ROLLBACK)),
        "rollback.failure_action",
        "cannot roll back",
    ),
    # placement
    (
        task(placement=Placement(constraints=("node.id==a", "zone=a"))),
        "task.placement.constraints[1]",
        "no operator",
    ),
    (
        task(placement=Placement(spread_preferences=("node.id",))),
        "task.placement.spread_preferences[0]",
        "cannot be spread over",
    ),
    (
        task(placement=Placement(max_replicas_per_node=-1)),
        "task.placement.max_replicas_per_node",
        "negative",
    ),
    (
        spec(
            mode=ServiceMode(ModeKind.GLOBAL),
            task=replace(PLAIN.task, placement=Placement(max_replicas_per_node=1)),
        ),
        "task.placement.max_replicas_per_node",
        "only for replicated",
    ),
    # logs, networks, ports
    (task(log_driver=LogDriver("", {"a": "b"})), "task.log_driver.name", "name the driver"),
    (task(networks=(NetworkAttachment(""),)), "task.networks[0].target", "is empty"),
    (task(networks=(LAN, LAN)), "task.networks[1].target", "named twice"),
    (task(networks=(LAN, NetworkAttachment("host"))), "task.networks[1].target", "combined"),
    (ports(mode="mesh"), "endpoint.mode", "neither vip nor dnsrr"),
    (ports(PortSpec(protocol="http", target_port=1)), "endpoint.ports[0].protocol", "tcp, udp"),
    (ports(PortSpec(target_port=0)), "endpoint.ports[0].target_port", "0 is not within 1..65535"),
    (ports(PortSpec(target_port=65536)), "endpoint.ports[0].target_port", "65536 is not"),
    (
        ports(PortSpec(target_port=1, published_port=65536)),
        "endpoint.ports[0].published_port",
        "65536 is not within",
    ),
    (
        ports(
            PortSpec(target_port=1, published_port=80), PortSpec(target_port=2, published_port=80)
        ),
        "endpoint.ports[1].published_port",
        "80/tcp is already published by ports[0]",
    ),
]


@pytest.mark.parametrize(
    ("wrong", "path", "words"),
    [pytest.param(*rule, id=f"{rule[1]}: {rule[2]}"[:70]) for rule in RULES],
)
def test_each_rule_names_its_path_and_alone(wrong: ServiceSpec, path: str, words: str) -> None:
    faults, _ = validate_spec(wrong, previous=None)
    (fault,) = faults
    assert fault.path == path
    assert words in fault.problem


def test_ingress_with_dnsrr_is_refused() -> None:
    wrong = ports(PortSpec(target_port=1, publish_mode=PublishMode.INGRESS), mode="dnsrr")
    faults, _ = validate_spec(wrong, previous=None)
    assert [fault.path for fault in faults] == ["endpoint.ports[0].publish_mode"]


def test_all_faults_are_told_at_once() -> None:
    wrong = replace(
        container(image="", workdir="x", mounts=(Mount(target=""),)),
        name="",
        update=UpdatePolicy(parallelism=-1),
    )
    faults, _ = validate_spec(wrong, previous=None)
    assert [fault.path for fault in faults] == [
        "name",
        "task.container.image",
        "task.container.workdir",
        "task.container.mounts[0].target",
        "task.container.mounts[0].source",
        "update.parallelism",
    ]


@pytest.mark.parametrize(
    ("constraint", "why"),
    [
        pytest.param("node.role == manager", "all nodes are workers", id="as in stacks of Swarm"),
        pytest.param("node.role!=worker", "all nodes are workers", id="the same, turned around"),
        pytest.param("node.colour==red", "unknown key", id="a key that does not exist"),
    ],
)
def test_who_asks_for_what_no_node_can_be_is_warned(constraint: str, why: str) -> None:
    faults, warnings = validate_spec(
        task(placement=Placement(constraints=("node.role==worker", constraint))), previous=None
    )
    assert faults == []
    (warning,) = warnings
    shown = constraint.replace(" ", "")
    assert warning.startswith(f'no node can ever meet the constraint "{shown}" ({why}); label ')


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        pytest.param(spec(name="other"), "name", id="name"),
        pytest.param(spec(mode=ServiceMode(ModeKind.GLOBAL)), "mode", id="mode"),
    ],
)
def test_name_and_mode_never_change(changed: ServiceSpec, path: str) -> None:
    faults, _ = validate_spec(changed, previous=PLAIN)
    assert [fault.path for fault in faults] == [path]


def test_everything_else_may_change() -> None:
    assert validate_spec(replace(FULL, name="web"), previous=PLAIN)[0] == []
