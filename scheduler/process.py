"""One scheduler process: builds the parts, starts them in order, stops them in order.

Duty: wiring. Each part is given what it needs; nothing here decides anything. Order of the stop:
resign first, so that the next leader is at work while our own servers still drain.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from functools import partial
from importlib.metadata import version as package_version
from pathlib import Path

import grpc
import structlog
from prometheus_client import CollectorRegistry
from starlette.routing import Route

from berth.answer_memory import AnswerMemory
from berth.client import ControlClient
from berth.clock import SystemClock
from berth.collector import tend
from berth.entropy import Entropy, SystemEntropy
from berth.logging import LogSettings
from berth.observability import (
    Health,
    Readiness,
    beside,
    listener_address,
    observability_routes,
    open_listener,
    serve_app,
)
from berth.process import Supervisor, watch_loop_lag
from berth.reload import Reloader, ReloadMetrics
from berth.systemd import Notifier
from berth.v1 import dispatcher_pb2_grpc, line_pb2_grpc, streams_pb2_grpc
from berth.wire.channel import bind, make_server, open_channel
from berth.wire.live_tls import LiveTls
from berth.wire.status import BerthErrorInterceptor
from gateway.app import docker_app
from gateway.config import GatewaySettings, is_loopback, refusal_of_tcp
from gateway.connect import open_gateway
from gateway.context import Gateway
from gateway.doors import local_door, loopback_door, shut_door, tls_door
from scheduler.config import SchedulerSettings
from scheduler.control.credentials import credentials_for_agents
from scheduler.control.forward import Forwarder
from scheduler.control.in_process import OwnCalls
from scheduler.control.line_answers import LineService
from scheduler.control.payloads import payload_for_agents
from scheduler.control.relay import LogRelay, StreamsService
from scheduler.control.router import ControlRouter
from scheduler.control.service import ControlService
from scheduler.directory import Directory
from scheduler.dispatch.service import DispatcherService
from scheduler.dispatch.waiting_room import WaitingRoom
from scheduler.election.etcd_election import EtcdElection
from scheduler.election.port import Election, Leadership
from scheduler.http_listener import serve_with_tls
from scheduler.metrics import SchedulerMetrics
from scheduler.reach import can_reach
from scheduler.registry.resolve import ImageResolver
from scheduler.reloads import LIVE, LiveParts, add_parts, etcd_settings, registry_settings
from scheduler.replica import Replica
from scheduler.store.etcd_client import EtcdClient
from scheduler.store.etcd_store import EtcdStore
from scheduler.store.port import ClusterStore, StoreHealth, StoreState
from scheduler.store.sealing import Sealer, load_keys

log = structlog.get_logger()

_SERVER_DRAIN_S = 1.0


class SchedulerProcess:
    """Everything of one process; `serve` runs it until it is told to stop."""

    def __init__(
        self,
        settings: SchedulerSettings,
        load: Callable[[], SchedulerSettings],
        log_as: Callable[[LogSettings], object],
    ) -> None:
        """Read keys and certificates.

        Args:
            settings: to start with.
            load: reads the settings anew, for a reload.
            log_as: sets logging up anew.
        """
        self._settings = settings
        self._load = load
        self._log_as = log_as
        self._clock = SystemClock()
        self._entropy = SystemEntropy()
        self._registry = CollectorRegistry()
        self._sealer = _sealer(settings, self._entropy)
        files = settings.tls_settings()
        self._tls = LiveTls.of(files, self._clock)

    async def serve(self, supervisor: Supervisor) -> None:
        """Start, wait for the stop, stop in order."""
        grpc_server = make_server(interceptors=[BerthErrorInterceptor()])
        try:
            await self._serve(supervisor, grpc_server)
        finally:
            # Where the start was refused half-way; gRPC prints a traceback beside the reason else.
            await grpc_server.stop(None)

    async def _serve(self, supervisor: Supervisor, grpc_server: grpc.aio.Server) -> None:
        settings = self._settings
        port = bind(grpc_server, settings.grpc_listen, self._tls)
        listener = open_listener("http_listen", settings.http_listen)
        http_address = listener_address(listener)
        directory = Directory(settings.name, settings.advertised(port))
        metrics = SchedulerMetrics(self._registry)
        metrics.certificates.show(settings.tls_settings())
        client = EtcdClient(etcd_settings(settings), self._clock)
        election = EtcdElection(
            client,
            settings.etcd.prefix,
            settings.name,
            directory.own_address,
            settings.etcd.lease_ttl_s,
            self._clock,
            http_address,
        )

        def open_store(leadership: Leadership) -> ClusterStore:
            return EtcdStore(client, settings.etcd.prefix, leadership, metrics.store, self._clock)

        replica = Replica(
            election,
            open_store,
            directory,
            clock=self._clock,
            entropy=self._entropy,
            observer=metrics,
            unseal=partial(credentials_for_agents, self._sealer),
            open_file=partial(payload_for_agents, self._sealer),
        )
        readiness = _Readiness(directory, election, replica)
        metrics.watch(directory, readiness.store_health)
        resolver = ImageResolver(registry_settings(settings), self._clock)
        own = self._add_services(supervisor, grpc_server, directory, resolver, readiness)
        await grpc_server.start()
        routes = observability_routes(self._registry, Health, readiness)
        notifier = Notifier.from_env(os.environ, os.getpid())
        gateway = self._open_gateway(own)
        self._serve_docker(supervisor, gateway, routes, listener)
        renew = (own.forwarder.renew_channels, gateway.client.renew_channels)
        reloader = self._reloader(metrics, notifier, LiveParts(self._tls, client, resolver, *renew))
        supervisor.reload_with(reloader.reload)
        supervisor.start("loop-lag", watch_loop_lag(self._clock, metrics.loop_lag.observe))
        supervisor.start("census", metrics.keep_counting())
        supervisor.start("collector", tend(replica.tending, self._clock))
        supervisor.start("watchdog", notifier.feed_watchdog(self._clock, lambda: True))
        leading = supervisor.start("replica", replica.run())
        status = notifier.keep_status(self._clock, lambda: directory.is_known, readiness.words)
        supervisor.start("status", status)
        log.info(
            "scheduler_started",
            grpc=settings.grpc_listen,
            advertise=directory.own_address,
            http=http_address,
            tls=self._tls is not None,
        )
        reason = await supervisor.wait_stop()
        log.info("scheduler_stopping", reason=reason)
        notifier.stopping()
        leading.cancel()
        await asyncio.wait({leading})
        await grpc_server.stop(_SERVER_DRAIN_S)
        await gateway.client.close()
        await own.forwarder.aclose()
        resolver.close()
        await client.aclose()

    def _add_services(
        self,
        supervisor: Supervisor,
        server: grpc.aio.Server,
        directory: Directory,
        resolver: ImageResolver,
        readiness: "_Readiness",
    ) -> OwnCalls:
        requires_tls = self._tls is not None
        room = WaitingRoom(directory, can_reach, self._clock)
        dispatcher = DispatcherService(room, self._clock, requires_tls=requires_tls)
        dispatcher_pb2_grpc.add_DispatcherServicer_to_server(dispatcher, server)
        relay = LogRelay(directory, self._clock, self._entropy)
        streams = StreamsService(relay, requires_tls=requires_tls)
        streams_pb2_grpc.add_StreamsServicer_to_server(streams, server)
        answers = ControlService(
            directory,
            resolver,
            self._sealer,
            relay,
            clock=self._clock,
            entropy=self._entropy,
            store_health=readiness.store_health,
        )
        forwarder = Forwarder(
            directory,
            partial(open_channel, tls=self._tls),
            self._clock,
            store_health=readiness.store_health,
        )
        supervisor.start("line", forwarder.line.run())
        line = LineService(forwarder, answers, requires_tls=requires_tls)
        line_pb2_grpc.add_LineServicer_to_server(line, server)
        router = ControlRouter(forwarder, answers, requires_tls=requires_tls)
        server.add_generic_rpc_handlers((router,))
        return OwnCalls(forwarder, answers)

    def _open_gateway(self, calls: OwnCalls) -> Gateway:
        settings = self._settings
        return open_gateway(
            GatewaySettings(settings.name, package_version("berth"), settings.docker_socket),
            ControlClient.over(calls, self._clock, AnswerMemory()),
            self._registry,
            self._clock,
        )

    def _serve_docker(
        self,
        supervisor: Supervisor,
        gateway: Gateway,
        routes: list[Route],
        listener: socket.socket,
    ) -> None:
        """Serve the Docker API on its socket, with TLS, and plain where that is safe or wanted."""
        settings, docker = self._settings, docker_app(gateway)
        supervisor.start("docker-events", gateway.events.run())
        if settings.docker_socket:
            path = f"unix:{settings.docker_socket}"
            unix = open_listener("docker_socket", path, group=settings.docker_socket_group)
            supervisor.start("docker", serve_app(local_door(docker), unix))
        address = listener_address(listener)
        if settings.docker_insecure_tcp:
            plain = local_door(docker)
        elif is_loopback(address):
            plain = loopback_door(docker)
        else:
            has_tls = self._tls is not None
            plain = shut_door(refusal_of_tcp(address, settings.docker_socket, has_tls=has_tls))
        if self._tls is None:
            app = beside(routes, plain)
            supervisor.start("http", serve_app(app, listener))
            return
        app = beside(routes, tls_door(docker, plain))
        serving = serve_with_tls(app, listener, self._tls.server_context, self._clock)
        supervisor.start("http", serving)

    def _reloader(
        self, metrics: SchedulerMetrics, notifier: Notifier, parts: LiveParts
    ) -> Reloader[SchedulerSettings]:
        reloader = Reloader(
            self._settings,
            self._load,
            LIVE,
            metrics=ReloadMetrics(self._registry, self._clock),
            notifier=notifier,
        )
        if self._tls is not None:
            self._tls.on_exchange(metrics.certificates.show)
        add_parts(reloader, parts, os.environ)
        reloader.add(lambda new: partial(self._log_as, new.log))
        return reloader


def _sealer(settings: SchedulerSettings, entropy: Entropy) -> Sealer | None:
    if not settings.key_file:
        return None
    return Sealer(load_keys(Path(settings.key_file)), entropy)


class _Readiness:
    """Answers /readyz: is there a leader, and does the store take writes?"""

    def __init__(self, directory: Directory, election: Election, replica: Replica) -> None:
        self._directory = directory
        self._election = election
        self._replica = replica

    def store_health(self) -> StoreHealth:
        """Return how etcd does: by the leader's commits where we lead, else by the election."""
        store = self._replica.store
        if store is not None and store.health.state is not StoreState.OK:
            return store.health
        return self._election.health

    def words(self) -> str:
        """Return what tells in a line how this scheduler fares, for ``systemctl status``."""
        found = self()
        if not found.is_ready:
            return found.reason
        current = self._directory.current
        leads = self._directory.local is not None
        return "leads" if leads else f"stands by; {current.name if current else 'another'} leads"

    def __call__(self) -> Readiness:
        """Return whether this scheduler can serve users now."""
        health = self.store_health()
        current = self._directory.current
        details = {
            "store": health.state.value,
            "leader": current.name if current is not None else "",
            "leads": str(self._directory.local is not None).lower(),
        }
        if health.state is not StoreState.OK:
            reason = f"the store is {health.state.value}, the cluster is read-only"
            return Readiness(False, f"{reason}: {health.last_error}", details)
        if not self._directory.is_known:
            return Readiness(False, "no scheduler leads", details)
        return Readiness(True, "", details)
