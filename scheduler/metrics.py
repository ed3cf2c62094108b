"""All metrics of one scheduler process. Names and labels are a contract: see docs/metrics.md.

Duty: what the leader, the store and the election tell (observers), and what is counted in the
leader's memory when somebody looks (a collector). Not here: counting (scheduler.census), serving
/metrics (berth.observability).

Counts of the cluster are shown by the leader only, so that a sum over schedulers is true. They are
at most `CENSUS_AGE_S` old: a scrape must not hold the leader up.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from berth.clock import Clock, SystemClock
from berth.model.instant import Instant, after
from berth.model.task import TaskState
from berth.tls_metrics import CertificateMetrics
from scheduler.census import Census, count_now, take_census
from scheduler.core.step import TurnReport
from scheduler.distribution import Distribution
from scheduler.leader import Leader
from scheduler.store.port import StoreHealth, StoreState

CENSUS_AGE_S: Final = 5.0
_SLICE_PAUSE_S: Final = 0.002

_FAST: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_COMMIT: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_START: Final = (0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_LATE: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0)
_SILENT: Final = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 16.0, 20.0, 31.0, 45.0, 60.0, 120.0)
_CHANGES: Final = (1, 2, 5, 10, 20, 50, 100, 127)


class LocalLeader(Protocol):
    """Where the collector finds the leader of this process."""

    @property
    def local(self) -> Leader | None:
        """The leader while this process leads."""
        ...


class StoreMetrics:
    """What the store tells: a `StoreObserver`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._commit_s = Histogram(
            "berth_store_commit_seconds",
            "Time from the first change queued into a transaction until it is durable.",
            buckets=_COMMIT,
            registry=registry,
        )
        self._commit_changes = Histogram(
            "berth_store_commit_changes",
            "Puts and deletes in one transaction.",
            buckets=_CHANGES,
            registry=registry,
        )
        self._commit_bytes = Counter(
            "berth_store_commit_bytes_total", "Bytes of durable transactions.", registry=registry
        )
        self._in_flight = Gauge(
            "berth_store_commits_in_flight",
            "Transactions sent and not answered yet.",
            registry=registry,
        )
        self._errors = Counter(
            "berth_store_errors_total",
            "Failed calls to etcd by kind.",
            ["kind"],
            registry=registry,
        )

    def committed(self, changes: int, size_bytes: int, duration_s: float) -> None:
        """Note one durable transaction."""
        self._commit_s.observe(duration_s)
        self._commit_changes.observe(changes)
        self._commit_bytes.inc(size_bytes)

    def store_error(self, kind: str) -> None:
        """Note one failed call."""
        self._errors.labels(kind).inc()

    def in_flight(self, count: int) -> None:
        """Note how many transactions are under way."""
        self._in_flight.set(count)


