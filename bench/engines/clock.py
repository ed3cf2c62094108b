"""When containers start and end, told by the Engines themselves: the one clock of all sides.

Duty: follow the events of all Engines, and find the instant at which enough containers run.
Not here: who has them started (sides), what is made of the instants (starts, changes).
The Engines stamp their events with the clock of this machine, which all of them share, so that no
side gains by answering early, and nobody has to poll while a round is measured.
"""

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import docker
import requests
import urllib3

from tests.hosts import Host

MARK = "bench.mark"
"""The label by which a round's containers are told from all others."""

_STREAM_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)


class NeverError(AssertionError):
    """What a round waits for did not come."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A container started or ended."""

    at: float
    is_start: bool
    host: str
    container: str
    image: str


class EngineClock:
    """The stamps of all containers with a mark. Use `following`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._stamps: list[Stamp] = []

    def note(self, host: str, event: Any) -> None:
        attributes = event["Actor"]["Attributes"]
        at = event["timeNano"] / 1e9
        is_start = event["Action"] == "start"
        with self._changed:
            self._stamps.append(
                Stamp(at, is_start, host, event["Actor"]["ID"], attributes["image"])
            )
            self._changed.notify_all()

    def stamps(self) -> list[Stamp]:
        with self._changed:
            return sorted(self._stamps, key=lambda stamp: stamp.at)

    def running_on(self, host: str) -> int:
        """Return how many containers run on `host` now."""
        up: set[str] = set()
        for stamp in self.stamps():
            if stamp.host == host:
                (up.add if stamp.is_start else up.discard)(stamp.container)
        return len(up)

    def wait_running(
        self, count: int, *, image: str = "", but_on: str = "", timeout_s: float = 120.0
    ) -> float:
        """Wait until `count` containers run; return when that came true, as Unix seconds.

        Args:
            count: how many.
            image: only those of an image that begins so.
            but_on: a host that does not count any more.
            timeout_s: how long at most.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            at, most = _reached(self.stamps(), count, image, but_on)
            if at:
                return at
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise NeverError(f"never were there {count} containers that run; at most {most}")
            with self._changed:
                self._changed.wait(min(left_s, 0.5))


def _reached(stamps: Sequence[Stamp], count: int, image: str, but_on: str) -> tuple[float, int]:
    up: set[str] = set()
    most = 0
    for stamp in stamps:
        if stamp.host == but_on or not stamp.image.startswith(image):
            continue
        (up.add if stamp.is_start else up.discard)(stamp.container)
        most = max(most, len(up))
        if len(up) == count:
            return stamp.at, most
    return 0.0, most


@contextlib.contextmanager
def following(hosts: Sequence[Host], mark: str) -> Iterator[EngineClock]:
    """Follow the containers that carry `mark` as long as the block."""
    clock = EngineClock()
    streams: list[Any] = []
    threads: list[threading.Thread] = []
    filters = {"type": "container", "event": ["start", "die"], "label": f"{MARK}={mark}"}
    with contextlib.ExitStack() as stack:
        for host in hosts:
            client = stack.enter_context(
                contextlib.closing(docker.APIClient(host.engine.url, timeout=3600))
            )
            # From a little before: what happens while the stream opens is then in it as well.
            stream = client.events(since=int(time.time()) - 1, decode=True, filters=filters)
            streams.append(stream)
            threads.append(threading.Thread(target=_follow, args=(clock, host.name, stream)))
            threads[-1].start()
        try:
            yield clock
        finally:
            for stream in streams:
                with contextlib.suppress(*_STREAM_ERRORS):
                    stream.close()
            for thread in threads:
                thread.join()


def _follow(clock: EngineClock, host: str, stream: Any) -> None:
    with contextlib.suppress(*_STREAM_ERRORS):  # Its host was switched off.
        for event in stream:
            clock.note(host, event)
