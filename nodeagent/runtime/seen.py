"""Read an Engine's answers back: containers, images, the machine. Pure.

Duty: inspect JSON -> `SeenContainer`; image JSON -> digests and platform; info JSON -> facts.
Not here: the calls; what the agent concludes from what is seen (nodeagent.core).
Invariants (tests/unit/nodeagent/runtime/test_seen.py): a container that has not ended has no exit
code; the Engine's "year 1" becomes 0.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from berth.errors import InvalidRequestError
from berth.model.ids import TaskId
from berth.model.image import ImageReference, normalised_platform, platform_text
from berth.model.node import NodeDescription
from berth.model.resources import NANO_CPUS_PER_CPU, NodeResources
from berth.model.service import Platform
from nodeagent.runtime.networks import seen_addresses
from nodeagent.runtime.port import ContainerState, Health, SeenContainer
from nodeagent.runtime.translate import LABEL_TASK

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")
_ENDED = (ContainerState.EXITED, ContainerState.DEAD)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an Engine knows of one image; `digests` has its names as `name@sha256:...`."""

    image_id: str
    platform: str
    size_bytes: int
    digests: tuple[str, ...]

    def digest_for(self, reference: str) -> str:
        """Return the repo digest that `reference` stands for, or "" where there is none."""
        try:
            wanted = ImageReference.from_text(reference)
        except InvalidRequestError:  # An image ID: no name to look under.
            return ""
        if wanted.digest:
            return wanted.digest
        names = (text.partition("@") for text in self.digests)
        return next((digest for name, _, digest in names if name == wanted.familiar_name), "")


def image_facts(document: Mapping[str, Any]) -> ImageFacts:
    """Read the answer of `GET /images/{name}/json`."""
    platform = Platform(
        os=document.get("Os") or "",
        architecture=document.get("Architecture") or "",
        variant=document.get("Variant") or "",
    )
    return ImageFacts(
        image_id=document["Id"],
        platform=platform_text(normalised_platform(platform)),
        size_bytes=document.get("Size") or 0,
        digests=tuple(document.get("RepoDigests") or ()),
    )


def seen_container(document: Mapping[str, Any], image: ImageFacts | None) -> SeenContainer:
    """Read the answer of `GET /containers/{id}/json`; `image` is None where it is gone."""
    state = document["State"]
    name = ContainerState(state["Status"])
    network = document.get("NetworkSettings") or {}
    labels = document["Config"].get("Labels") or {}
    reference = document["Config"].get("Image") or ""
    started_at = unix_seconds(state.get("StartedAt"))
    finished_at = unix_seconds(state.get("FinishedAt"))
    health = (state.get("Health") or {}).get("Status") or Health.NONE.value
    return SeenContainer(
        container_id=document["Id"],
        task_id=TaskId(labels.get(LABEL_TASK, "")),
        state=name,
        health=Health(health),
        exit_code=state.get("ExitCode") if name in _ENDED else None,
        error=state.get("Error") or "",
        oom_killed=bool(state.get("OOMKilled")),
        pid=state.get("Pid") or 0,
        image_digest=image.digest_for(reference) if image else "",
        image_id=document.get("Image") or "",
        platform=image.platform if image else "",
        started_at=started_at,
        # The Engine keeps the last end of a container that runs again; and it notes a start late,
        # so that a quick container may seem to end before it began.
        finished_at=max(finished_at, started_at) if name in _ENDED else 0.0,
        ports=_bound_ports(network.get("Ports") or {}),
        addresses=seen_addresses(network.get("Networks") or {}, labels),
        labels=labels,
    )


def _bound_ports(
    ports: Mapping[str, Sequence[Mapping[str, str]] | None],
) -> tuple[tuple[str, int, int], ...]:
    """Return (protocol, container port, host port) once each: IPv4 and IPv6 are bound apart."""
    bound = set()
    for key, bindings in ports.items():
        port, _, protocol = key.partition("/")
        for binding in bindings or ():
            bound.add((protocol or "tcp", int(port), int(binding["HostPort"])))
    return tuple(sorted(bound))


def unix_seconds(text: str | None) -> float:
    """Return Unix seconds of an RFC 3339 text; 0 where it is absent or in the year 1."""
    return unix_nanoseconds(text) / 1e9 if text else 0.0


def unix_nanoseconds(text: str) -> int:
    """Return Unix nanoseconds of an RFC 3339 text, exactly; 0 for the year 1.

    Raises:
        ValueError: it is no such text.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is not a time as RFC 3339 writes it')
    if match[1].startswith("0001-"):
        return 0
    zone = "+00:00" if match[3] == "Z" else match[3]
    moment = datetime.fromisoformat(match[1] + zone).astimezone(UTC)
    fraction = (match[2] or "").ljust(9, "0")[:9]
    return int(moment.timestamp()) * 1_000_000_000 + int(fraction)


def node_description(
    info: Mapping[str, Any],
    *,
    node_name: str,
    address: str,
    resources: NodeResources | None,
    generic: NodeResources,
) -> NodeDescription:
    """Read the answer of `GET /info`.

    Args:
        info: the answer.
        node_name: what the node is called; the machine's own name is not asked.
        address: where other machines reach it.
        resources: what it offers instead of the whole machine, or None.
        generic: generic resources from the agent's settings; its other fields are not used.
    """
    plugins = info.get("Plugins") or {}
    offered = resources or NodeResources(
        nano_cpus=(info.get("NCPU") or 0) * NANO_CPUS_PER_CPU,
        memory_bytes=info.get("MemTotal") or 0,
    )
    return NodeDescription(
        hostname=node_name,
        address=address,
        platform=normalised_platform(
            Platform(os=info.get("OSType") or "", architecture=info.get("Architecture") or "")
        ),
        resources=NodeResources(
            nano_cpus=offered.nano_cpus,
            memory_bytes=offered.memory_bytes,
            generic_counts={**generic.generic_counts, **offered.generic_counts},
            generic_names={**generic.generic_names, **offered.generic_names},
        ),
        engine_version=info.get("ServerVersion") or "",
        engine_labels=_pairs(info.get("Labels") or ()),
        volume_plugins=tuple(sorted(plugins.get("Volume") or ())),
        network_plugins=tuple(sorted(plugins.get("Network") or ())),
        log_plugins=tuple(sorted(plugins.get("Log") or ())),
    )


def _pairs(labels: Sequence[str]) -> dict[str, str]:
    return {key: value for key, _, value in (label.partition("=") for label in labels)}
