"""One gRPC channel per etcd member, and the choice among them.

Duty: say which member to ask now; remember for a second which ones failed.
Not here: what counts as a failure (scheduler.store.etcd_client).
Why not one channel over all addresses: gRPC would pick the member, and a hung one would still get
its share of the calls. The choice sticks to a member that answers, which also keeps pipelined
transactions in order.
"""

from collections.abc import Iterator

import grpc
from grpc import aio

from berth.clock import Clock
from berth.model.instant import Instant, after
from scheduler.store.etcd_settings import EtcdSettings, EtcdTlsContent, channel_options

DEMOTION_S = 1.0


class Endpoint:
    """A member: its address, its channel, and until when it is avoided."""

    def __init__(self, address: str, channel: aio.Channel) -> None:
        self.address = address
        self.channel = channel
        self.avoid_until = Instant(0.0)


class Endpoints:
    """All members. Made inside a running event loop, to which the channels belong."""

    def __init__(
        self, settings: EtcdSettings, clock: Clock, tls: EtcdTlsContent | None = None
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._retired: list[aio.Channel] = []
        self._endpoints = [
            Endpoint(address, self._open(address, tls)) for address in settings.addresses
        ]
        self._current = 0

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._endpoints)

    def __len__(self) -> int:
        return len(self._endpoints)

    def current(self) -> Endpoint:
        """Return the member to ask now: the present one, or the one that failed longest ago."""
        now = self._clock.instant()
        if self._endpoints[self._current].avoid_until > now:
            order = range(self._current, self._current + len(self._endpoints))
            self._current = min(
                (index % len(self._endpoints) for index in order),
                key=lambda index: max(self._endpoints[index].avoid_until, now),
            )
        return self._endpoints[self._current]

    def demote(self, endpoint: Endpoint) -> None:
        """Avoid `endpoint` for a while, as long as there is another."""
        endpoint.avoid_until = after(self._clock.instant(), DEMOTION_S)

    def renew(self, tls: EtcdTlsContent | None) -> None:
        """Connect anew from the next call on; calls and watches under way go on as they are."""
        for endpoint in self._endpoints:
            self._retired.append(endpoint.channel)
            endpoint.channel = self._open(endpoint.address, tls)

    async def aclose(self) -> None:
        """Close all channels; calls under way are cancelled."""
        for channel in (*self._retired, *(endpoint.channel for endpoint in self._endpoints)):
            await channel.close(None)

    def _open(self, address: str, tls: EtcdTlsContent | None) -> aio.Channel:
        options = channel_options(self._settings)
        if tls is None:
            return aio.insecure_channel(address, options)
        return aio.secure_channel(address, tls.credentials(), options)


def sync_channels(
    settings: EtcdSettings, tls: EtcdTlsContent | None
) -> list[tuple[str, grpc.Channel]]:
    """Return a blocking channel per member, for a thread that must not depend on the loop."""
    options = channel_options(settings)
    return [
        (
            address,
            grpc.insecure_channel(address, options)
            if tls is None
            else grpc.secure_channel(address, tls.credentials(), options),
        )
        for address in settings.addresses
    ]
