"""Turn a task into the body of an Engine's `POST /containers/create`. Pure.

Duty: container name, labels, environment, templates, and everything of a `TaskSpec` that the
Engine enforces. Fields of a `TaskSpec` that this file leaves out on purpose are `NOT_IN_BODY`.
Not here: the host's part of the body (translate_host), reading containers back (seen), the call.
Invariants (tests/unit/nodeagent/runtime/test_translate.py): one golden case per field, and a test
that fails when a field has none; the Engine never restarts a container, the agent does.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from berth.model.defaults import effective_stop_grace_s
from berth.model.service import ContainerSpec, HealthCheck, PortSpec
from berth.model.template import TemplateValues, expand_template
from nodeagent.runtime.networks import JoinedNetwork, endpoint_config, networks_label
from nodeagent.runtime.port import RuntimeTask
from nodeagent.runtime.translate_files import PlacedFile, file_mounts
from nodeagent.runtime.translate_host import EngineTraits, host_config

LABEL_CLUSTER = "berth.cluster"
LABEL_NODE = "berth.node"
LABEL_SERVICE = "berth.service"
LABEL_TASK = "berth.task"
LABEL_SLOT = "berth.slot"
LABEL_EPOCH = "berth.epoch"
_SWARM = "com.docker.swarm."

NOT_IN_BODY: Mapping[str, str] = {
    "restart": "the agent and the leader restart, not the Engine",
    "placement": "it has done its work when a node was chosen",
    "force_update": "it only makes two specs differ",
    "configs": "files that are written before (task_files); the body has their mounts",
    "secrets": "files that are written before (task_files); the body has their mounts",
}


@dataclass(frozen=True, slots=True)
class CreateCall:
    """One call to make a container: its name and the JSON body."""

    name: str
    body: dict[str, Any]


def container_name(task: RuntimeTask) -> str:
    """Return Swarm's name: `service.slot.task`, with the node for a global service's slot."""
    return f"{task.service_name}.{_slot_text(task)}.{task.task_id}"


def to_create_call(
    task: RuntimeTask,
    image: str,
    engine: EngineTraits,
    files: Sequence[PlacedFile] = (),
    networks: Sequence[JoinedNetwork] = (),
) -> CreateCall:
    """Return the call that makes `task`'s container from `image`, in the first of `networks`.

    An Engine before API 1.44 takes one network with the call; the others are joined after it.

    Raises:
        InvalidRequestError: a template cannot be filled in.
    """
    spec = task.task.container
    values = template_values(task)
    body: dict[str, Any] = {
        "Image": image,
        "Env": list(_environment(task, values)),
        "Labels": _labels(task),
        "StopTimeout": math.ceil(effective_stop_grace_s(spec)),
        "Tty": spec.tty,
        "OpenStdin": spec.open_stdin,
        **_process(spec, values),
        "HostConfig": host_config(task, values, engine),
    }
    if files:
        config = body["HostConfig"]
        config["Mounts"] = [*config.get("Mounts", []), *file_mounts(files)]
    if exposed := _exposed_ports(task.endpoint.ports):
        body["ExposedPorts"] = exposed
    if networks:
        body["Labels"] |= networks_label(networks)
        body["HostConfig"]["NetworkMode"] = networks[0].engine_id
        endpoints = {networks[0].engine_id: endpoint_config(networks[0])}
        body["NetworkingConfig"] = {"EndpointsConfig": endpoints}
    if spec.health_check is not None:
        body["Healthcheck"] = _health_check(spec.health_check)
    return CreateCall(container_name(task), body)


def template_values(task: RuntimeTask) -> TemplateValues:
    """Return what the templates of `task` are filled with."""
    os, _, architecture = task.node_platform.partition("/")
    return TemplateValues(
        service_id=task.service_id,
        service_name=task.service_name,
        service_labels=task.service_labels,
        node_id=task.node_id,
        node_hostname=task.node_name,
        node_os=os,
        node_architecture=architecture.partition("/")[0],
        task_id=task.task_id,
        task_name=container_name(task),
        task_slot=_slot_text(task),
    )


def _slot_text(task: RuntimeTask) -> str:
    return task.node_id if task.is_global else str(task.slot)


def _process(spec: ContainerSpec, values: TemplateValues) -> dict[str, Any]:
    """Return what runs and as whom; what the spec leaves open is left to the image."""
    said: dict[str, Any] = {
        "Entrypoint": list(spec.command),
        "Cmd": list(spec.args),
        "Hostname": expand_template(spec.hostname, values),
        "User": spec.user,
        "WorkingDir": spec.workdir,
        "StopSignal": spec.stop_signal,
    }
    return {key: value for key, value in said.items() if value}


def _environment(task: RuntimeTask, values: TemplateValues) -> Iterator[str]:
    """Yield the spec's variables, then Berth's own, which nothing may override."""
    own = {
        "BERTH_EPOCH": str(task.epoch),
        "BERTH_TASK_ID": task.task_id,
        "BERTH_NODE_ID": task.node_id,
    }
    for kind, granted in task.granted:
        own[f"DOCKER_RESOURCE_{kind.upper()}"] = ",".join(granted)
    for entry in task.task.container.env:
        name, equals, value = entry.partition("=")
        if name not in own:
            # As in Swarm, only the value is a template. No "=": the image's variable is unset.
            yield f"{name}={expand_template(value, values)}" if equals else name
    yield from (f"{name}={value}" for name, value in own.items())


def _labels(task: RuntimeTask) -> dict[str, str]:
    name = container_name(task)
    return {
        **task.task.container.labels,
        LABEL_CLUSTER: task.cluster_id,
        LABEL_NODE: task.node_id,
        LABEL_SERVICE: task.service_id,
        LABEL_TASK: task.task_id,
        LABEL_SLOT: str(task.slot),
        LABEL_EPOCH: str(task.epoch),
        f"{_SWARM}node.id": task.node_id,
        f"{_SWARM}service.id": task.service_id,
        f"{_SWARM}service.name": task.service_name,
        f"{_SWARM}task": "",  # Swarm sets it empty; tools filter on its presence.
        f"{_SWARM}task.id": task.task_id,
        f"{_SWARM}task.name": name,
    }


def _exposed_ports(ports: Sequence[PortSpec]) -> dict[str, dict[str, str]]:
    """Return every port of the service: exposing only documents, binding is the host's part."""
    return {f"{port.target_port}/{port.protocol}": {} for port in ports}


def _health_check(check: HealthCheck) -> dict[str, Any]:
    """Return the override of the image's check; what is left out is inherited from the image."""
    said: dict[str, Any] = {
        "Test": list(check.test),
        "Interval": _nanoseconds(check.interval_s),
        "Timeout": _nanoseconds(check.timeout_s),
        "StartPeriod": _nanoseconds(check.start_period_s),
        "StartInterval": _nanoseconds(check.start_interval_s),
        "Retries": check.retries,
    }
    return {key: value for key, value in said.items() if value}


def _nanoseconds(seconds: float | None) -> int:
    return 0 if seconds is None else round(seconds * 1_000_000_000)
