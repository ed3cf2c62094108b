"""Tell systemd how this process fares: ready, stopping, alive (sd_notify).

Duty: the datagrams of Type=notify units; without NOTIFY_SOCKET everything here does nothing.
Not here: when a process is ready (its own main).
"""

import socket
from collections.abc import Callable, Mapping
from typing import Final, Self

from berth.clock import Clock
from berth.model.instant import after

_PINGS_PER_WATCHDOG: Final = 3
_MICROSECONDS: Final = 1_000_000
READY_WITHIN_S: Final = 20.0
STOP_EXTENSION_S: Final = 15.0
"""How long the manager then waits at most for a process whose loop hangs."""
_LOOK_EVERY_S: Final = 0.1
_STATUS_EVERY_S: Final = 2.0


class Notifier:
    """Sends state to the service manager; harmless where there is none."""

    def __init__(self, address: str, watchdog_s: float) -> None:
        self._address = address
        self._is_ready = False
        self.watchdog_s = watchdog_s
        """How often at least systemd wants a sign of life; 0 = it does not."""

    @classmethod
    def from_env(cls, env: Mapping[str, str], pid: int) -> Self:
        """Read NOTIFY_SOCKET and WATCHDOG_USEC as systemd sets them.

        Args:
            env: the environment.
            pid: our process; a watchdog that is meant for another one is not ours to feed.
        """
        meant_for_us = env.get("WATCHDOG_PID", str(pid)) == str(pid)
        text = env.get("WATCHDOG_USEC", "0")
        microseconds = int(text) if text.isdigit() and meant_for_us else 0
        return cls(env.get("NOTIFY_SOCKET", ""), microseconds / _MICROSECONDS)

    def ready(self, status: str = "") -> None:
        """Say that the process serves."""
        self._is_ready = True
        self._send("READY=1", status)

    def reloading(self) -> None:
        """Say that settings are being read anew; call `reloaded` after."""
        if self._is_ready:  # Before, the manager waits for READY, which must not come early.
            self._send("RELOADING=1")

    def reloaded(self) -> None:
        """Say that the reload is over, however it went."""
        if self._is_ready:
            self._send("READY=1")

    def stopping(self, status: str = "") -> None:
        """Say that an orderly stop has begun."""
        self._send("STOPPING=1", status)

    async def ask_for_time(self, clock: Clock) -> None:
        """Have the manager wait for our stop for as long as this runs and the loop turns."""
        while True:
            self._send(f"EXTEND_TIMEOUT_USEC={STOP_EXTENSION_S * _MICROSECONDS:.0f}")
            await clock.sleep(STOP_EXTENSION_S / _PINGS_PER_WATCHDOG)

    def status(self, text: str) -> None:
        """Show `text` in ``systemctl status``."""
        self._send("", text)

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    async def feed_watchdog(self, clock: Clock, is_alive: Callable[[], bool]) -> None:
        """Feed the watchdog for ever, as long as `is_alive` says so; return if there is none."""
        if not self._address or self.watchdog_s <= 0:
            return
        while True:
            if is_alive():
                self.alive()
            await clock.sleep(self.watchdog_s / _PINGS_PER_WATCHDOG)

    async def keep_status(
        self, clock: Clock, is_synced: Callable[[], bool], words: Callable[[], str]
    ) -> None:
        """Say READY after the first sync, and keep the status line true for ever.

        Returns at once where there is no service manager.

        Args:
            clock: sleeps.
            is_synced: whether the process does its work by now. After `READY_WITHIN_S` without,
                READY is said all the same: a machine must boot while the rest of the cluster is
                away, and what runs carries on alone.
            words: the status line.
        """
        if not self._address:
            return
        give_up_at = after(clock.instant(), READY_WITHIN_S)
        while not is_synced() and clock.instant() < give_up_at:
            await clock.sleep(_LOOK_EVERY_S)
        shown = words()
        self.ready(shown)
        while True:
            await clock.sleep(_STATUS_EVERY_S)
            if words() != shown:
                shown = words()
                self.status(shown)

    def _send(self, state: str, status: str = "") -> None:
        lines = [state] if state else []
        if status:
            lines.append("STATUS=" + status.replace("\n", " "))
        if not self._address or not lines:
            return
        address = self._address
        if address.startswith("@"):  # Linux's abstract names begin with a zero byte.
            address = "\0" + address[1:]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.connect(address)
                sender.sendall("\n".join(lines).encode())
        except OSError:
            # The manager went away; what we do must not depend on somebody watching.
            return
