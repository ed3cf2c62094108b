"""What the agent's shell tells of its work, for metrics; labels are from closed sets."""

from typing import Protocol


class AgentObserver(Protocol):
    """Told of what happens; must be quick, must not raise."""

    def session_opened(self, epoch: int) -> None:
        """A leader of this epoch welcomed us."""
        ...

    def session_closed(self) -> None:
        """The session ended."""
        ...

    def engine_seen(self, is_up: bool) -> None:
        """The Docker Engine answers, or does not any more."""
        ...

    def message_refused(self, reason: str) -> None:
        """A scheduler's message was not obeyed; `reason` is a DropSession's."""
        ...

    def restarted(self) -> None:
        """A task's container was started again while no leader answered."""
        ...

    def task_failed(self) -> None:
        """A task ended badly, or could not be started."""
        ...

    def journal_written(self, seconds: float, is_ok: bool) -> None:
        """The journal was written, or could not be."""
        ...

    def swept(self, containers: int, image_bytes: int) -> None:
        """A sweep removed dead containers and unused images."""
        ...


class NoAgentObserver:
    """For those who do not measure."""

    def session_opened(self, epoch: int) -> None:
        """Ignore it."""

    def session_closed(self) -> None:
        """Ignore it."""

    def engine_seen(self, is_up: bool) -> None:
        """Ignore it."""

    def message_refused(self, reason: str) -> None:
        """Ignore it."""

    def restarted(self) -> None:
        """Ignore it."""

    def task_failed(self) -> None:
        """Ignore it."""

    def journal_written(self, seconds: float, is_ok: bool) -> None:
        """Ignore it."""

    def swept(self, containers: int, image_bytes: int) -> None:
        """Ignore it."""
