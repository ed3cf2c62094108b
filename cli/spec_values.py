"""Read the values of a service's flags as the docker CLI does: mounts, ports, limits, pairs.

Duty: one text -> one value of the model, or a refusal that shows how to write it.
Not here: which flags there are (cli.spec_flags), whether a spec makes sense (the scheduler says).
"""

import csv
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from berth.errors import InvalidRequestError
from berth.model.resources import parse_memory
from berth.model.service import (
    BindOptions,
    Device,
    GpuRequest,
    Mount,
    MountType,
    NetworkAttachment,
    PortSpec,
    PublishMode,
    TmpfsOptions,
    Ulimit,
    VolumeOptions,
)

_TRUE: Final = ("", "true", "1")
_FALSE: Final = ("false", "0")
_PORTS: Final = re.compile(r"(\d+)(?:-(\d+))?")


def parse_count(text: str) -> int:
    """Return a whole number, 0 or more."""
    if not text.isascii() or not text.isdigit():
        raise InvalidRequestError(f'"{text}" is not a whole number, 0 or more')
    return int(text)


def parse_integer(text: str) -> int:
    """Return a whole number, which may be negative."""
    try:
        return int(text)
    except ValueError:
        raise InvalidRequestError(f'"{text}" is not a whole number; write one in digits') from None


def parse_ratio(text: str) -> float:
    """Return a number such as 0.2."""
    try:
        return float(text)
    except ValueError:
        raise InvalidRequestError(f'"{text}" is not a number; write 0.2') from None


