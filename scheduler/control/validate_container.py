"""Decide whether a container's part of a spec makes sense.

Duty: what an Engine would refuse, or silently take for something else, found before anything is
stored. Pure.
Not here: the rest of a spec (scheduler.control.validate), making the container
(nodeagent.runtime.translate).
"""

import ipaddress
import json
import posixpath
import re
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from berth.errors import Fault, InvalidRequestError
from berth.model.image import ImageReference
from berth.model.service import ContainerSpec, HealthCheck, Mount, MountType, Privileges
from berth.model.template import check_template
from scheduler.control.validate_files import reference_faults

_HEALTH_TIME_S_MIN: Final = 0.001
_HOSTNAME_LENGTH_MAX: Final = 64  # Linux's own limit.
_OOM_SCORE_MAX: Final = 1000
_MODE_MAX: Final = 0o7777

_HOSTNAME: Final = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?")
_VOLUME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_CAPABILITY: Final = re.compile(r"(?:CAP_)?[A-Z][A-Z_]*", re.IGNORECASE)
_SYSCTL: Final = re.compile(r"[a-z0-9_-]+(?:[./][a-zA-Z0-9_*-]+)+")
_REALTIME_SIGNAL: Final = re.compile(r"RTM(?:IN(?:\+\d+)?|AX(?:-\d+)?)")
_SIGNAL_NAMES: Final = frozenset(member.name.removeprefix("SIG") for member in signal.Signals)
_SIGNAL_NUMBER_MAX: Final = 64

_PROPAGATIONS: Final = ("", "private", "rprivate", "shared", "rshared", "slave", "rslave")
_CONSISTENCIES: Final = ("", "default", "consistent", "cached", "delegated")
_HEALTH_FORMS: Final = ("", "NONE", "CMD", "CMD-SHELL")
_ULIMITS: Final = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc",
    "rss", "rtprio", "rttime", "sigpending", "stack",
)  # fmt: skip

Faults = Iterator[Fault]


def container_faults(container: ContainerSpec, path: str) -> Faults:
    """Yield every fault of `container`, which stands at `path` in its spec."""
    yield from _image_faults(container.image, path)
    yield from _process_faults(container, path)
    yield from _stop_faults(container, path)
    if container.health_check is not None:
        yield from _health_faults(container.health_check, f"{path}.health_check")
    yield from _mount_faults(container.mounts, f"{path}.mounts")
    yield from _name_service_faults(container, path)
    yield from _security_faults(container, path)
    yield from _kernel_faults(container, path)
    yield from _device_faults(container, path)
    yield from reference_faults(container, path)


def _refused(path: str, call: Callable[[], object]) -> Faults:
    try:
        call()
    except InvalidRequestError as error:
        yield Fault(path, error.message)


def _image_faults(image: str, path: str) -> Faults:
    yield from _refused(f"{path}.image", lambda: ImageReference.from_text(image))


def _process_faults(container: ContainerSpec, path: str) -> Faults:
    for index, text in enumerate(container.env):
        name, _, value = text.partition("=")
        if not name:
            yield Fault(f"{path}.env[{index}]", f'"{text}" has no name; write NAME=value')
        elif "\0" in text:
            yield Fault(f"{path}.env[{index}]", f"{name} contains a zero byte")
        else:
            yield from _refused(f"{path}.env[{index}]", lambda value=value: check_template(value))  # type: ignore[misc]
    if container.workdir and not container.workdir.startswith("/"):
        yield Fault(
            f"{path}.workdir",
            f'"{container.workdir}" is not absolute; write "/{container.workdir}"',
        )
    hostname = container.hostname
    if "{{" in hostname:
        yield from _refused(f"{path}.hostname", lambda: check_template(hostname))
    elif hostname and (len(hostname) > _HOSTNAME_LENGTH_MAX or not _HOSTNAME.fullmatch(hostname)):
        yield Fault(
            f"{path}.hostname",
            f'"{hostname}" is not a host name; use up to {_HOSTNAME_LENGTH_MAX} letters, digits, '
            "- and .",
        )
    yield from (
        Fault(f"{path}.labels", f'"={value}" has an empty key')
        for key, value in container.labels.items()
        if not key
    )
    yield from (
        Fault(f"{path}.groups[{index}]", "is empty; name a group or its number")
        for index, group in enumerate(container.groups)
        if not group
    )
    if container.isolation not in ("", "default"):
        yield Fault(
            f"{path}.isolation",
            f'"{container.isolation}" is for Windows; leave it out, or use default',
        )


def _stop_faults(container: ContainerSpec, path: str) -> Faults:
    if container.stop_signal and not _is_signal(container.stop_signal):
        yield Fault(
            f"{path}.stop_signal",
            f'"{container.stop_signal}" is not a signal; write SIGTERM or 15',
        )
    grace_s = container.stop_grace_s
    if grace_s is not None and not grace_s >= 0:
        yield Fault(f"{path}.stop_grace_s", f"{grace_s:g} is negative; use 0 or more")


