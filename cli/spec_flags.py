"""The flags of `berth service create` and `update`: Swarm's names and meaning, and Berth's own.

Duty: the table of flags, and the pure functions flags -> spec and flags + old spec -> new spec.
Not here: forms of flags (cli.flags), reading values (cli.spec_values), commands (cli.services).
Invariants (tests/unit/cli/test_spec_flags.py): create is update of an empty spec; within one update
what is removed is removed first, so that -rm and -add of the same key replace.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from berth.errors import InvalidRequestError
from berth.model.duration import parse_duration_s
from berth.model.resources import parse_cpus, parse_memory
from berth.model.service import (
    FailureAction,
    PlacementStrategy,
    RestartCondition,
    ServiceSpec,
    UpdateOrder,
)
from cli import spec_values as read
from cli.env_values import read_env_file, with_own_value
from cli.file_flags import file_flags
from cli.flags import (
    Flag,
    ListForm,
    Scope,
    changed,
    list_flags,
    map_flags,
    one_of,
    plain_list,
    scalar,
    switch,
)
from cli.mode_flags import mode_flags, with_job_numbers

_C: Final = "task.container"
_CREATE, _UPDATE = Scope.CREATE, Scope.UPDATE


def _env_name(item: str) -> str:
    return item.partition("=")[0]


def _constraint_key(text: str) -> str:
    return re.sub(r"\s*(==|!=)\s*", r"\1", text.strip())


def _matches_host(line: str, text: str) -> bool:
    address, *names = line.split()
    name, _, wanted = text.partition(":")
    return name in names and wanted in ("", address)


def _matches_port(port: Any, text: str) -> bool:
    return (port.target_port, port.protocol) == read.parse_port_key(text)


_ENV = ListForm(
    lambda text: with_own_value(text, os.environ),
    _env_name,
    lambda item, text: _env_name(item) == text,
)
_HOSTS = ListForm(read.parse_host, lambda line: line, _matches_host)
_ULIMITS = ListForm(
    read.parse_ulimit, lambda ulimit: ulimit.name, lambda ulimit, text: ulimit.name == text
)
_MOUNTS = ListForm(
    read.parse_mount, lambda mount: mount.target, lambda mount, text: mount.target == text
)
_DEVICES = ListForm(
    read.parse_device,
    lambda device: device.container_path,
    lambda device, text: text in (device.container_path, device.host_path),
)
_NETWORKS = ListForm(
    read.parse_network, lambda network: network.target, lambda network, text: network.target == text
)
_PORTS = ListForm(
    read.parse_ports,
    lambda port: (port.published_port, port.target_port, port.protocol),
    _matches_port,
    read.parse_port_key,
)
_CONSTRAINTS = ListForm(
    str, _constraint_key, lambda text, gone: _constraint_key(text) == _constraint_key(gone)
)


def _capability(text: str) -> str:
    name = text.strip().upper()
    return name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}"


def _with_capabilities(wanted: str, other: str) -> Callable[[ServiceSpec, Any], ServiceSpec]:
    """Return a change that puts capabilities into one list and takes them out of the other."""

    def change(spec: ServiceSpec, names: Any) -> ServiceSpec:
        container = spec.task.container
        held = tuple(dict.fromkeys((*getattr(container, wanted), *names)))
        rest = tuple(name for name in getattr(container, other) if name not in names)
        lists: dict[str, Any] = {wanted: held, other: rest}
        found: ServiceSpec = changed(spec, _C, lambda old: replace(old, **lists))
        return found

    return change


def _without_health_check(spec: ServiceSpec, value: bool) -> ServiceSpec:
    if not value:
        return spec
    found: ServiceSpec = changed(spec, f"{_C}.health_check.test", lambda _: ("NONE",))
    return found


def _forced(spec: ServiceSpec, value: bool) -> ServiceSpec:
    found: ServiceSpec = changed(spec, "task.force_update", lambda count: count + int(value))
    return found


def _log_options(spec: ServiceSpec, pairs: Any) -> ServiceSpec:
    found: ServiceSpec = changed(spec, "task.log_driver.options", lambda _: dict(pairs))
    return found


def _with_env_files(spec: ServiceSpec, files: Any) -> ServiceSpec:
    items = [item for file in files for item in file]
    found: ServiceSpec = changed(spec, f"{_C}.env", lambda env: (*env, *items))
    return found


def _policy_flags(name: str) -> Iterator[Flag]:
    what = "an update" if name == "update" else "a rollback"
    actions = "pause|continue" + ("|rollback" if name == "update" else "")
    yield scalar(f"--{name}-parallelism", f"{name}.parallelism", read.parse_count,
                 f"Tasks that {what} replaces at once (1); 0 = all", metavar="N")  # fmt: skip
    yield scalar(f"--{name}-delay", f"{name}.delay_s", parse_duration_s,
                 f"Pause of {what} between replacements (0s)", metavar="DURATION")  # fmt: skip
    yield scalar(f"--{name}-monitor", f"{name}.monitor_s", parse_duration_s,
                 "How long a new task is watched for failure (5s)", metavar="DURATION")  # fmt: skip
    yield scalar(f"--{name}-failure-action", f"{name}.failure_action", one_of(FailureAction),
                 f"What {what} does when too many tasks fail (pause)", metavar=actions)  # fmt: skip
    yield scalar(f"--{name}-max-failure-ratio", f"{name}.max_failure_ratio", read.parse_ratio,
                 f"Share of failed tasks that {what} bears, 0..1 (0)", metavar="RATIO")  # fmt: skip
    yield scalar(f"--{name}-order", f"{name}.order", one_of(UpdateOrder),
                 f"Order of {what} (stop-first)", metavar="stop-first|start-first")  # fmt: skip


def _process_flags() -> Iterator[Flag]:
    yield Flag(("--env-file",), _with_env_files, "Variables from a file; may be repeated",
               read_env_file, "FILE", True, _CREATE)  # fmt: skip
    yield from list_flags("env", f"{_C}.env", _ENV, "environment variable", metavar="NAME=VALUE",
                          removal_metavar="NAME", short="-e")  # fmt: skip
    yield scalar("--entrypoint", f"{_C}.command", read.parse_words,
                 "Replace the image's ENTRYPOINT", metavar="COMMAND")  # fmt: skip
    yield scalar(
        "--image",
        f"{_C}.image",
        str,
        "Another image; its tag is looked up again",
        metavar="IMAGE",
        scope=_UPDATE,
    )
    yield scalar("--args", f"{_C}.args", read.parse_words, "Arguments of the entrypoint",
                 metavar="COMMAND", scope=_UPDATE)  # fmt: skip
    yield scalar("--workdir -w", f"{_C}.workdir", str, "Working directory", metavar="DIR")
    yield scalar("--user -u", f"{_C}.user", str, "User, by name or number", metavar="USER[:GROUP]")
    yield from list_flags("group", f"{_C}.groups", plain_list(), "supplementary group",
                          metavar="GROUP")  # fmt: skip
    yield scalar("--hostname", f"{_C}.hostname", str, "Host name of the container", metavar="NAME")
    yield switch("--tty -t", f"{_C}.tty", "Give the container a terminal")
    yield switch("--read-only", f"{_C}.read_only", "Mount the root file system read-only")
    yield switch("--init", f"{_C}.init", "Run a small init as the first process")
    yield scalar("--isolation", f"{_C}.isolation", str, "Isolation technology (Windows)")
    yield scalar("--stop-signal", f"{_C}.stop_signal", str, "Signal that asks it to stop",
                 metavar="SIGNAL")  # fmt: skip
    yield scalar("--stop-grace-period", f"{_C}.stop_grace_s", parse_duration_s,
                 "Time to stop before it is killed (10s)", metavar="DURATION")  # fmt: skip
    yield from map_flags("label", "labels", read.parse_pair, "label of the service", short="-l")
    yield from map_flags("container-label", f"{_C}.labels", read.parse_pair,
                         "label of the containers")  # fmt: skip


def _health_flags() -> Iterator[Flag]:
    path = f"{_C}.health_check"
    yield Flag(("--no-healthcheck",), _without_health_check, "Drop the image's health check")
    yield scalar("--health-cmd", f"{path}.test", lambda text: ("CMD-SHELL", text),
                 "Command that checks health", metavar="COMMAND")  # fmt: skip
    for name, field, words in (
        ("interval", "interval_s", "Time between checks"),
        ("timeout", "timeout_s", "Longest time of one check"),
        ("start-period", "start_period_s", "Time in which failures do not count"),
        ("start-interval", "start_interval_s", "Time between checks in the start period"),
    ):
        yield scalar(f"--health-{name}", f"{path}.{field}", parse_duration_s, words,
                     metavar="DURATION")  # fmt: skip
    yield scalar("--health-retries", f"{path}.retries", read.parse_count,
                 "Failures in a row that make it unhealthy", metavar="N")  # fmt: skip


def _host_flags() -> Iterator[Flag]:
    yield from list_flags(
        "mount",
        f"{_C}.mounts",
        _MOUNTS,
        "mount",
        metavar="type=TYPE,source=S,target=T",
        removal_metavar="TARGET",
    )
    yield from list_flags("host", f"{_C}.hosts", _HOSTS, "line of the hosts file",
                          metavar="NAME:ADDRESS", removal_metavar="NAME[:ADDRESS]")  # fmt: skip
    yield from list_flags("dns", f"{_C}.dns.nameservers", plain_list(), "DNS server",
                          metavar="ADDRESS")  # fmt: skip
    yield from list_flags("dns-option", f"{_C}.dns.options", plain_list(), "resolver option")
    yield from list_flags("dns-search", f"{_C}.dns.search", plain_list(), "DNS search domain",
                          metavar="DOMAIN")  # fmt: skip
    yield Flag(("--cap-drop",), _with_capabilities("capabilities_drop", "capabilities_add"),
               "Take a capability away; may be repeated", _capability, "CAPABILITY",
               True)  # fmt: skip
    yield Flag(("--cap-add",), _with_capabilities("capabilities_add", "capabilities_drop"),
               "Give a capability; may be repeated", _capability, "CAPABILITY", True)  # fmt: skip
    yield from map_flags("sysctl", f"{_C}.sysctls", read.parse_pair, "kernel setting")
    yield from list_flags("ulimit", f"{_C}.ulimits", _ULIMITS, "process limit",
                          metavar="NAME=SOFT[:HARD]", removal_metavar="NAME")  # fmt: skip
    yield scalar("--oom-score-adj", f"{_C}.oom_score_adj", read.parse_integer,
                 "How soon it is killed when memory is short", metavar="-1000..1000")  # fmt: skip
    yield from list_flags("device", f"{_C}.devices", _DEVICES, "device of the node",
                          metavar="HOST[:INSIDE[:rwm]]", removal_metavar="PATH")  # fmt: skip
    yield switch("--privileged", f"{_C}.privileged", "Give the container all of the node's powers")
    yield scalar("--gpus", f"{_C}.gpus", read.parse_gpus, "GPUs: all, a number, or device=ID",
                 metavar="GPUS")  # fmt: skip
    yield scalar("--shm-size", f"{_C}.shm_size_bytes", parse_memory, "Size of /dev/shm",
                 metavar="BYTES")  # fmt: skip


def _resource_flags() -> Iterator[Flag]:
    yield scalar("--limit-cpu", "task.limits.nano_cpus", parse_cpus, "Most CPUs it may use",
                 metavar="CPUS")  # fmt: skip
    yield scalar("--limit-memory", "task.limits.memory_bytes", parse_memory,
                 "Most memory it may use", metavar="BYTES")  # fmt: skip
    yield scalar("--limit-pids", "task.limits.pids", read.parse_integer,
                 "Most processes it may have; 0 = unlimited", metavar="N")  # fmt: skip
    yield scalar("--reserve-cpu", "task.reservation.nano_cpus", parse_cpus,
                 "CPUs set aside on its node", metavar="CPUS")  # fmt: skip
    yield scalar("--reserve-memory", "task.reservation.memory_bytes", parse_memory,
                 "Memory set aside on its node", metavar="BYTES")  # fmt: skip
    yield from map_flags("generic-resource", "task.reservation.generic", read.parse_quantity,
                         "generic resource set aside", metavar="KIND=COUNT")  # fmt: skip


def _placement_flags() -> Iterator[Flag]:
    path = "task.placement"
    yield from list_flags("constraint", f"{path}.constraints", _CONSTRAINTS,
                          "condition that nodes must meet", metavar="KEY==VALUE")  # fmt: skip
    yield from list_flags("placement-pref", f"{path}.spread_preferences",
                          plain_list(read.parse_preference), "label to spread tasks over",
                          metavar="spread=LABEL")  # fmt: skip
    yield scalar("--replicas-max-per-node", f"{path}.max_replicas_per_node", read.parse_count,
                 "Most tasks of the service on one node; 0 = no cap", metavar="N")  # fmt: skip
    yield scalar(
        "--strategy",
        f"{path}.strategy",
        one_of(PlacementStrategy),
        "Spread over nodes, or fill one before the next (spread)",
        metavar="spread|binpack",
    )


def _service_flags() -> Iterator[Flag]:
    yield scalar(
        "--name",
        "name",
        str,
        "Name of the service (one after its image)",
        metavar="NAME",
        scope=_CREATE,
    )
    yield from mode_flags()
    yield scalar(
        "--restart-condition",
        "task.restart.condition",
        one_of(RestartCondition),
        "After which end a task is replaced (any)",
        metavar="none|on-failure|any",
    )
    yield scalar("--restart-delay", "task.restart.delay_s", parse_duration_s,
                 "Pause before a restart (5s)", metavar="DURATION")  # fmt: skip
    yield scalar("--restart-max-attempts", "task.restart.max_attempts", read.parse_count,
                 "Most restarts of a slot; 0 = unlimited (0)", metavar="N")  # fmt: skip
    yield scalar("--restart-window", "task.restart.window_s", parse_duration_s,
                 "Time in which restarts count; 0s = ever (0s)", metavar="DURATION")  # fmt: skip
    yield from _policy_flags("update")
    yield from _policy_flags("rollback")
    yield scalar("--log-driver", "task.log_driver.name", str, "Log driver", metavar="DRIVER")
    yield Flag(("--log-opt",), _log_options, "Option of the log driver", read.parse_pair,
               "KEY=VALUE", True)  # fmt: skip
    yield from list_flags("network", "task.networks", _NETWORKS, "network", metavar="NETWORK")
    yield from list_flags("publish", "endpoint.ports", _PORTS,
                          "published port, on each task's own node",
                          metavar="PUBLISHED:TARGET[/PROTOCOL]", removal_metavar="TARGET",
                          short="-p")  # fmt: skip
    yield scalar("--endpoint-mode", "endpoint.mode", str, "vip or dnsrr", metavar="MODE")
    yield Flag(("--force",), _forced, "Replace every task even if nothing changed", scope=_UPDATE)


FLAGS: Final[tuple[Flag, ...]] = (
    *_service_flags(),
    *_process_flags(),
    *_health_flags(),
    *_host_flags(),
    *_resource_flags(),
    *_placement_flags(),
    *file_flags(),
)
_BY_KEY: Final = {flag.key: flag for flag in FLAGS}


def given_flags(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flags among a command's `values` that its user gave."""
    given = {key: value for key, value in values.items() if key in _BY_KEY and value is not None}
    # click says () of a repeatable flag that was not given.
    return {key: value for key, value in given.items() if value != () or not _BY_KEY[key].is_many}


def spec_from_flags(image: str, args: Sequence[str], given: Mapping[str, Any]) -> ServiceSpec:
    """Return the spec that `create` sends.

    Args:
        image: as the user wrote it.
        args: the arguments after it.
        given: values by the flag's key.

    Raises:
        InvalidRequestError: two flags contradict each other.
    """
    spec: ServiceSpec = changed(
        ServiceSpec(), _C, lambda container: replace(container, image=image, args=tuple(args))
    )
    return updated_spec(spec, given)


def updated_spec(spec: ServiceSpec, given: Mapping[str, Any]) -> ServiceSpec:
    """Return `spec` as the flags `given` change it.

    Raises:
        InvalidRequestError: two flags contradict each other.
    """
    health = [key for key in given if key.startswith("health_")]
    if given.get("no_healthcheck") and health:
        name = _BY_KEY[health[0]].names[0]
        raise InvalidRequestError(f"--no-healthcheck and {name} contradict each other; give one")
    for flag in FLAGS:
        if flag.key in given:
            spec = flag.change(spec, given[flag.key])
    return replace(spec, mode=with_job_numbers(spec.mode))