def parse_words(text: str) -> tuple[str, ...]:
    """Split a command line as a shell would."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise InvalidRequestError(
            f'"{text}" cannot be split into words: {error}; quote it as in a shell'
        ) from None


def parse_pair(text: str) -> tuple[str, str]:
    """Return (key, value) of ``KEY=VALUE``; without ``=`` the value is empty."""
    key, _, value = text.partition("=")
    if not key:
        raise InvalidRequestError(f'"{text}" has no key; write KEY=VALUE')
    return key, value


def parse_quantity(text: str) -> tuple[str, int]:
    """Return (kind, count) of a generic resource such as ``gpu=2``."""
    kind, value = parse_pair(text)
    if not value.isdecimal():
        raise InvalidRequestError(f'"{text}" is not KIND=COUNT; write {kind}=2')
    return kind, int(value)


def parse_preference(text: str) -> str:
    """Return the descriptor of ``spread=node.labels.zone``."""
    strategy, equals, descriptor = text.partition("=")
    if strategy != "spread" or not equals or not descriptor:
        raise InvalidRequestError(f'"{text}" is not a preference; write spread=node.labels.zone')
    return descriptor


def parse_host(text: str) -> str:
    """Turn ``name:address`` into a line of a hosts file."""
    separator = "=" if "=" in text else ":"
    name, found, address = text.partition(separator)
    if not found or not name or not address:
        raise InvalidRequestError(f'"{text}" is not a host; write NAME:ADDRESS')
    return f"{address.strip('[]')} {name}"


def parse_ulimit(text: str) -> Ulimit:
    """Read ``nofile=1024:2048`` or ``nofile=1024``."""
    name, equals, limits = text.partition("=")
    soft, colon, hard = limits.partition(":")
    if not equals:
        raise InvalidRequestError(f'"{text}" is not a ulimit; write nofile=1024:2048')
    return Ulimit(name, parse_integer(soft), parse_integer(hard if colon else soft))


def parse_device(text: str) -> Device:
    """Read ``/dev/a``, ``/dev/a:/dev/b`` or ``/dev/a:/dev/b:rw``."""
    parts = text.split(":")
    match parts:
        case [host]:
            return Device(host, host)
        case [host, permissions] if permissions and set(permissions) <= set("rwm"):
            return Device(host, host, permissions)
        case [host, inside]:
            return Device(host, inside)
        case [host, inside, permissions]:
            return Device(host, inside, permissions)
        case _:
            raise InvalidRequestError(f'"{text}" is not a device; write /dev/HOST:/dev/INSIDE:rwm')


def parse_gpus(text: str) -> tuple[GpuRequest, ...]:
    """Read ``all``, ``2``, ``device=0,1`` or ``count=2,capabilities=compute,driver=nvidia``.

    An empty text asks for none.
    """
    if not text:
        return ()
    if text == "all":
        return (GpuRequest(count=-1),)
    if text.isdigit():
        return (GpuRequest(count=int(text)),)
    if "=" not in text:
        raise InvalidRequestError(f'"{text}" chooses no GPUs; write all, 2 or device=0,1')
    request = GpuRequest()
    for key, value in _keyed_values(text):
        match key:
            case "count":
                request = replace(request, count=-1 if value == "all" else parse_count(value))
            case "device":
                request = replace(request, device_ids=tuple(filter(None, value.split(","))))
            case "driver":
                request = replace(request, driver=value)
            case "capabilities":
                names = ("gpu", *(name for name in value.split(",") if name != "gpu"))
                request = replace(request, capabilities=names)
            case "options":
                request = replace(request, options=dict(map(parse_pair, value.split(","))))
            case _:
                raise InvalidRequestError(
                    f'"{key}" is unknown in --gpus; '
                    "use count, device, driver, capabilities, options"
                )
    return (request,)


def _keyed_values(text: str) -> list[tuple[str, str]]:
    """Split ``a=1,b=2,3``; a part without ``=`` goes on with the value before it."""
    pairs: list[tuple[str, str]] = []
    for part in _csv(text):
        key, equals, value = part.partition("=")
        if not equals and pairs:
            pairs[-1] = (pairs[-1][0], f"{pairs[-1][1]},{part}")
        else:
            pairs.append((key.strip().lower(), value))
    return pairs


def _csv(text: str) -> list[str]:
    return next(csv.reader([text], strict=True), [])


def parse_network(text: str) -> NetworkAttachment:
    """Read a name, or ``name=front,alias=web,driver-opt=k=v``."""
    if "=" not in text:
        return NetworkAttachment(text)
    network = NetworkAttachment()
    for key, value in map(parse_pair, _csv(text)):
        match key:
            case "name":
                network = replace(network, target=value)
            case "alias":
                network = replace(network, aliases=(*network.aliases, value))
            case "driver-opt":
                name, option = parse_pair(value)
                network = replace(network, driver_options={**network.driver_options, name: option})
            case _:
                raise InvalidRequestError(
                    f'"{key}" is unknown in --network; use name, alias, driver-opt'
                )
    return network


def parse_ports(text: str) -> tuple[PortSpec, ...]:
    """Read ``8080:80/udp``, ``80``, ``8000-8009:80-89`` or the long form with ``target=``.

    Berth publishes on the task's own node, so the mode is host unless the text says otherwise.
    """
    if "=" in text:
        return (_long_port(text),)
    rest, _, protocol = text.partition("/")
    parts = rest.split(":")
    if len(parts) > 2:
        raise InvalidRequestError(
            f'"{text}" names a host address, which a service cannot have; write PORT:PORT'
        )
    targets = _port_range(text, parts[-1])
    published = _port_range(text, parts[0]) if len(parts) == 2 else [0] * len(targets)
    if len(published) != len(targets):
        raise InvalidRequestError(f'"{text}" has two ranges of different length')
    return tuple(
        PortSpec(protocol=protocol or "tcp", target_port=target, published_port=port)
        for port, target in zip(published, targets, strict=True)
    )


def _port_range(text: str, part: str) -> list[int]:
    match = _PORTS.fullmatch(part)
    if match is None:
        raise InvalidRequestError(f'"{text}" is not a port; write 8080:80 or 8080:80/udp')
    first, last = int(match[1]), int(match[2] or match[1])
    if not first <= last <= 65_535:
        raise InvalidRequestError(f'"{text}" is not a range of ports within 1..65535')
    return list(range(first, last + 1))


def _long_port(text: str) -> PortSpec:
    port = PortSpec()
    for key, value in map(parse_pair, _csv(text)):
        match key:
            case "target":
                port = replace(port, target_port=parse_count(value))
            case "published":
                port = replace(port, published_port=parse_count(value))
            case "protocol":
                port = replace(port, protocol=value.lower())
            case "mode":
                port = replace(port, publish_mode=_choice("mode", PublishMode, value))
            case "name":
                port = replace(port, name=value)
            case _:
                raise InvalidRequestError(
                    f'"{key}" is unknown in --publish; use target, published, protocol, mode, name'
                )
    if not port.target_port:
        raise InvalidRequestError(f'"{text}" has no target; add target=PORT')
    return port


def parse_port_key(text: str) -> tuple[int, str]:
    """Read the port that ``--publish-rm`` names: the target port, ``80`` or ``80/udp``."""
    number, slash, protocol = text.partition("/")
    if ":" in number:
        raise InvalidRequestError(f'"{text}" has a published port; write the target port alone')
    return parse_count(number), protocol if slash else "tcp"


def _choice(key: str, kind: Any, value: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        allowed = ", ".join(member.value for member in kind)
        raise InvalidRequestError(f'{key} "{value}" is not one of {allowed}') from None


def parse_mount(text: str) -> Mount:
    """Read ``type=bind,source=/a,target=/b,readonly`` and its kin; the type is volume if not said.

    A relative source of a bind is an error: the path is the node's, not this machine's.
    """
    mount = Mount(type=MountType.VOLUME)
    for part in _csv(text):
        key, equals, value = part.partition("=")
        key = key.strip().lower()
        reader = _MOUNT_KEYS.get(key)
        if reader is None:
            raise InvalidRequestError(
                f'"{key}" is unknown in --mount; use {", ".join(sorted(_MOUNT_KEYS))}'
            )
        if not equals and key not in _MOUNT_SWITCHES:
            raise InvalidRequestError(f'"{key}" in --mount has no value; write {key}=VALUE')
        mount = reader(mount, value)
    for kind in MountType:
        if kind is not mount.type and getattr(mount, kind.value) is not None:
            raise InvalidRequestError(
                f'"{text}" has options of a {kind.value}, but is a {mount.type.value} mount'
            )
    if not mount.target:
        raise InvalidRequestError(f'"{text}" has no target; add target=PATH')
    return mount


def _truth(value: str) -> bool:
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise InvalidRequestError(f'"{value}" is neither true nor false')


_MountReader = Callable[[Mount, str], Mount]


def _field(name: str, read: Callable[[str], Any] = str) -> _MountReader:
    def change(mount: Mount, value: str) -> Mount:
        changes: dict[str, Any] = {name: read(value)}
        return replace(mount, **changes)

    return change


def _option(group: str, default: Any, change: Callable[[Any, str], Any]) -> _MountReader:
    def changed(mount: Mount, value: str) -> Mount:
        options = getattr(mount, group) or default
        changes: dict[str, Any] = {group: change(options, value)}
        return replace(mount, **changes)

    return changed


def _bind(change: Callable[[BindOptions, str], BindOptions]) -> _MountReader:
    return _option("bind", BindOptions(), change)


def _volume(change: Callable[[VolumeOptions, str], VolumeOptions]) -> _MountReader:
    return _option("volume", VolumeOptions(), change)


def _tmpfs(change: Callable[[TmpfsOptions, str], TmpfsOptions]) -> _MountReader:
    return _option("tmpfs", TmpfsOptions(), change)


def _recursive(options: BindOptions, value: str) -> BindOptions:
    match value:
        case "enabled":
            return options
        case "disabled":
            return replace(options, non_recursive=True)
        case "writable":
            return replace(options, read_only_non_recursive=True)
        case "readonly":
            return replace(options, read_only_force_recursive=True)
        case _:
            raise InvalidRequestError(
                f'"{value}" is not one of enabled, disabled, writable, readonly'
            )


def _octal(text: str) -> int:
    try:
        return int(text, 8)
    except ValueError:
        raise InvalidRequestError(f'"{text}" is not an octal mode; write 1777') from None


def _with_pair(pairs: Any, text: str) -> dict[str, str]:
    key, value = parse_pair(text)
    return {**pairs, key: value}


_MOUNT_KEYS: dict[str, _MountReader] = {
    "type": _field("type", lambda text: _choice("type", MountType, text.lower())),
    **dict.fromkeys(("source", "src"), _field("source")),
    **dict.fromkeys(("target", "dst", "destination"), _field("target")),
    **dict.fromkeys(("readonly", "ro"), _field("read_only", _truth)),
    "consistency": _field("consistency"),
    "bind-propagation": _bind(lambda options, value: replace(options, propagation=value)),
    "bind-nonrecursive": _bind(
        lambda options, value: replace(options, non_recursive=_truth(value))
    ),
    "bind-recursive": _bind(_recursive),
    "bind-create-src": _bind(
        lambda options, value: replace(options, create_mountpoint=_truth(value))
    ),
    "volume-nocopy": _volume(lambda options, value: replace(options, no_copy=_truth(value))),
    "volume-subpath": _volume(lambda options, value: replace(options, subpath=value)),
    "volume-driver": _volume(lambda options, value: replace(options, driver=value)),
    "volume-opt": _volume(
        lambda options, value: replace(
            options, driver_options=_with_pair(options.driver_options, value)
        )
    ),
    "volume-label": _volume(
        lambda options, value: replace(options, labels=_with_pair(options.labels, value))
    ),
    "tmpfs-size": _tmpfs(lambda options, value: replace(options, size_bytes=parse_memory(value))),
    "tmpfs-mode": _tmpfs(lambda options, value: replace(options, mode=_octal(value))),
}
_MOUNT_SWITCHES: Sequence[str] = (
    "readonly", "ro", "bind-nonrecursive", "bind-create-src", "volume-nocopy",
)  # fmt: skip
