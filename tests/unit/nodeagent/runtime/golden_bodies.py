"""What an Engine must be told for each field of a spec: the golden cases of test_translate."""

from berth.model.resources import Limits, Reservation
from berth.model.service import (
    BindOptions,
    Device,
    DnsConfig,
    GpuRequest,
    HealthCheck,
    LogDriver,
    Mount,
    MountType,
    NetworkAttachment,
    Privileges,
    TmpfsOptions,
    Ulimit,
    VolumeOptions,
)
from tests.fakes.runtime_tasks import NODE, SERVICE, a_runtime_task

TASK_ID = a_runtime_task().task_id
OWN_ENV = ["BERTH_EPOCH=41", f"BERTH_TASK_ID={TASK_ID}", f"BERTH_NODE_ID={NODE}"]

# What the body is for a task that says nothing.
PLAIN = {
    "Image": "busybox:1",
    "Env": OWN_ENV,
    "Labels": {
        "berth.cluster": "cluster1",
        "berth.node": NODE,
        "berth.service": SERVICE,
        "berth.task": TASK_ID,
        "berth.slot": "1",
        "berth.epoch": "41",
        "com.docker.swarm.node.id": NODE,
        "com.docker.swarm.service.id": SERVICE,
        "com.docker.swarm.service.name": "web",
        "com.docker.swarm.task": "",
        "com.docker.swarm.task.id": TASK_ID,
        "com.docker.swarm.task.name": f"web.1.{TASK_ID}",
    },
    "StopTimeout": 10,
    "Tty": False,
    "OpenStdin": False,
    "HostConfig": {"RestartPolicy": {"Name": "no"}, "NetworkMode": "bridge"},
}