def _is_signal(text: str) -> bool:
    if text.isdigit():
        return 1 <= int(text) <= _SIGNAL_NUMBER_MAX
    name = text.upper().removeprefix("SIG")
    return name in _SIGNAL_NAMES or _REALTIME_SIGNAL.fullmatch(name) is not None


def _health_faults(check: HealthCheck, path: str) -> Faults:
    form = check.test[0] if check.test else ""
    if form not in _HEALTH_FORMS:
        yield Fault(f"{path}.test", f'begins with "{form}"; begin with NONE, CMD or CMD-SHELL')
    elif form == "CMD-SHELL" and len(check.test) != 2:
        yield Fault(f"{path}.test", "CMD-SHELL takes exactly one command line")
    elif form == "CMD" and len(check.test) < 2:
        yield Fault(f"{path}.test", "CMD needs a command")
    for name in ("interval_s", "timeout_s", "start_period_s", "start_interval_s"):
        value = getattr(check, name)
        if value is not None and value != 0 and not value >= _HEALTH_TIME_S_MIN:
            yield Fault(f"{path}.{name}", f"{value:g} s is below 1 ms; 0 = the image's own")
    if check.retries is not None and check.retries < 0:
        yield Fault(f"{path}.retries", f"{check.retries} is negative; 0 = the image's own")


def _mount_faults(mounts: Sequence[Mount], path: str) -> Faults:
    targets: dict[str, int] = {}
    for index, mount in enumerate(mounts):
        here = f"{path}[{index}]"
        yield from _target_faults(mount, here)
        target = posixpath.normpath(mount.target) if mount.target else ""
        if target and target in targets:
            yield Fault(
                f"{here}.target",
                f'"{mount.target}" is already the target of mounts[{targets[target]}]',
            )
        targets.setdefault(target, index)
        yield from _source_faults(mount, here)
        yield from _option_faults(mount, here)


def _target_faults(mount: Mount, path: str) -> Faults:
    if not mount.target:
        yield Fault(f"{path}.target", "is empty; name a path in the container")
    elif "{{" in mount.target:
        yield from _refused(f"{path}.target", lambda: check_template(mount.target))
    elif not mount.target.startswith("/"):
        yield Fault(f"{path}.target", f'"{mount.target}" is not absolute; begin it with /')
    elif posixpath.normpath(mount.target).strip("/") == "":
        yield Fault(f"{path}.target", '"/" is the container\'s own root; mount below it')
    if mount.consistency not in _CONSISTENCIES:
        yield Fault(f"{path}.consistency", f'"{mount.consistency}" is unknown; leave it out')


def _source_faults(mount: Mount, path: str) -> Faults:
    source = mount.source
    if "{{" in source:
        yield from _refused(f"{path}.source", lambda: check_template(source))
        return
    match mount.type:
        case MountType.BIND if not source:
            yield Fault(f"{path}.source", "is empty; name a path of the node")
        case MountType.BIND if not source.startswith("/"):
            yield Fault(
                f"{path}.source",
                f'"{source}" is not absolute; for a volume of that name use type=volume',
            )
        case MountType.VOLUME if source and not _VOLUME.fullmatch(source):
            yield Fault(
                f"{path}.source",
                f'"{source}" is not a volume\'s name; for a path of the node use type=bind',
            )
        case MountType.TMPFS if source:
            yield Fault(f"{path}.source", "a tmpfs has no source; leave it out")
        case _:
            pass


def _option_faults(mount: Mount, path: str) -> Faults:
    for kind in MountType:
        if getattr(mount, kind.value) is not None and mount.type is not kind:
            yield Fault(
                f"{path}.{kind.value}", f"options of a {kind.value} on a {mount.type.value} mount"
            )
    if mount.bind is not None and mount.bind.propagation not in _PROPAGATIONS:
        yield Fault(
            f"{path}.bind.propagation",
            f'"{mount.bind.propagation}" is not one of {", ".join(_PROPAGATIONS[1:])}',
        )
    if mount.volume is not None:
        subpath = mount.volume.subpath
        if subpath.startswith("/") or ".." in subpath.split("/"):
            yield Fault(f"{path}.volume.subpath", f'"{subpath}" does not stay in the volume')
    if mount.tmpfs is not None:
        if mount.tmpfs.size_bytes < 0:
            yield Fault(f"{path}.tmpfs.size_bytes", f"{mount.tmpfs.size_bytes} is negative")
        if not 0 <= mount.tmpfs.mode <= _MODE_MAX:
            yield Fault(f"{path}.tmpfs.mode", f"{mount.tmpfs.mode:#o} is not within 0..0o7777")


