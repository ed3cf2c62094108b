"""What really runs on an Engine is what the spec says: seen from inside the container."""

import asyncio
import contextlib

import pytest

from berth.errors import RetryRule
from berth.model.resources import Limits, Reservation
from berth.model.service import (
    BindOptions,
    Device,
    DnsConfig,
    EndpointSpec,
    HealthCheck,
    LogDriver,
    Mount,
    MountType,
    NetworkAttachment,
    PortSpec,
    Privileges,
    TaskSpec,
    TmpfsOptions,
    Ulimit,
    VolumeOptions,
)
from nodeagent.runtime.port import ContainerState, Health, RuntimeCallError
from tests.contract.docker_runtime import ground, wait_until

pytestmark = pytest.mark.engine

# Where cgroups version 1 and version 2 keep a limit.
MEMORY = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes || cat /sys/fs/cgroup/memory.max"
SOFT = "cat /sys/fs/cgroup/memory/memory.soft_limit_in_bytes || cat /sys/fs/cgroup/memory.low"
CPU = "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us || cut -d' ' -f1 /sys/fs/cgroup/cpu.max"
PIDS = "cat /sys/fs/cgroup/pids/pids.max || cat /sys/fs/cgroup/pids.max"


@pytest.fixture
def image(one_host):
    return str(one_host.images.busybox())


def output(engine, image, *args, **fields):
    """Run a task to its end; return its lines and its container."""

    async def scenario():
        async with ground(engine, image) as it:
            return await it.run(*args, **fields)

    return asyncio.run(scenario())


def sh(engine, image, script, **fields):
    lines, seen = output(engine, image, "sh", "-c", script, **fields)
    assert seen.exit_code == 0, (lines, seen)
    return lines


def test_limits_are_set_in_the_containers_cgroup(one_engine, image):
    spec = TaskSpec(
        limits=Limits(nano_cpus=500_000_000, memory_bytes=48 << 20, pids=33),
        reservation=Reservation(memory_bytes=32 << 20),
    )
    script = " ; ".join(f"({read}) 2>/dev/null" for read in (MEMORY, SOFT, CPU, PIDS))
    assert sh(one_engine, image, script, task=spec) == [
        str(48 << 20),
        str(32 << 20),
        "50000",
        "33",
    ]


def test_environment_and_templates(one_engine, image):
    lines = sh(
        one_engine,
        image,
        "echo $WHO $ZONE; echo $BERTH_TASK_ID $BERTH_EPOCH; echo $DOCKER_RESOURCE_GPU; hostname",
        env=("WHO={{.Service.Name}}-{{.Task.Slot}}", 'ZONE={{index .Service.Labels "tier"}}'),
        hostname="{{.Node.Hostname}}-{{.Task.Slot}}",
        of_task={"granted": (("gpu", ("u1", "u2")),)},
    )
    assert lines[0] == "web-1 front"
    assert lines[1].endswith(" 41")
    assert lines[2:] == ["u1,u2", "host-7-1"]


def test_user_groups_and_working_directory(one_engine, image):
    script = "id -u; id -G; pwd"
    lines = sh(one_engine, image, script, user="65534:65534", groups=("50",), workdir="/tmp")
    assert lines == ["65534", "65534 50", "/tmp"]


def test_a_read_only_root_with_a_tmpfs(one_engine, image):
    mount = Mount(MountType.TMPFS, "", "/scratch", tmpfs=TmpfsOptions(1 << 20, 0o1777))
    script = "touch /x 2>/dev/null || echo refused; touch /scratch/x && df -k /scratch | tail -1"
    lines = sh(one_engine, image, script, read_only=True, mounts=(mount,))
    assert lines[0] == "refused"
    assert lines[1].split()[1] == "1024"


def test_volumes_and_binds(one_engine, image, tmp_path):
    (tmp_path / "there").write_text("from the node")
    mounts = (
        Mount(MountType.BIND, str(tmp_path), "/in", read_only=True),
        Mount(
            MountType.BIND,
            str(tmp_path / "made"),
            "/made",
            bind=BindOptions(create_mountpoint=True),
        ),
        Mount(
            MountType.VOLUME, "vol-{{.Task.Slot}}", "/vol", volume=VolumeOptions(labels={"a": "b"})
        ),
    )
    script = "cat /in/there; echo; touch /in/x 2>/dev/null || echo refused; touch /made/y /vol/z"
    assert sh(one_engine, image, script, mounts=mounts) == ["from the node", "refused"]
    assert (tmp_path / "made/y").exists()
    with contextlib.closing(one_engine.client()) as client:
        volume = client.volumes.get("vol-1")
        assert volume.attrs["Labels"] == {"a": "b"}
        volume.remove()


def test_ulimits_sysctls_capabilities_and_shared_memory(one_engine, image):
    script = (
        "ulimit -n; cat /proc/sys/net/core/somaxconn"
        "; grep -E '^(CapEff|NoNewPrivs)' /proc/self/status"
        "; df -k /dev/shm | tail -1; cat /proc/self/oom_score_adj"
    )
    lines = sh(
        one_engine,
        image,
        script,
        ulimits=(Ulimit("nofile", 123, 456),),
        sysctls={"net.core.somaxconn": "777"},
        capabilities_drop=("ALL",),
        capabilities_add=("NET_ADMIN",),
        privileges=Privileges(no_new_privileges=True),
        shm_size_bytes=4 << 20,
        oom_score_adj=321,
    )
    assert lines[:2] == ["123", "777"]
    assert [line.split()[1] for line in lines[2:4]] == ["0000000000001000", "1"]
    assert lines[4].split()[1] == "4096"
    assert lines[5] == "321"


