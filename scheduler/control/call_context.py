"""What a call of the Control API tells of itself, whether it came by gRPC or from our own process.

Duty: one protocol. Not here: answering (service), forwarding (forward).
"""

from typing import Any, Protocol


class CallContext(Protocol):
    """What a call tells of itself; `grpc.aio.ServicerContext`."""

    def invocation_metadata(self) -> Any:
        """Return pairs of texts."""
        ...

    def time_remaining(self) -> float | None:
        """Return how long the caller waits yet; None = for ever."""
        ...
