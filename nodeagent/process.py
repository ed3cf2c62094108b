"""One agent process: builds the parts, starts them, stops them in order.

Duty: wiring. Order of the stop: say goodbye first, so that the leader knows that the containers run
on and that nothing is lost; then let go of everything.
"""

import asyncio
import contextlib
import importlib.metadata
import os
import signal
import socket
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
from prometheus_client import CollectorRegistry

from berth.clock import Clock, SystemClock
from berth.entropy import SystemEntropy
from berth.logging import LogSettings
from berth.model.task import TaskState
from berth.observability import Health, Readiness, serve_observability
from berth.process import Supervisor, watch_loop_lag
from berth.reload import Reloader, ReloadMetrics, prepare_certificate
from berth.systemd import Notifier
from berth.wire import kernel_keepalive
from berth.wire.channel import CHANNEL_KEEPALIVE
from berth.wire.live_tls import LiveTls
from nodeagent.agent import Agent, AgentOptions
from nodeagent.config import AgentSettings
from nodeagent.departing import depart
from nodeagent.journal import FileJournal
from nodeagent.link.grpc_link import GrpcLink
from nodeagent.metrics import AgentMetrics
from nodeagent.runtime.docker_engine import DockerEngine
from nodeagent.runtime.engine_options import EngineOptions
from nodeagent.runtime.pulled_images import FilePulledImages
from nodeagent.runtime.task_files import TaskFiles
from nodeagent.state_dir import StateDir

log = structlog.get_logger(__name__)

LIVE: Final = ("log.", "tls.", "scheduler", "drain_on_shutdown_s")
"""Settings that a reload takes in; others need a restart, which touches no container."""

_LINK_SILENCE_S: Final = 0.5 + max(
    kernel_keepalive.IDLE_S + kernel_keepalive.TIMEOUT_S,
    CHANNEL_KEEPALIVE.time_s + CHANNEL_KEEPALIVE.timeout_s,  # Where the kernel does not help.
)