# Field of ContainerSpec -> (what it is set to, what it adds to the body).
CONTAINER_CASES = {
    "image": [("app:2", {"Image": "app:2"})],
    "command": [(("/bin/app", "-v"), {"Entrypoint": ["/bin/app", "-v"]})],
    "args": [(("serve", "{{.Task.ID}}"), {"Cmd": ["serve", "{{.Task.ID}}"]})],
    "env": [
        (
            ("A=1", "WHO={{.Service.Name}}.{{.Task.Slot}}", "UNSET", "E=", "X=a=b"),
            {"Env": ["A=1", "WHO=web.1", "UNSET", "E=", "X=a=b", *OWN_ENV]},
        ),
        (("BERTH_EPOCH=99",), {"Env": OWN_ENV}),
    ],
    "labels": [
        (
            {"team": "a", "berth.task": "forged"},
            {"Labels": {**PLAIN["Labels"], "team": "a"}},
        )
    ],
    "workdir": [("/srv", {"WorkingDir": "/srv"})],
    "user": [("1000:50", {"User": "1000:50"})],
    "groups": [(("50", "audio"), {"HostConfig.GroupAdd": ["50", "audio"]})],
    "hostname": [("{{.Node.Hostname}}-{{.Task.Slot}}", {"Hostname": "host-7-1"})],
    "tty": [(True, {"Tty": True})],
    "open_stdin": [(True, {"OpenStdin": True})],
    "read_only": [(True, {"HostConfig.ReadonlyRootfs": True})],
    "init": [
        (True, {"HostConfig.Init": True}),
        (False, {"HostConfig.Init": False}),
    ],
    "isolation": [("process", {"HostConfig.Isolation": "process"})],
    "stop_signal": [("SIGUSR1", {"StopSignal": "SIGUSR1"})],
    "stop_grace_s": [(2.5, {"StopTimeout": 3}), (0.0, {"StopTimeout": 0})],
    "health_check": [
        (
            HealthCheck(
                test=("CMD-SHELL", "true"),
                interval_s=0.5,
                timeout_s=2.0,
                start_period_s=1.5,
                start_interval_s=0.25,
                retries=4,
            ),
            {
                "Healthcheck": {
                    "Test": ["CMD-SHELL", "true"],
                    "Interval": 500_000_000,
                    "Timeout": 2_000_000_000,
                    "StartPeriod": 1_500_000_000,
                    "StartInterval": 250_000_000,
                    "Retries": 4,
                }
            },
        ),
        (HealthCheck(retries=2), {"Healthcheck": {"Retries": 2}}),
        (HealthCheck(test=("NONE",)), {"Healthcheck": {"Test": ["NONE"]}}),
    ],
    "mounts": [
        (
            (
                Mount(
                    MountType.BIND,
                    "/srv/{{.Service.Name}}",
                    "/data",
                    read_only=True,
                    consistency="cached",
                    bind=BindOptions(
                        propagation="rslave",
                        non_recursive=True,
                        read_only_non_recursive=True,
                        read_only_force_recursive=True,
                    ),
                ),
            ),
            {
                "HostConfig.Mounts": [
                    {
                        "Type": "bind",
                        "Source": "/srv/web",
                        "Target": "/data",
                        "ReadOnly": True,
                        "Consistency": "cached",
                        "BindOptions": {
                            "Propagation": "rslave",
                            "NonRecursive": True,
                            "ReadOnlyNonRecursive": True,
                            "ReadOnlyForceRecursive": True,
                        },
                    }
                ]
            },
        ),
        (
            (
                Mount(
                    MountType.VOLUME,
                    "data-{{.Task.Slot}}",
                    "/data",
                    volume=VolumeOptions(
                        no_copy=True,
                        subpath="part",
                        labels={"of": "{{.Service.Name}}"},
                        driver="local",
                        driver_options={"device": "/x/{{.Task.Slot}}"},
                    ),
                ),
                Mount(MountType.VOLUME, "", "/anonymous"),
            ),
            {
                "HostConfig.Mounts": [
                    {
                        "Type": "volume",
                        "Source": "data-1",
                        "Target": "/data",
                        "VolumeOptions": {
                            "NoCopy": True,
                            "Subpath": "part",
                            "Labels": {"of": "web"},
                            "DriverConfig": {"Name": "local", "Options": {"device": "/x/1"}},
                        },
                    },
                    {"Type": "volume", "Target": "/anonymous"},
                ]
            },
        ),
        (
            (
                Mount(
                    MountType.TMPFS,
                    "",
                    "/scratch",
                    tmpfs=TmpfsOptions(size_bytes=1 << 20, mode=0o1770),
                ),
                Mount(MountType.TMPFS, "", "/plain"),
            ),
            {
                "HostConfig.Mounts": [
                    {
                        "Type": "tmpfs",
                        "Target": "/scratch",
                        "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o1770},
                    },
                    {"Type": "tmpfs", "Target": "/plain"},
                ]
            },
        ),
        (
            (
                Mount(
                    MountType.BIND,
                    "/new",
                    "/data",
                    read_only=True,
                    bind=BindOptions(propagation="shared", create_mountpoint=True),
                ),
            ),
            {"HostConfig.Binds": ["/new:/data:ro,shared"]},
        ),
    ],
    "hosts": [
        (
            ("10.0.0.1 db db.local", "::1\tsix"),
            {"HostConfig.ExtraHosts": ["db:10.0.0.1", "db.local:10.0.0.1", "six:::1"]},
        )
    ],
    "dns": [
        (
            DnsConfig(("10.0.0.2",), ("example.org",), ("ndots:2",)),
            {
                "HostConfig.Dns": ["10.0.0.2"],
                "HostConfig.DnsSearch": ["example.org"],
                "HostConfig.DnsOptions": ["ndots:2"],
            },
        )
    ],
    "capabilities_add": [(("CAP_NET_ADMIN",), {"HostConfig.CapAdd": ["CAP_NET_ADMIN"]})],
    "capabilities_drop": [(("ALL",), {"HostConfig.CapDrop": ["ALL"]})],
    "ulimits": [
        (
            (Ulimit("nofile", 100, 200), Ulimit("core", -1, -1)),
            {
                "HostConfig.Ulimits": [
                    {"Name": "nofile", "Soft": 100, "Hard": 200},
                    {"Name": "core", "Soft": -1, "Hard": -1},
                ]
            },
        )
    ],
    "sysctls": [
        (
            {"net.core.somaxconn": "1024"},
            {"HostConfig.Sysctls": {"net.core.somaxconn": "1024"}},
        )
    ],
    "privileges": [
        (
            Privileges(
                no_new_privileges=True,
                seccomp="unconfined",
                apparmor="disabled",
                selinux_user="u",
                selinux_role="r",
                selinux_type="t",
                selinux_level="s0",
            ),
            {
                "HostConfig.SecurityOpt": [
                    "no-new-privileges:true",
                    "seccomp=unconfined",
                    "apparmor=unconfined",
                    "label=user:u",
                    "label=role:r",
                    "label=type:t",
                    "label=level:s0",
                ]
            },
        ),
        (
            Privileges(seccomp='{"defaultAction":"x"}', selinux_disable=True),
            {"HostConfig.SecurityOpt": ['seccomp={"defaultAction":"x"}', "label=disable"]},
        ),
        (Privileges(), {}),
    ],
    "oom_score_adj": [(-500, {"HostConfig.OomScoreAdj": -500})],
    "devices": [
        (
            (Device("/dev/a", "/dev/b", "r"), Device("/dev/c")),
            {
                "HostConfig.Devices": [
                    {
                        "PathOnHost": "/dev/a",
                        "PathInContainer": "/dev/b",
                        "CgroupPermissions": "r",
                    },
                    {
                        "PathOnHost": "/dev/c",
                        "PathInContainer": "/dev/c",
                        "CgroupPermissions": "rwm",
                    },
                ]
            },
        )
    ],
    "privileged": [(True, {"HostConfig.Privileged": True})],
    "gpus": [
        (
            (GpuRequest(driver="nvidia", count=-1, options={"a": "b"}),),
            {
                "HostConfig.DeviceRequests": [
                    {
                        "Driver": "nvidia",
                        "Count": -1,
                        "DeviceIDs": [],
                        "Capabilities": [["gpu"]],
                        "Options": {"a": "b"},
                    }
                ]
            },
        ),
        (
            (GpuRequest(device_ids=("GPU-1",), capabilities=("gpu", "compute")),),
            {
                "HostConfig.DeviceRequests": [
                    {
                        "Driver": "",
                        "Count": 0,
                        "DeviceIDs": ["GPU-1"],
                        "Capabilities": [["gpu", "compute"]],
                        "Options": {},
                    }
                ]
            },
        ),
    ],
    "shm_size_bytes": [(1 << 26, {"HostConfig.ShmSize": 1 << 26})],
}

# Field of TaskSpec -> the same.
TASK_CASES = {
    "limits": [
        (
            Limits(nano_cpus=1_500_000_000, memory_bytes=1 << 28, pids=64),
            {
                "HostConfig.NanoCpus": 1_500_000_000,
                "HostConfig.Memory": 1 << 28,
                "HostConfig.PidsLimit": 64,
            },
        )
    ],
    "reservation": [
        (
            Reservation(nano_cpus=10**9, memory_bytes=1 << 27, generic={"gpu": 1}),
            {"HostConfig.MemoryReservation": 1 << 27},
        )
    ],
    "log_driver": [
        (
            LogDriver("json-file", {"max-size": "1m"}),
            {"HostConfig.LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}}},
        ),
        (
            LogDriver("", {"max-size": "1m"}),
            {"HostConfig.LogConfig": {"Type": "", "Config": {"max-size": "1m"}}},
        ),
    ],
    "networks": [
        ((NetworkAttachment("host"),), {"HostConfig.NetworkMode": "host"}),
        ((NetworkAttachment("none"),), {"HostConfig.NetworkMode": "none"}),
        ((NetworkAttachment("backend", ("db",)),), {}),
    ],
}