def _name_service_faults(container: ContainerSpec, path: str) -> Faults:
    for index, line in enumerate(container.hosts):
        address, _, names = line.partition(" ")
        if not names.strip() or not (address == "host-gateway" or _is_address(address)):
            yield Fault(
                f"{path}.hosts[{index}]",
                f'"{line}" is not a line of a hosts file; write "10.0.0.5 db"',
            )
    if container.dns is None:
        return
    for index, server in enumerate(container.dns.nameservers):
        if not _is_address(server):
            yield Fault(
                f"{path}.dns.nameservers[{index}]",
                f'"{server}" is not an IP address; write 10.0.0.2',
            )
    for name in ("search", "options"):
        for index, text in enumerate(getattr(container.dns, name)):
            if not text:
                yield Fault(f"{path}.dns.{name}[{index}]", "is empty")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _security_faults(container: ContainerSpec, path: str) -> Faults:
    for name in ("capabilities_add", "capabilities_drop"):
        for index, capability in enumerate(getattr(container, name)):
            if not _CAPABILITY.fullmatch(capability):
                yield Fault(
                    f"{path}.{name}[{index}]",
                    f'"{capability}" is not a capability; write NET_ADMIN or ALL',
                )
    if container.privileges is not None:
        yield from _privilege_faults(container.privileges, f"{path}.privileges")


def _privilege_faults(privileges: Privileges, path: str) -> Faults:
    seccomp = privileges.seccomp
    if seccomp not in ("", "unconfined"):
        try:
            is_object = isinstance(json.loads(seccomp), dict)
        except ValueError:
            is_object = False
        if not is_object:
            yield Fault(f"{path}.seccomp", 'is neither "unconfined" nor a profile as JSON')
    if privileges.apparmor not in ("", "disabled"):
        yield Fault(f"{path}.apparmor", f'"{privileges.apparmor}" is not "disabled"')


def _kernel_faults(container: ContainerSpec, path: str) -> Faults:
    yield from _ulimit_faults(container, path)
    for key in container.sysctls:
        if not _SYSCTL.fullmatch(key):
            yield Fault(
                f"{path}.sysctls[{key}]", f'"{key}" is not a sysctl; write net.core.somaxconn'
            )
    if not -_OOM_SCORE_MAX <= container.oom_score_adj <= _OOM_SCORE_MAX:
        yield Fault(f"{path}.oom_score_adj", f"{container.oom_score_adj} is not within -1000..1000")
    if container.shm_size_bytes < 0:
        yield Fault(f"{path}.shm_size_bytes", f"{container.shm_size_bytes} is negative")


def _ulimit_faults(container: ContainerSpec, path: str) -> Faults:
    names = [ulimit.name for ulimit in container.ulimits]
    for index, ulimit in enumerate(container.ulimits):
        here = f"{path}.ulimits[{index}]"
        if ulimit.name not in _ULIMITS:
            yield Fault(here, f'"{ulimit.name}" is not one of {", ".join(_ULIMITS)}')
        elif ulimit.name in names[:index]:
            yield Fault(here, f'"{ulimit.name}" is set twice; set it once')
        if ulimit.soft < -1 or ulimit.hard < -1:
            yield Fault(here, f"{ulimit.soft}:{ulimit.hard} is negative; -1 = unlimited")
        elif ulimit.hard != -1 and (ulimit.soft == -1 or ulimit.soft > ulimit.hard):
            yield Fault(here, f"the soft limit {ulimit.soft} is above the hard one, {ulimit.hard}")


def _device_faults(container: ContainerSpec, path: str) -> Faults:
    inside = [device.container_path or device.host_path for device in container.devices]
    for index, device in enumerate(container.devices):
        here = f"{path}.devices[{index}]"
        if not device.host_path.startswith("/"):
            yield Fault(
                f"{here}.host_path", f'"{device.host_path}" is not absolute; write /dev/NAME'
            )
        if device.container_path and not device.container_path.startswith("/"):
            yield Fault(
                f"{here}.container_path",
                f'"{device.container_path}" is not absolute; write /dev/NAME',
            )
        if not _is_permissions(device.permissions):
            yield Fault(f"{here}.permissions", f'"{device.permissions}" is not made of r, w and m')
        if inside[index] in inside[:index]:
            yield Fault(f"{here}.container_path", f'"{inside[index]}" is given twice')
    for index, request in enumerate(container.gpus):
        here = f"{path}.gpus[{index}]"
        if request.count < -1:
            yield Fault(f"{here}.count", f"{request.count} is negative; -1 = all")
        if request.count and request.device_ids:
            yield Fault(here, "count and device_ids are both given; give one")
        elif not request.count and not request.device_ids:
            yield Fault(here, "asks for no GPU; give a count or device_ids")


def _is_permissions(text: Iterable[str]) -> bool:
    letters = list(text)
    return bool(letters) and set(letters) <= set("rwm") and len(set(letters)) == len(letters)
