"""Turn the host's side of a task into an Engine's `HostConfig`. Pure.

Duty: mounts, limits, privileges, devices, ports, name resolution, logging.
Not here: the container's own side (translate), the calls.
Invariants (tests/unit/nodeagent/runtime/test_translate.py): a field that the spec leaves open is
absent from the result, so that the Engine's own default holds; the restart policy is always "no".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from berth.model.network import NODE_LOCAL
from berth.model.service import (
    BindOptions,
    ContainerSpec,
    GpuRequest,
    LogDriver,
    Mount,
    MountType,
    NetworkAttachment,
    PortSpec,
    Privileges,
    TaskSpec,
    TmpfsOptions,
    VolumeOptions,
)
from berth.model.template import TemplateValues, expand_template
from nodeagent.runtime.port import RuntimeTask

_CREATE_MOUNTPOINT_API = (1, 42)


@dataclass(frozen=True, slots=True)
class EngineTraits:
    """What differs between Engines; `api_version` is (1, 41) for Engine 20.10."""

    api_version: tuple[int, int] = (1, 41)


def host_config(task: RuntimeTask, values: TemplateValues, engine: EngineTraits) -> dict[str, Any]:
    """Return the `HostConfig` of `task`'s container."""
    spec = task.task.container
    config: dict[str, Any] = {
        "RestartPolicy": {"Name": "no"},  # Berth restarts; two supervisors would fight.
        "NetworkMode": network_mode(task.task.networks),
    }
    said = {
        **_mounts(spec.mounts, values, engine),
        **_amounts(task.task),
        **_kernel(spec),
        **_name_resolution(spec),
        **_devices(spec),
        "GroupAdd": list(spec.groups),
        "ReadonlyRootfs": spec.read_only,
        "Isolation": spec.isolation,
        "PortBindings": _port_bindings(task.endpoint.ports),
        "LogConfig": _log_config(task.task.log_driver),
    }
    config.update((key, value) for key, value in said.items() if value)
    if spec.init is not None:  # False is an answer too: it overrides the Engine's default.
        config["Init"] = spec.init
    return config


def network_mode(networks: Sequence[NetworkAttachment]) -> str:
    """Return which of the Engine's own networks a container joins: bridge unless it says another.

    A container that joins bridges of the cluster's networks gets the first of them instead
    (translate).
    """
    for network in networks:
        if network.target in NODE_LOCAL:
            return network.target
    return "bridge"


def _mounts(
    mounts: Sequence[Mount], values: TemplateValues, engine: EngineTraits
) -> dict[str, Any]:
    """Return mounts; on Engines that cannot make a mount point, through the old `Binds`."""
    modern: list[dict[str, Any]] = []
    binds: list[str] = []
    for mount in mounts:
        makes_mountpoint = mount.bind is not None and mount.bind.create_mountpoint
        if makes_mountpoint and engine.api_version < _CREATE_MOUNTPOINT_API:
            binds.append(_bind_text(mount, values))
        else:
            modern.append(_mount(mount, values))
    return {"Mounts": modern, "Binds": binds}


def _bind_text(mount: Mount, values: TemplateValues) -> str:
    options = ["ro" if mount.read_only else "rw"]
    if mount.bind is not None and mount.bind.propagation:
        options.append(mount.bind.propagation)
    source = expand_template(mount.source, values)
    return f"{source}:{expand_template(mount.target, values)}:{','.join(options)}"


def _mount(mount: Mount, values: TemplateValues) -> dict[str, Any]:
    said: dict[str, Any] = {
        "Type": mount.type.value,
        "Source": expand_template(mount.source, values),
        "Target": expand_template(mount.target, values),
        "ReadOnly": mount.read_only,
        "Consistency": mount.consistency,
    }
    match mount.type:
        case MountType.BIND:
            said["BindOptions"] = _bind_options(mount.bind or BindOptions())
        case MountType.VOLUME:
            said["VolumeOptions"] = _volume_options(mount.volume or VolumeOptions(), values)
        case MountType.TMPFS:
            options = mount.tmpfs or TmpfsOptions()
            said["TmpfsOptions"] = _said(
                {"SizeBytes": options.size_bytes, "Mode": options.mode},
            )
    return _said(said)


def _bind_options(options: BindOptions) -> dict[str, Any]:
    return _said(
        {
            "Propagation": options.propagation,
            "NonRecursive": options.non_recursive,
            "CreateMountpoint": options.create_mountpoint,
            "ReadOnlyNonRecursive": options.read_only_non_recursive,
            "ReadOnlyForceRecursive": options.read_only_force_recursive,
        }
    )


