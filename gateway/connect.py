"""Make the gateway of a scheduler process.

Duty: the parts around the control client that it is given. Not here: that client (the scheduler's
own), routes, listening.
"""

from prometheus_client import CollectorRegistry

from berth.client import ControlClient
from berth.clock import Clock
from berth.entropy import Entropy, SystemEntropy
from gateway.config import GatewaySettings
from gateway.context import Gateway
from gateway.events import EventFeed
from gateway.metrics import GatewayMetrics
from gateway.renderings import Renderings


def open_gateway(
    settings: GatewaySettings,
    client: ControlClient,
    registry: CollectorRegistry,
    clock: Clock,
    entropy: Entropy | None = None,
) -> Gateway:
    """Return a gateway; run its `events.run` beside, and close its `client`.

    Args:
        settings: who this scheduler is.
        client: reaches the leader, wherever it is. It may leave out ages from its answers.
        registry: for metrics.
        clock: measures and pauses.
        entropy: draws names; None = the machine's.
    """
    return Gateway(
        client=client,
        clock=clock,
        settings=settings,
        metrics=GatewayMetrics(registry),
        events=EventFeed(client, clock, settings.scheduler),
        renderings=Renderings(),
        entropy=entropy or SystemEntropy(),
    )