class AgentProcess:
    """Everything of one process; `serve` runs it until it is told to stop."""

    def __init__(
        self,
        settings: AgentSettings,
        load: Callable[[], AgentSettings],
        log_as: Callable[[LogSettings], object],
    ) -> None:
        """Prepare.

        Args:
            settings: to start with.
            load: reads the settings anew, for a reload.
            log_as: sets logging up anew.
        """
        self._settings = settings
        self._drain_on_shutdown_s = settings.drain_on_shutdown_s
        self._load = load
        self._log_as = log_as
        self._clock = SystemClock()
        self._entropy = SystemEntropy()
        self._registry = CollectorRegistry()
        self._metrics = AgentMetrics(self._registry)

    async def serve(self, supervisor: Supervisor) -> None:
        """Start, wait for the stop, stop in order."""
        state_dir = StateDir.open(self._settings.state_dir)
        try:
            await self._serve(supervisor, state_dir)
        finally:
            state_dir.close()

    async def _serve(self, supervisor: Supervisor, state_dir: StateDir) -> None:
        settings = self._settings
        node_id = state_dir.node_id(self._entropy)
        structlog.contextvars.bind_contextvars(node_id=node_id)
        version = importlib.metadata.version("berth")
        runtime = DockerEngine(
            settings.docker,
            node_id=node_id,
            node_name=settings.node_name or socket.gethostname(),
            address=settings.advertise or address_towards(settings.scheduler[0]),
            clock=self._clock,
            observer=self._metrics,
            pulled=FilePulledImages(state_dir.images_path),
            options=EngineOptions(
                short_calls=settings.parallel.engine_calls,
                parallel_pulls=settings.parallel.pulls,
                resources=settings.offered(),
                generic=settings.generic(),
            ),
            # Agents that share a machine, and so the folder, keep out of each other's way.
            files=TaskFiles(settings.files_dir / node_id),
        )
        files = settings.tls.settings()
        tls = LiveTls.of(files, self._clock)
        link = GrpcLink(tls)
        agent = Agent(
            AgentOptions(
                node_id=node_id,
                schedulers=settings.scheduler,
                agent_version=version,
                agent_labels=settings.label,
                limits=settings.parallel.lanes(),
                link_silence_s=_LINK_SILENCE_S,
            ),
            clock=self._clock,
            entropy=self._entropy,
            runtime=runtime,
            link=link,
            publisher=link,
            journal=FileJournal(state_dir.journal_path),
            observer=self._metrics,
        )
        self._metrics.info.labels(version).set(1)
        self._metrics.certificates.show(files)
        self._metrics.watch_tasks(agent.task_counts)
        notifier = Notifier.from_env(os.environ, os.getpid())
        problems = partial(_problems, agent, tls, self._clock)
        if tls is not None:
            tls.on_exchange(self._metrics.certificates.show)
            tls.on_exchange(lambda _: link.renew_channel())
        self._take_reloads(supervisor, notifier, agent, tls)
        running = supervisor.start("agent", agent.run())
        # The unit sends it when the machine goes down (deploy/systemd/leave-cluster).
        supervisor.call_on(signal.SIGUSR1, partial(self._depart, supervisor, notifier, agent))
        supervisor.start("loop-lag", watch_loop_lag(self._clock, self._lag_of(agent)))
        supervisor.start("http", self._observe(problems))
        supervisor.start("watchdog", notifier.feed_watchdog(self._clock, lambda: True))
        supervisor.start(
            "status", notifier.keep_status(self._clock, _synced(agent), _words(agent, problems))
        )
        log.info("agent_started", schedulers=settings.scheduler, version=version)
        reason = await supervisor.wait_stop()
        notifier.stopping()
        log.info("agent_stopping", reason=reason)
        await agent.stop(reason)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await link.aclose()
        await runtime.aclose()

    def _take_reloads(
        self, supervisor: Supervisor, notifier: Notifier, agent: Agent, tls: LiveTls | None
    ) -> None:
        reloader = Reloader(
            self._settings,
            self._load,
            LIVE,
            metrics=ReloadMetrics(self._registry, self._clock),
            notifier=notifier,
        )
        reloader.add(lambda new: prepare_certificate(tls, new.tls.settings(), os.environ))
        reloader.add(lambda new: partial(agent.configure_schedulers, new.scheduler))
        reloader.add(lambda new: partial(self._log_as, new.log))
        reloader.add(lambda new: partial(self._drain_within, new.drain_on_shutdown_s))
        supervisor.reload_with(reloader.reload)

    def _depart(self, supervisor: Supervisor, notifier: Notifier, agent: Agent) -> None:
        """Let the tasks leave first, then stop; a stop that is asked for meanwhile is at once."""
        if agent.state.departure is not None:
            return

        async def leave() -> None:
            why = await depart(agent, self._clock, self._drain_on_shutdown_s)
            supervisor.request_stop(f"the machine goes down: {why}")

        supervisor.start("more time", notifier.ask_for_time(self._clock))
        supervisor.start("departure", leave())

    def _drain_within(self, limit_s: float) -> None:
        self._drain_on_shutdown_s = limit_s

    def _lag_of(self, agent: Agent) -> "_LagSink":
        return _LagSink(agent, self._metrics)

    async def _observe(self, problems: Callable[[], dict[str, str]]) -> None:
        def ready() -> Readiness:
            found = problems()
            return Readiness(not found, "; ".join(found.values()), found)

        await serve_observability(
            key="http_listen",
            address=self._settings.http_listen,
            registry=self._registry,
            health=Health,
            ready=ready,
            started=lambda address: log.info("http_listening", address=address),
        )


def _synced(agent: Agent) -> Callable[[], bool]:
    return lambda: agent.state.is_connected and agent.state.is_synced


def _problems(agent: Agent, tls: LiveTls | None, clock: Clock) -> dict[str, str]:
    """Return what is wrong now; an ended certificate first, since the rest follows from it."""
    found = agent.problems
    if "leader" in found and tls is not None and (end := tls.told_end(clock.timestamp())):
        return {"certificate": end, **found}
    return found


def _words(agent: Agent, problems: Callable[[], dict[str, str]]) -> Callable[[], str]:
    """Return what tells in a line how the agent fares."""

    def words() -> str:
        running = agent.task_counts()[TaskState.RUNNING]
        fares = "; ".join(problems().values()) or "a leader is in charge"
        return f"{fares}; {running} tasks run"

    return words


class _LagSink:
    """Takes each measure of the event loop's lag: for the metric, and for the heartbeat."""

    def __init__(self, agent: Agent, metrics: AgentMetrics) -> None:
        self._agent = agent
        self._metrics = metrics

    def __call__(self, lag_s: float) -> None:
        self._metrics.loop_lag.observe(lag_s)
        self._agent.note_loop_lag(lag_s)


def address_towards(scheduler: str) -> str:
    """Return this machine's address on the way to `scheduler` (HOST:PORT); "" if there is none.

    Connecting a datagram socket sends nothing; it only asks the kernel for the route.
    """
    host, _, port = scheduler.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)
        family, kind, protocol, _, place = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(place)
            return str(probe.getsockname()[0])
    except OSError:
        return ""
