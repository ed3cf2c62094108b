"""What holds where a spec does not say: Swarm's defaults, in one place.

Each `effective_*` returns a value without None. Stored specs keep what the user said.
"""

from dataclasses import dataclass, replace

from berth.model.service import (
    ContainerSpec,
    FailureAction,
    PlacementStrategy,
    RestartCondition,
    RestartPolicy,
    ServiceMode,
    TaskSpec,
    UpdateOrder,
    UpdatePolicy,
)

STOP_GRACE_S = 10.0
STOP_MARGIN_S = 5.0
"""How much longer than the grace a stop may take before the leader stops waiting for it."""

RESTART_DELAY_S = 5.0
RESTART_BACKOFF_MAX_S = 60.0
"""Back-off stretches a restart delay to at most this, or to the policy's own if that is longer."""


@dataclass(frozen=True, slots=True)
class EffectiveRestart:
    """A restart policy with nothing left open; `window_s` 0 = all attempts count."""

    condition: RestartCondition
    delay_s: float
    max_attempts: int  # 0 = unlimited
    window_s: float


@dataclass(frozen=True, slots=True)
class EffectiveUpdate:
    """An update policy with nothing left open; `parallelism` 0 = all at once."""

    parallelism: int
    delay_s: float
    monitor_s: float
    failure_action: FailureAction
    max_failure_ratio: float
    order: UpdateOrder


def effective_restart(policy: RestartPolicy) -> EffectiveRestart:
    """Fill in Swarm's defaults: any, 5 s, unlimited, no window."""
    return EffectiveRestart(
        condition=policy.condition or RestartCondition.ANY,
        delay_s=RESTART_DELAY_S if policy.delay_s is None else policy.delay_s,
        max_attempts=policy.max_attempts or 0,
        window_s=policy.window_s or 0.0,
    )


def job_restart(policy: RestartPolicy) -> RestartPolicy:
    """Return the policy of a job's tasks: what finished well is never run again."""
    if policy.condition in (None, RestartCondition.ANY):
        return replace(policy, condition=RestartCondition.ON_FAILURE)
    return policy


def effective_update(policy: UpdatePolicy | None) -> EffectiveUpdate:
    """Fill in Swarm's defaults: one at a time, no delay, 5 s monitor, pause, 0, stop-first."""
    policy = policy or UpdatePolicy()
    return EffectiveUpdate(
        parallelism=1 if policy.parallelism is None else policy.parallelism,
        delay_s=policy.delay_s or 0.0,
        monitor_s=5.0 if policy.monitor_s is None else policy.monitor_s,
        failure_action=policy.failure_action or FailureAction.PAUSE,
        max_failure_ratio=policy.max_failure_ratio or 0.0,
        order=policy.order or UpdateOrder.STOP_FIRST,
    )


def effective_replicas(mode: ServiceMode) -> int:
    """Return the wanted number of slots of a replicated service: 1 where it does not say."""
    return 1 if mode.replicas is None else mode.replicas


def effective_concurrency(mode: ServiceMode) -> int:
    """Return how many slots of a replicated job may be at work at once: 1 if it does not say."""
    return 1 if mode.max_concurrent is None else mode.max_concurrent


def effective_completions(mode: ServiceMode) -> int:
    """Return how many slots of a replicated job must complete: as many as may work at once."""
    return effective_concurrency(mode) if mode.total_completions is None else mode.total_completions


def effective_stop_grace_s(container: ContainerSpec) -> float:
    """Return how long a container may take to stop before it is killed."""
    return STOP_GRACE_S if container.stop_grace_s is None else container.stop_grace_s


_SPREAD = PlacementStrategy.SPREAD


def effective_strategy(task: TaskSpec) -> PlacementStrategy:
    """Return how nodes are ranked: spread where the spec does not say."""
    return task.placement.strategy or _SPREAD