def test_hosts_and_name_servers(one_engine, image):
    lines = sh(
        one_engine,
        image,
        "grep db /etc/hosts; cat /etc/resolv.conf",
        hosts=("10.9.8.7 db db.local",),
        dns=DnsConfig(("10.9.8.6",), ("example.org",), ("ndots:2",)),
    )
    assert lines[:2] == ["10.9.8.7\tdb", "10.9.8.7\tdb.local"]
    assert {"nameserver 10.9.8.6", "search example.org", "options ndots:2"} <= set(lines)


def test_a_device_of_the_node(one_engine, image):
    lines = sh(one_engine, image, "ls /dev/zero-2", devices=(Device("/dev/zero", "/dev/zero-2"),))
    assert lines == ["/dev/zero-2"]


def test_an_init_process_comes_first(one_engine, image):
    lines = sh(one_engine, image, "cat /proc/1/comm", init=True)
    assert lines == ["docker-init"]


def test_a_privileged_container_is_made_as_one(one_engine, image):
    """Made, not started: a machine that lacks some privilege itself cannot start one."""

    async def scenario():
        async with ground(one_engine, image) as it:
            task = it.task("true", privileged=True)
            made = await it.runtime.create(task, await it.runtime.pull(task, print))
            container_id = made.container_id
            with contextlib.closing(one_engine.client()) as client:
                return client.api.inspect_container(container_id)["HostConfig"]["Privileged"]

    assert asyncio.run(scenario()) is True


def test_entrypoint_and_arguments(one_engine, image):
    lines, _ = output(one_engine, image, "a b", "c", command=("/bin/echo", "-n"))
    assert lines == ["a b c"]


def test_the_nodes_own_network(one_engine, image):
    spec = TaskSpec(networks=(NetworkAttachment("none"),))
    lines = sh(one_engine, image, "ls /sys/class/net", task=spec)
    assert [line for line in lines if line != "lo"] == []


def test_a_log_driver_with_options(one_engine, image):
    spec = TaskSpec(log_driver=LogDriver("local", {"max-size": "1m"}))
    assert sh(one_engine, image, "echo kept", task=spec) == ["kept"]


def test_host_ports_are_bound_chosen_and_refused_when_taken(one_engine, image):
    async def scenario():
        async with ground(one_engine, image) as it:
            endpoint = EndpointSpec(ports=(PortSpec("", "tcp", 80, 0),))
            first = it.task("sleep", "60", endpoint=endpoint)
            await it.start(first)
            seen = await wait_until(it.runtime, first, lambda seen: bool(seen.ports))
            ((protocol, inside, outside),) = seen.ports
            taken = EndpointSpec(ports=(PortSpec("", "tcp", 80, outside),))
            with pytest.raises(RuntimeCallError, match="already allocated") as refusal:
                await it.start(it.task("sleep", "60", slot=2, endpoint=taken))
            return protocol, inside, outside, refusal.value.retry

    protocol, inside, outside, retry = asyncio.run(scenario())
    assert (protocol, inside, retry) == ("tcp", 80, RetryRule.NEVER)
    assert outside > 1024


def test_health_goes_from_starting_to_healthy_to_unhealthy(one_engine, image):
    check = HealthCheck(
        test=("CMD", "test", "-e", "/well", "-a", "!", "-e", "/ill"),
        interval_s=0.2,
        timeout_s=30.0,
        retries=1,
        start_period_s=300.0,
    )

    async def scenario():
        async with ground(one_engine, image) as it:
            task = it.task("sleep", "600", health_check=check)
            container_id = await it.start(task)
            await wait_until(it.runtime, task, lambda seen: seen.health is Health.STARTING)
            await it.touch(container_id, "/well")
            await wait_until(it.runtime, task, lambda seen: seen.health is Health.HEALTHY)
            await it.touch(container_id, "/ill")
            await wait_until(it.runtime, task, lambda seen: seen.health is Health.UNHEALTHY)

    asyncio.run(scenario())


@pytest.mark.parametrize("code", [0, 1, 42])
def test_exit_codes(one_engine, image, code):
    _, seen = output(one_engine, image, "sh", "-c", f"exit {code}")
    assert (seen.state, seen.exit_code) == (ContainerState.EXITED, code)
    assert seen.finished_at >= seen.started_at > 1_700_000_000


def test_a_container_beyond_its_memory_is_said_to_be_killed_for_it(one_engine, image):
    spec = TaskSpec(limits=Limits(memory_bytes=8 << 20))

    # /dev/zero without a line feed grows one line in tail's memory. The Engine listens for the
    # reason only after the start: of a container that is killed sooner, it learns but the end.
    script = "while ! test -e /go; do sleep 0.1; done; tail /dev/zero"

    async def scenario():
        async with ground(one_engine, image) as it:
            task = it.task("sh", "-c", script, task=spec)
            await it.touch(await it.start(task), "/go")
            # The Engine may learn of the end before it learns of the reason.
            return await wait_until(it.runtime, task, lambda seen: seen.oom_killed)

    assert asyncio.run(scenario()).exit_code in (137, 1)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({"command": ("/no/such",)}, "no such file", id="a missing program"),
        pytest.param(
            {"mounts": (Mount(MountType.BIND, "/no/such", "/x"),)},
            "does not exist",
            id="a missing bind source",
        ),
        pytest.param({"user": "nobody-here"}, "unable to find user", id="an unknown user"),
        pytest.param({"env": ("A={{.Nope}}",)}, r"\.Nope", id="a template without meaning"),
    ],
)
def test_what_cannot_work_is_refused_for_good_and_in_words(one_engine, image, fields, words):
    async def scenario():
        async with ground(one_engine, image) as it:
            with pytest.raises(RuntimeCallError, match=words) as refusal:
                await it.start(it.task("x", **fields))
            return refusal.value.retry

    assert asyncio.run(scenario()) is RetryRule.NEVER
