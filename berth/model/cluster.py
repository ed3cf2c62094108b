"""Settings of the whole cluster: stored once, told to every agent, changed at run time."""

from dataclasses import dataclass

from berth.errors import Fault, InvalidRequestError


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """How patient the cluster is, and what it keeps. Durations are in seconds.

    `heartbeat_period_s` 0 lets the leader choose by the size of the cluster.
    """

    lost_after_s: float = 5.0
    heartbeat_period_s: float = 0.0
    task_history_limit: int = 5
    orphan_after_s: float = 24 * 3600.0
    agent_restart_grace_s: float = 30.0
    image_gc_age_s: float = 7 * 24 * 3600.0
    dead_container_age_s: float = 24 * 3600.0
    disk_low_percent: int = 15

    def validate(self) -> None:
        """Check ranges and relations.

        Raises:
            InvalidRequestError: lists every fault at once.
        """
        faults = []
        if not 1.0 <= self.lost_after_s <= 3600.0:
            faults.append(Fault("lost_after_s", f"{self.lost_after_s:g} is not within 1..3600"))
        if self.heartbeat_period_s < 0 or self.heartbeat_period_s > self.lost_after_s / 3:
            faults.append(
                Fault(
                    "heartbeat_period_s",
                    f"{self.heartbeat_period_s:g} is not within 0..lost_after_s/3 "
                    f"({self.lost_after_s / 3:g}); 0 lets the leader choose",
                )
            )
        if self.task_history_limit < 0:
            faults.append(Fault("task_history_limit", f"{self.task_history_limit} is negative"))
        if self.orphan_after_s < self.lost_after_s:
            faults.append(Fault("orphan_after_s", "is shorter than lost_after_s"))
        faults += [
            Fault(name, f"{getattr(self, name):g} is negative")
            for name in ("agent_restart_grace_s", "image_gc_age_s", "dead_container_age_s")
            if getattr(self, name) < 0
        ]
        if not 0 <= self.disk_low_percent <= 90:
            faults.append(Fault("disk_low_percent", f"{self.disk_low_percent} is not in 0..90"))
        if faults:
            raise InvalidRequestError.from_faults("cluster settings", faults)
