"""Which scheduler to try next.

Duty: go round all known addresses, the leader's first when somebody named it.
Not here: waiting between attempts (nodeagent.core.backoff), connecting (nodeagent.link.session).
"""

from collections.abc import Sequence


class AddressBook:
    """Schedulers' addresses: those told by the last leader, then those from the settings."""

    def __init__(self, configured: Sequence[str], learnt: Sequence[str]) -> None:
        assert configured or learnt, "an agent without any scheduler's address cannot start"
        self._configured = tuple(configured)
        self._told: tuple[str, ...] = ()
        self._addresses: list[str] = []
        self._hint = ""
        self._next = 0
        self.learn(learnt)

    @property
    def addresses(self) -> tuple[str, ...]:
        """All of them, in the order of trying."""
        return tuple(self._addresses)

    def learn(self, told: Sequence[str]) -> None:
        """Take in the list that a leader told."""
        self._told = tuple(told)
        fresh = list(dict.fromkeys((*told, *self._configured)))
        if fresh != self._addresses:
            self._addresses, self._next = fresh, 0

    def configure(self, configured: Sequence[str]) -> None:
        """Take other addresses from the settings; a session that lasts goes on."""
        self._configured = tuple(configured)
        self.learn(self._told)

    def prefer(self, address: str) -> None:
        """Try `address` next: it leads, or somebody said so."""
        self._hint = address

    def take(self) -> str:
        """Return the address to try now."""
        if self._hint:
            hint, self._hint = self._hint, ""
            return hint
        address = self._addresses[self._next % len(self._addresses)]
        self._next = (self._next + 1) % len(self._addresses)
        return address
