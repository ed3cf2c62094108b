"""Add up the progress of a pull from the Engine's messages. Pure.

Invariants (tests/unit/nodeagent/runtime/test_pull_meter.py): done never exceeds total; a layer that
is there already counts as done, with no bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nodeagent.runtime.port import PullProgress

_DIGEST = "Digest: "
_DONE = ("Pull complete", "Already exists")
_FETCHED = ("Verifying Checksum", "Download complete", "Extracting", *_DONE)
_LAYER_STATES = ("Pulling fs layer", "Waiting", "Downloading", "Retrying", *_FETCHED)


@dataclass(slots=True)
class _Layer:
    is_done: bool = False
    bytes_done: int = 0
    bytes_total: int = 0


class PullMeter:
    """Feed it the messages of one pull."""

    def __init__(self) -> None:
        self._layers: dict[str, _Layer] = {}
        self.digest = ""
        """The repo digest that the Engine says it pulled; "" until it does."""

    def feed(self, message: Mapping[str, Any]) -> None:
        """Take one message into account; others than layers' are ignored."""
        status = message.get("status") or ""
        layer_id = message.get("id")
        if status.startswith(_DIGEST):
            self.digest = status.removeprefix(_DIGEST)
        if not layer_id or not status.startswith(_LAYER_STATES):
            return
        layer = self._layers.setdefault(layer_id, _Layer())
        detail = message.get("progressDetail") or {}
        if status == "Downloading":  # While extracting, the same fields count something else.
            layer.bytes_total = max(layer.bytes_total, detail.get("total") or 0)
            layer.bytes_done = min(detail.get("current") or 0, layer.bytes_total)
        elif status.startswith(_FETCHED):
            layer.bytes_done = layer.bytes_total
        layer.is_done = layer.is_done or status.startswith(_DONE)

    @property
    def progress(self) -> PullProgress:
        """How far the pull is by now."""
        layers = self._layers.values()
        return PullProgress(
            layers_done=sum(layer.is_done for layer in layers),
            layers_total=len(layers),
            bytes_done=sum(layer.bytes_done for layer in layers),
            bytes_total=sum(layer.bytes_total for layer in layers),
        )