def _volume_options(options: VolumeOptions, values: TemplateValues) -> dict[str, Any]:
    driver = _said(
        {"Name": options.driver, "Options": _expanded(options.driver_options, values)},
    )
    return _said(
        {
            "NoCopy": options.no_copy,
            "Subpath": options.subpath,
            "Labels": _expanded(options.labels, values),
            "DriverConfig": driver,
        }
    )


def _expanded(texts: Mapping[str, str], values: TemplateValues) -> dict[str, str]:
    return {key: expand_template(text, values) for key, text in texts.items()}


def _amounts(task: TaskSpec) -> dict[str, Any]:
    """Return limits; a memory reservation is also a soft limit, as in Swarm."""
    return {
        "NanoCpus": task.limits.nano_cpus,
        "Memory": task.limits.memory_bytes,
        "MemoryReservation": task.reservation.memory_bytes,
        "PidsLimit": task.limits.pids,
        "ShmSize": task.container.shm_size_bytes,
        "Ulimits": [
            {"Name": limit.name, "Soft": limit.soft, "Hard": limit.hard}
            for limit in task.container.ulimits
        ],
    }


def _kernel(spec: ContainerSpec) -> dict[str, Any]:
    return {
        "CapAdd": list(spec.capabilities_add),
        "CapDrop": list(spec.capabilities_drop),
        "Sysctls": dict(spec.sysctls),
        "OomScoreAdj": spec.oom_score_adj,
        "Privileged": spec.privileged,
        "SecurityOpt": list(_security_options(spec.privileges or Privileges())),
    }


def _security_options(privileges: Privileges) -> Iterator[str]:
    if privileges.no_new_privileges:
        yield "no-new-privileges:true"
    if privileges.seccomp:
        yield f"seccomp={privileges.seccomp}"
    if privileges.apparmor:
        # Swarm says "disabled" for what the Engine calls "unconfined".
        profile = "unconfined" if privileges.apparmor == "disabled" else privileges.apparmor
        yield f"apparmor={profile}"
    if privileges.selinux_disable:
        yield "label=disable"
    labels = {
        "user": privileges.selinux_user,
        "role": privileges.selinux_role,
        "type": privileges.selinux_type,
        "level": privileges.selinux_level,
    }
    yield from (f"label={kind}:{value}" for kind, value in labels.items() if value)


def _name_resolution(spec: ContainerSpec) -> dict[str, Any]:
    said: dict[str, Any] = {"ExtraHosts": list(_extra_hosts(spec.hosts))}
    if spec.dns is not None:
        said["Dns"] = list(spec.dns.nameservers)
        said["DnsSearch"] = list(spec.dns.search)
        said["DnsOptions"] = list(spec.dns.options)
    return said


def _extra_hosts(hosts: Sequence[str]) -> Iterator[str]:
    """Yield `name:address` for each name of each line of a hosts file."""
    for line in hosts:
        address, *names = line.split()
        yield from (f"{name}:{address}" for name in names)


def _devices(spec: ContainerSpec) -> dict[str, Any]:
    return {
        "Devices": [
            {
                "PathOnHost": device.host_path,
                "PathInContainer": device.container_path or device.host_path,
                "CgroupPermissions": device.permissions or "rwm",
            }
            for device in spec.devices
        ],
        "DeviceRequests": [_gpu_request(request) for request in spec.gpus],
    }


def _gpu_request(request: GpuRequest) -> dict[str, Any]:
    return {
        "Driver": request.driver,
        "Count": request.count,
        "DeviceIDs": list(request.device_ids),
        "Capabilities": [list(request.capabilities)],
        "Options": dict(request.options),
    }


def _port_bindings(ports: Sequence[PortSpec]) -> dict[str, list[dict[str, str]]]:
    """Bind every port on the node: there is no routing mesh, so ingress means that as well."""
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        # An empty host port lets the Engine choose a free one.
        host_port = str(port.published_port) if port.published_port else ""
        key = f"{port.target_port}/{port.protocol}"
        bindings.setdefault(key, []).append({"HostPort": host_port})
    return bindings


def _log_config(driver: LogDriver | None) -> dict[str, Any]:
    if driver is None:
        return {}
    return {"Type": driver.name, "Config": dict(driver.options)}


def _said(options: dict[str, Any]) -> dict[str, Any]:
    """Return `options` without what was left open."""
    return {key: value for key, value in options.items() if value}
