"""All metrics of one agent. Names and labels are a contract: see docs/metrics.md."""

from collections.abc import Callable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from berth.model.task import TaskState
from berth.tls_metrics import CertificateMetrics
from nodeagent.runtime.observer import CallOutcome, PullOutcome

_CALL_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_PULL_BUCKETS_S = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_JOURNAL_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0)
_LAG_BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

REFUSAL_REASONS = ("stale_epoch", "foreign_cluster", "gap", "template", "unexpected")


class AgentMetrics:
    """Metrics of one agent: `AgentObserver` and `RuntimeObserver` in one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._connect_metrics(registry)
        self._engine_metrics(registry)
        self._process_metrics(registry)

    def _connect_metrics(self, registry: CollectorRegistry) -> None:
        self.sessions = Counter(
            "berth_agent_sessions_total",
            "Sessions that a leader has opened with this agent.",
            registry=registry,
        )
        self.connected = Gauge(
            "berth_agent_connected",
            "1 while a leader has a session with this agent, else 0.",
            registry=registry,
        )
        self.epoch = Gauge(
            "berth_agent_epoch",
            "Epoch of the newest leader that this agent has obeyed.",
            registry=registry,
        )
        self.engine_up = Gauge(
            "berth_agent_engine_up",
            "1 while the Docker Engine answers, else 0.",
            registry=registry,
        )
        self.refused = Counter(
            "berth_agent_refused_messages_total",
            "Messages of schedulers that this agent did not obey, by reason.",
            ["reason"],
            registry=registry,
        )
        for reason in REFUSAL_REASONS:
            self.refused.labels(reason)

    def _engine_metrics(self, registry: CollectorRegistry) -> None:
        self.engine_calls = Histogram(
            "berth_agent_engine_call_seconds",
            "Time that calls to the Docker Engine took, waiting for a free thread included.",
            ["call", "outcome"],
            buckets=_CALL_BUCKETS_S,
            registry=registry,
        )
        self.pull_time = Histogram(
            "berth_agent_pull_seconds",
            "Time that pulls of images took, whatever their outcome.",
            buckets=_PULL_BUCKETS_S,
            registry=registry,
        )
        self.pulls = Counter(
            "berth_agent_pulls_total",
            "Pulls of images, by outcome.",
            ["outcome"],
            registry=registry,
        )
        for outcome in PullOutcome:
            self.pulls.labels(outcome.value)
        self.pulled_bytes = Counter(
            "berth_agent_pulled_bytes_total",
            "Bytes of image layers that were downloaded.",
            registry=registry,
        )
        self.tasks = Gauge(
            "berth_agent_tasks",
            "Tasks that this agent knows of, by observed state.",
            ["state"],
            registry=registry,
        )
        self.restarts = Counter(
            "berth_agent_restarts_total",
            "Containers that this agent started again by itself, while no leader answered.",
            registry=registry,
        )
        self.failures = Counter(
            "berth_agent_task_failures_total",
            "Tasks that ended badly or could not be started.",
            registry=registry,
        )
        self.swept_containers = Counter(
            "berth_agent_swept_containers_total",
            "Dead containers that were removed because of their age, their number or a full disk.",
            registry=registry,
        )
        self.swept_image_bytes = Counter(
            "berth_agent_swept_image_bytes_total",
            "Bytes of unused images that were removed.",
            registry=registry,
        )

    def _process_metrics(self, registry: CollectorRegistry) -> None:
        self.journal_writes = Histogram(
            "berth_agent_journal_write_seconds",
            "Time that writing the journal took, until it was durable.",
            buckets=_JOURNAL_BUCKETS_S,
            registry=registry,
        )
        self.journal_failures = Counter(
            "berth_agent_journal_failures_total",
            "Writes of the journal that failed; a restart of the agent would know less.",
            registry=registry,
        )
        self.loop_lag = Histogram(
            "berth_event_loop_lag_seconds",
            "How late the event loop woke.",
            buckets=_LAG_BUCKETS_S,
            registry=registry,
        )
        self.certificates = CertificateMetrics(registry)
        self.info = Gauge(
            "berth_agent_info",
            "Always 1; the version of the agent is its label.",
            ["version"],
            registry=registry,
        )

    def watch_tasks(self, counts: Callable[[], Mapping[TaskState, int]]) -> None:
        """Read the number of tasks by state from `counts` at each scrape."""
        for state in TaskState:
            gauge = self.tasks.labels(state.name.lower())
            gauge.set_function(partial(_count_of, counts, state))

    # --- AgentObserver ---------------------------------------------------------------------------

    def session_opened(self, epoch: int) -> None:
        """A leader of this epoch welcomed us."""
        self.sessions.inc()
        self.connected.set(1)
        self.epoch.set(epoch)

    def session_closed(self) -> None:
        """The session ended."""
        self.connected.set(0)

    def engine_seen(self, is_up: bool) -> None:
        """The Docker Engine answers, or does not any more."""
        self.engine_up.set(is_up)

    def message_refused(self, reason: str) -> None:
        """A scheduler's message was not obeyed."""
        self.refused.labels(reason).inc()

    def restarted(self) -> None:
        """A task's container was started again while no leader answered."""
        self.restarts.inc()

    def task_failed(self) -> None:
        """A task ended badly, or could not be started."""
        self.failures.inc()

    def journal_written(self, seconds: float, is_ok: bool) -> None:
        """The journal was written, or could not be."""
        if is_ok:
            self.journal_writes.observe(seconds)
        else:
            self.journal_failures.inc()

    def swept(self, containers: int, image_bytes: int) -> None:
        """A sweep removed dead containers and unused images."""
        self.swept_containers.inc(containers)
        self.swept_image_bytes.inc(image_bytes)

    # --- RuntimeObserver -------------------------------------------------------------------------

    def call(self, name: str, seconds: float, outcome: CallOutcome) -> None:
        """One short call to the Engine ended."""
        self.engine_calls.labels(name, outcome.value).observe(seconds)

    def pull(self, seconds: float, size_bytes: int, outcome: PullOutcome) -> None:
        """One pull ended."""
        self.pulls.labels(outcome.value).inc()
        self.pull_time.observe(seconds)
        self.pulled_bytes.inc(size_bytes)


def _count_of(counts: Callable[[], Mapping[TaskState, int]], state: TaskState) -> float:
    return float(counts()[state])