class SchedulerMetrics:
    """See the module. A `ReplicaObserver`; its `store` is a `StoreObserver`."""

    def __init__(self, registry: CollectorRegistry, clock: Clock | None = None) -> None:
        self._registry = registry
        self._clock = clock or SystemClock()
        self._collector: ClusterCollector | None = None
        self.store = StoreMetrics(registry)
        self.certificates = CertificateMetrics(registry)
        self.loop_lag = Histogram(
            "berth_event_loop_lag_seconds",
            "How late the event loop woke.",
            buckets=_FAST,
            registry=registry,
        )
        self._elections = Counter(
            "berth_elections_total",
            "Leaderships of this scheduler by what happened to them.",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("won", "resigned", "superseded", "failed"):
            self._elections.labels(outcome)
        self._turn_s = Histogram(
            "berth_turn_seconds",
            "Time of one turn of the leader.",
            buckets=_FAST,
            registry=registry,
        )
        self._placement_s = Histogram(
            "berth_placement_seconds",
            "Time of turns that placed tasks, divided by the tasks placed.",
            buckets=(1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 5e-2),
            registry=registry,
        )
        self._placements = Counter("berth_placements_total", "Tasks placed.", registry=registry)
        self._lost = Counter("berth_nodes_lost_total", "Nodes declared lost.", registry=registry)
        self._detection_s = Histogram(
            "berth_node_detection_seconds",
            "How long a node had not been heard when it was declared lost.",
            buckets=_SILENT,
            registry=registry,
        )
        self._start_s = Distribution(
            "berth_task_start_seconds",
            "Time from a task's creation until it runs.",
            buckets=_START,
            registry=registry,
        )
        self._opened = Counter(
            "berth_agent_sessions_opened_total", "Sessions begun by agents.", registry=registry
        )
        self._closed = Counter(
            "berth_agent_sessions_closed_total",
            "Sessions of agents that ended.",
            registry=registry,
        )
        self._late_s = Distribution(
            "berth_heartbeat_lateness_seconds",
            "How much later than the heartbeat period an agent was heard.",
            buckets=_LATE,
            registry=registry,
        )
        self._sent = Counter(
            "berth_assignments_sent_total", "Tasks told to agents.", registry=registry
        )
        self._reports = Counter(
            "berth_task_reports_total", "States of tasks told by agents.", registry=registry
        )
        messages = Counter(
            "berth_agent_messages_total",
            "Messages of all agents' sessions.",
            ["direction"],
            registry=registry,
        )
        self._received = messages.labels("received")
        self._written = messages.labels("sent")
        info = Info("berth_scheduler", "The program.", registry=registry)
        info.info({"version": _own_version()})

    # -- what the leader tells

    def turn(self, report: TurnReport, duration_s: float) -> None:
        """Note one turn."""
        self._turn_s.observe(duration_s)
        if report.placed:
            self._placements.inc(report.placed)
            self._placement_s.observe(duration_s / report.placed)
        if report.lost:
            self._lost.inc(len(report.lost))

    def node_lost(self, silent_s: float) -> None:
        """Note that a node was declared lost, after this long a silence."""
        self._detection_s.observe(silent_s)

    def session_opened(self) -> None:
        """Note that an agent's session began."""
        self._opened.inc()

    def session_closed(self) -> None:
        """Note that an agent's session ended."""
        self._closed.inc()

    def heard(self, late_s: float) -> None:
        """Note a message of an agent."""
        self._received.inc()
        self._late_s.observe(late_s)

    def reported(self, tasks: int) -> None:
        """Note a batch of tasks' states."""
        self._reports.inc(tasks)

    def message_sent(self) -> None:
        """Note a message to an agent."""
        self._written.inc()

    def assignments_sent(self, tasks: int) -> None:
        """Note tasks put into outboxes."""
        self._sent.inc(tasks)

    def task_running(self, since_created_s: float) -> None:
        """Note that a task reached RUNNING."""
        self._start_s.observe(since_created_s)

    # -- what the replica tells

    def election_won(self, epoch: int) -> None:
        """Note that we lead."""
        self._elections.labels("won").inc()

    def leadership_ended(self, outcome: str) -> None:
        """Note that we ceased to lead."""
        self._elections.labels(outcome).inc()

    # -- what is counted

    def watch(self, source: LocalLeader, store_health: Callable[[], StoreHealth]) -> None:
        """Show the cluster of `source`'s leader, and the store's state, from now on."""
        assert self._collector is None, "already watching"
        self._collector = ClusterCollector(source, store_health, self._clock)
        self._registry.register(self._collector)

    async def keep_counting(self) -> None:
        """Recount in small steps for ever, so that no scrape has to; without it, scrapes do."""
        while True:
            if self._collector is not None:
                await self._collector.recount()
            await self._clock.sleep(CENSUS_AGE_S)


class ClusterCollector(Collector):
    """Shows what the leader's memory holds; see the module."""

    def __init__(
        self, source: LocalLeader, store_health: Callable[[], StoreHealth], clock: Clock
    ) -> None:
        self._source = source
        self._store_health = store_health
        self._clock = clock
        self._census = Census()
        self._of: Leader | None = None
        self._stale_at = Instant(0.0)

    def describe(self) -> Iterable[Metric]:
        """Name every family, without counting anything."""
        return [*self._own(None), *self._cluster(Census())]

    def collect(self) -> Iterator[Metric]:
        """Show this scheduler's part, and the cluster if it leads."""
        leader = self._source.local
        yield from self._own(leader)
        if leader is not None:
            yield from self._cluster(self._fresh(leader))

    async def recount(self) -> None:
        """Count anew without holding the event loop up."""
        leader = self._source.local
        if leader is None:
            return
        counting = take_census(leader.state)
        while True:
            try:
                next(counting)
            except StopIteration as done:
                if self._source.local is leader:
                    # Good until the next one is due, with room for a busy loop.
                    self._keep(leader, done.value, 2 * CENSUS_AGE_S)
                return
            await self._clock.sleep(_SLICE_PAUSE_S)

    def _fresh(self, leader: Leader) -> Census:
        if self._of is not leader or self._clock.instant() >= self._stale_at:
            self._keep(leader, count_now(leader.state), CENSUS_AGE_S)
        self._census.sessions = len(leader.sessions)
        return self._census

    def _keep(self, leader: Leader, census: Census, age_s: float) -> None:
        self._census, self._of = census, leader
        self._stale_at = after(self._clock.instant(), age_s)

    def _own(self, leader: Leader | None) -> Iterator[Metric]:
        leads = 0 if leader is None else 1
        yield _gauge("berth_leader", "1 if this scheduler leads, else 0.", leads)
        yield _gauge("swarm_manager_leader", "Swarm's name of berth_leader.", leads)
        epoch = 0 if leader is None else leader.epoch
        yield _gauge("berth_leader_epoch", "Epoch of our leadership, 0 without one.", epoch)
        now = self._store_health().state
        states = {state.value: int(state is now) for state in StoreState}
        yield _gauges("berth_store_state", "1 for the state that the store is in.", "state", states)

    def _cluster(self, census: Census) -> Iterator[Metric]:
        tasks = {state.name.lower(): census.tasks[state] for state in TaskState}
        services = sum(census.services.values())
        yield _gauges("berth_nodes", "Nodes by state.", "state", census.nodes)
        yield _gauges("berth_tasks", "Tasks by observed state, history apart.", "state", tasks)
        yield _gauges(
            "berth_services",
            "Services by how near they are to what is wanted.",
            "convergence",
            census.services,
        )
        yield _gauges(
            "berth_tasks_pending",
            "Tasks without a node by what forbids most nodes.",
            "reason",
            census.pending,
        )
        yield _gauges(
            "berth_rollouts",
            "Services by the state of their last rollout.",
            "state",
            census.rollouts,
        )
        yield _gauge(
            "berth_tasks_drifted",
            "Running tasks whose image is not the pinned one.",
            census.drifted,
        )
        yield _gauge("berth_agent_sessions", "Agents connected.", census.sessions)
        yield _gauges("swarm_manager_nodes", "Swarm's name of berth_nodes.", "state", census.nodes)
        yield _gauges("swarm_manager_tasks_total", "Swarm's name of berth_tasks.", "state", tasks)
        yield _gauge("swarm_manager_services_total", "Services.", services)
        yield _gauge("swarm_manager_configs_total", "Configs.", census.configs)
        yield _gauge("swarm_manager_secrets_total", "Secrets.", census.secrets)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _gauges(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key in sorted(values):
        family.add_metric([key], values[key])
    return family


def _own_version() -> str:
    try:
        return version("berth")
    except PackageNotFoundError:
        return "unknown"
