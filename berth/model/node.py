"""A machine of the cluster: what operators set, what its agent tells, what the leader concludes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from berth.model.ids import NodeId
from berth.model.instant import NO_TIME, Timestamp
from berth.model.resources import NodeResources
from berth.model.service import Platform


class Availability(StrEnum):
    """What operators allow on a node."""

    ACTIVE = "active"
    PAUSE = "pause"  # Keeps its tasks, gets no new ones.
    DRAIN = "drain"  # Its tasks are moved away.


class NodeState(StrEnum):
    """What the leader knows of a node's agent."""

    UNKNOWN = "unknown"  # A new leader has not heard it yet; its tasks count as running.
    READY = "ready"
    DISCONNECTED = "disconnected"  # Its stream broke; not yet lost.
    DOWN = "down"  # Lost: its tasks are replaced.


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """What operators set."""

    labels: Mapping[str, str] = field(default_factory=dict)
    availability: Availability = Availability.ACTIVE
    role: str = "worker"
    name: str = ""


@dataclass(frozen=True, slots=True)
class NodeDescription:
    """What the agent tells of its machine and Engine."""

    hostname: str = ""
    address: str = ""
    platform: Platform = field(default_factory=Platform)
    resources: NodeResources = field(default_factory=NodeResources)
    engine_version: str = ""
    engine_labels: Mapping[str, str] = field(default_factory=dict)
    volume_plugins: tuple[str, ...] = ()
    network_plugins: tuple[str, ...] = ()
    log_plugins: tuple[str, ...] = ()
    agent_version: str = ""
    agent_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels from the agent's own settings; operators' labels of the same key win."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node as it is stored and shown.

    Invariant: `down_since` is set exactly while `state` is DOWN.
    """

    id: NodeId
    spec: NodeSpec = field(default_factory=NodeSpec)
    description: NodeDescription = field(default_factory=NodeDescription)
    state: NodeState = NodeState.UNKNOWN
    message: str = ""
    version: int = 1
    created_at: Timestamp = NO_TIME
    updated_at: Timestamp = NO_TIME
    down_since: Timestamp | None = None
    lost_at: tuple[Timestamp, ...] = ()
    """When it was lost lately, newest last: a node that flaps gets no new work for a while."""
    certified_as: str = ""
    """The name in the certificate that its agent joined with; no other may speak for the node."""
    is_departing: bool = False
    """Its machine is being shut down, by its agent's own word; until the agent joins again."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels for constraints: the agent's own, overridden by the operators'."""
        return {**self.description.agent_labels, **self.spec.labels}

    @property
    def must_be_left(self) -> bool:
        """Whether its tasks must leave it: an operator drains it, or its machine goes down."""
        return self.is_departing or self.spec.availability is Availability.DRAIN

    @property
    def is_open(self) -> bool:
        """Whether it may be given tasks, as far as its operator and its machine go."""
        return not self.is_departing and self.spec.availability is Availability.ACTIVE
