"""What an agent's settings say of its Engine."""

from dataclasses import dataclass, field

from berth.model.resources import NodeResources


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How hard an Engine may be worked, and what the node offers of it.

    `resources` replaces the machine's own CPUs and memory, for several agents that share one
    machine; `generic` adds generic resources from the agent's settings.
    """

    short_calls: int = 8
    parallel_pulls: int = 3
    log_streams: int = 32
    call_timeout_s: float = 60.0
    resources: NodeResources | None = None
    generic: NodeResources = field(default_factory=NodeResources)
