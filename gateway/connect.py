"""Make the gateway of a scheduler process.

Duty: a control client to the process's own gRPC address (any scheduler forwards to the leader), and
the parts around it. Not here: routes, listening.
"""

from prometheus_client import CollectorRegistry

from berth.client import ControlClient
from berth.clock import Clock
from berth.wire.tls import TlsSource
from gateway.config import GatewaySettings
from gateway.context import Gateway
from gateway.events import EventFeed
from gateway.metrics import GatewayMetrics


def open_gateway(
    settings: GatewaySettings,
    grpc_address: str,
    tls: TlsSource | None,
    registry: CollectorRegistry,
    clock: Clock,
) -> Gateway:
    """Return a gateway; run its `events.run` beside, and close its `client`.

    Args:
        settings: who this scheduler is.
        grpc_address: where this process's own control API listens.
        tls: the scheduler's certificate.
        registry: for metrics.
        clock: measures and pauses.
    """
    # The scheduler itself waits for a leader, so that its answer is the last word.
    client = ControlClient([grpc_address], tls=tls, clock=clock, repeats_refusals=False)
    return Gateway(
        client=client,
        clock=clock,
        settings=settings,
        metrics=GatewayMetrics(registry),
        events=EventFeed(client, clock),
    )


def own_address(grpc_listen: str, port: int) -> str:
    """Return where a process reaches its own gRPC server.

    Args:
        grpc_listen: the setting, HOST:PORT or unix:PATH.
        port: that was really bound.
    """
    if grpc_listen.startswith("unix:"):
        return grpc_listen
    host = grpc_listen.rpartition(":")[0]
    if host in ("", "0.0.0.0", "[::]", "::"):  # noqa: S104 - compared, not listened on
        host = "127.0.0.1"
    return f"{host}:{port}"
