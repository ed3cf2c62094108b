"""What every route is given: the way to the cluster, the clock, who we are.

Duty: one value, and how a request finds it. Not here: making it (gateway.app).
"""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from berth.client import ControlClient
from berth.clock import Clock
from berth.entropy import Entropy
from gateway.config import GatewaySettings
from gateway.events import EventFeed
from gateway.metrics import GatewayMetrics
from gateway.renderings import Renderings
from gateway.versioning import VERSION_MAX, ApiVersion

GATEWAY_KEY: Final = "berth.gateway"
VERSION_KEY: Final = "berth.api_version"


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts that routes use."""

    client: ControlClient
    clock: Clock
    settings: GatewaySettings
    metrics: GatewayMetrics
    events: EventFeed
    renderings: Renderings
    entropy: Entropy


def gateway_of(request: Request) -> Gateway:
    """Return the gateway that serves `request`."""
    found = request.scope[GATEWAY_KEY]
    assert isinstance(found, Gateway)
    return found


def version_of(request: Request) -> ApiVersion:
    """Return the version of the API that `request` speaks."""
    found = request.scope.get(VERSION_KEY, VERSION_MAX)
    assert isinstance(found, ApiVersion)
    return found
