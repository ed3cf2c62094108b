"""The model -> Docker's ContainerSpec. Pure.

Duty: write what Docker has words for, absent where the spec is silent. What Docker has no words
for (devices, GPUs, privileged, shared memory) is not written; `settle` keeps it over an update.
Not here: the way in (container_in).
"""

import base64
from typing import Any

from berth.model.service import (
    ContainerSpec,
    DnsConfig,
    FileReference,
    HealthCheck,
    Mount,
    Privileges,
    VolumeOptions,
)
from gateway.translate.writing import nanoseconds, without_empty, without_none


def write_container(spec: ContainerSpec) -> dict[str, Any]:
    """Return the ContainerSpec of a service."""
    said = without_empty(
        {
            "Image": spec.image,
            "Labels": dict(spec.labels),
            "Command": list(spec.command),
            "Args": list(spec.args),
            "Hostname": spec.hostname,
            "Env": list(spec.env),
            "Dir": spec.workdir,
            "User": spec.user,
            "Groups": list(spec.groups),
            "TTY": spec.tty,
            "OpenStdin": spec.open_stdin,
            "ReadOnly": spec.read_only,
            "Mounts": [_mount(mount) for mount in spec.mounts],
            "StopSignal": spec.stop_signal,
            "Hosts": list(spec.hosts),
            "Isolation": spec.isolation,
            "CapabilityAdd": list(spec.capabilities_add),
            "CapabilityDrop": list(spec.capabilities_drop),
            "Ulimits": [
                {"Name": limit.name, "Soft": limit.soft, "Hard": limit.hard}
                for limit in spec.ulimits
            ],
            "Sysctls": dict(spec.sysctls),
            "OomScoreAdj": spec.oom_score_adj,
            "Secrets": [_file(found, "Secret") for found in spec.secrets],
            "Configs": [_file(found, "Config") for found in spec.configs],
        }
    )
    chosen = without_none(
        {
            "Init": spec.init,
            "StopGracePeriod": nanoseconds(spec.stop_grace_s),
            "Healthcheck": None if spec.health_check is None else _health(spec.health_check),
            "DNSConfig": None if spec.dns is None else write_dns(spec.dns),
            "Privileges": None if spec.privileges is None else _privileges(spec.privileges),
        }
    )
    return {**said, **chosen}


def write_dns(dns: DnsConfig) -> dict[str, Any]:
    """Return a DNSConfig; an empty one is {}."""
    return without_empty(
        {
            "Nameservers": list(dns.nameservers),
            "Search": list(dns.search),
            "Options": list(dns.options),
        }
    )


def _health(check: HealthCheck) -> dict[str, Any]:
    said = {
        "Interval": nanoseconds(check.interval_s),
        "Timeout": nanoseconds(check.timeout_s),
        "StartPeriod": nanoseconds(check.start_period_s),
        "StartInterval": nanoseconds(check.start_interval_s),
        "Retries": check.retries,
    }
    return {**without_empty({"Test": list(check.test)}), **without_none(said)}


def _mount(mount: Mount) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if (bind := mount.bind) is not None:
        options["BindOptions"] = without_empty(
            {
                "Propagation": bind.propagation,
                "NonRecursive": bind.non_recursive,
                "CreateMountpoint": bind.create_mountpoint,
                "ReadOnlyNonRecursive": bind.read_only_non_recursive,
                "ReadOnlyForceRecursive": bind.read_only_force_recursive,
            }
        )
    if mount.volume is not None:
        options["VolumeOptions"] = _volume(mount.volume)
    if (tmpfs := mount.tmpfs) is not None:
        options["TmpfsOptions"] = without_empty({"SizeBytes": tmpfs.size_bytes, "Mode": tmpfs.mode})
    said = without_empty(
        {
            "Source": mount.source,
            "Target": mount.target,
            "ReadOnly": mount.read_only,
            "Consistency": mount.consistency,
        }
    )
    return {"Type": mount.type.value, **said, **options}


def _volume(options: VolumeOptions) -> dict[str, Any]:
    driver = without_empty({"Name": options.driver, "Options": dict(options.driver_options)})
    return without_empty(
        {
            "NoCopy": options.no_copy,
            "Subpath": options.subpath,
            "Labels": dict(options.labels),
            "DriverConfig": driver,
        }
    )


def _privileges(privileges: Privileges) -> dict[str, Any]:
    selinux = without_empty(
        {
            "Disable": privileges.selinux_disable,
            "User": privileges.selinux_user,
            "Role": privileges.selinux_role,
            "Type": privileges.selinux_type,
            "Level": privileges.selinux_level,
        }
    )
    return without_empty(
        {
            "SELinuxContext": selinux,
            "Seccomp": _seccomp(privileges.seccomp),
            "AppArmor": without_empty({"Mode": privileges.apparmor}),
            "NoNewPrivileges": privileges.no_new_privileges,
        }
    )


def _seccomp(profile: str) -> dict[str, str]:
    if profile in ("", "unconfined"):
        return without_empty({"Mode": profile})
    return {"Mode": "custom", "Profile": base64.b64encode(profile.encode()).decode()}


def _file(reference: FileReference, kind: str) -> dict[str, Any]:
    # The docker CLI follows File without looking whether it is there.
    file = {
        "Name": reference.target,
        "UID": reference.uid,
        "GID": reference.gid,
        "Mode": reference.mode,
    }
    return {"File": file, f"{kind}ID": reference.id, f"{kind}Name": reference.name}
