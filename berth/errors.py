"""Every refusal that one part of Berth can hand to another, as one tree.

A programmer's mistake is an `assert`; an outcome that is ordinary (a task that fits nowhere) is a
value. What is left is here: the world refused. Each class says which `ErrorCode` a border maps it
to (gRPC status, HTTP status, exit code) and by which `RetryRule` a caller may try again.

    BerthError
    +-- InvalidRequestError      the request is wrong; it lists every fault at once
    +-- NotFoundError            the named thing does not exist
    +-- AlreadyExistsError       the name is taken
    +-- TooManyError             a list is longer than its caller takes as one answer
    +-- ConflictError            the thing is not in a state that allows this
    |   +-- OutOfSequenceError   the caller's version of a spec is not the newest one
    +-- PermissionDeniedError    the caller may not do this
    +-- UnauthenticatedError     the caller did not say credibly who it is
    +-- UnsupportedError         Berth does not do this, and says what does
    +-- UnavailableError         not now: no leader, no store, no registry
    |   +-- NoLeaderError        no scheduler leads
    |   +-- NotLeaderError       this scheduler does not lead; names the one that does
    |   +-- OutcomeUnknownError  it may or may not have taken effect
    |   +-- StoreUnavailableError
    |   +-- UpstreamError        a registry, an Engine or a node did not answer as it should
    +-- StaleEpochError          another scheduler leads; stop leading
    +-- ConfigError              a setting is wrong
    +-- InternalError            a bug or an unreadable record; see the log
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from berth.model.ids import Epoch


class ErrorCode(StrEnum):
    """What kind of refusal this is; the values are gRPC's names of its status codes."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    ABORTED = "ABORTED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL = "INTERNAL"


class RetryRule(StrEnum):
    """May the caller try the same thing again?"""

    NEVER = "never"
    LATER = "later"  # The same request, after a pause.
    ELSEWHERE = "elsewhere"  # Ask again who leads, then there.
    AFRESH = "afresh"  # Read the newest state first, then decide again.


class BerthError(Exception):
    """Base of every refusal. `str(error)` is fit for a user's eyes."""

    code: ErrorCode = ErrorCode.INTERNAL
    retry: RetryRule = RetryRule.NEVER

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request: where, what, and what to do about it."""

    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}" if self.path else self.problem


class InvalidRequestError(BerthError):
    """The request is wrong. Nothing was changed; mend every fault listed and send it again."""

    code = ErrorCode.INVALID_ARGUMENT

    def __init__(self, message: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults)

    @classmethod
    def from_faults(cls, subject: str, faults: Sequence[Fault]) -> "InvalidRequestError":
        """Join all `faults` of `subject` (for example ``service "web"``) into one refusal."""
        assert faults
        lines = "; ".join(str(fault) for fault in faults)
        return cls(f"invalid {subject}: {lines}", faults)


class NotFoundError(BerthError):
    """The named thing does not exist. Check the name; list what there is."""

    code = ErrorCode.NOT_FOUND


class AlreadyExistsError(BerthError):
    """The name is taken. Choose another, or update what exists."""

    code = ErrorCode.ALREADY_EXISTS


class ConflictError(BerthError):
    """The thing is not in a state that allows this. The message says what must happen first."""

    code = ErrorCode.FAILED_PRECONDITION


class TooManyError(BerthError):
    """A list is longer than its caller takes as one answer. Ask for it in pieces."""

    code = ErrorCode.FAILED_PRECONDITION


class OutOfSequenceError(ConflictError):
    """Somebody else changed the spec meanwhile. Read it again and decide afresh."""

    code = ErrorCode.ABORTED
    retry = RetryRule.AFRESH


class PermissionDeniedError(BerthError):
    """The caller may not do this. Ask an administrator for the role that the message names."""

    code = ErrorCode.PERMISSION_DENIED


class UnauthenticatedError(BerthError):
    """The caller did not say credibly who it is. Check its certificate or credentials."""

    code = ErrorCode.UNAUTHENTICATED


class UnsupportedError(BerthError):
    """Berth does not do this. The message names the nearest thing that it does."""

    code = ErrorCode.UNIMPLEMENTED


class UnavailableError(BerthError):
    """Not now. The same request may succeed later."""

    code = ErrorCode.UNAVAILABLE
    retry = RetryRule.LATER


class NoLeaderError(UnavailableError):
    """No scheduler leads. Wait; if it lasts, look at etcd and at the schedulers' logs."""


class NotLeaderError(UnavailableError):
    """This scheduler does not lead. Ask the one at `leader_address`, when it is known."""

    retry = RetryRule.ELSEWHERE

    def __init__(self, message: str, leader_address: str = "") -> None:
        super().__init__(message)
        self.leader_address = leader_address


class OutcomeUnknownError(UnavailableError):
    """The answer was lost: the change may or may not have taken effect.

    Never repeat it blindly: look at the newest state first, then decide.
    """

    retry = RetryRule.AFRESH


class StoreUnavailableError(UnavailableError):
    """The store did not answer, or is closed. What was asked may be retried later."""


class UpstreamError(UnavailableError):
    """A registry, an Engine or a node did not answer as it should."""


class StaleEpochError(BerthError):
    """The store or an agent refused us because another scheduler leads now.

    Raised by `ClusterStore.commit_nowait`. Never retry: stop leading, drop all memory, rejoin the
    election.
    """

    code = ErrorCode.FAILED_PRECONDITION

    def __init__(self, *, ours: Epoch, current: Epoch | None) -> None:
        now = "no leader is recorded" if current is None else f"epoch {current} leads now"
        super().__init__(f"leadership epoch {ours} is over: {now}")
        self.ours = ours
        self.current = current


class ConfigError(BerthError):
    """A setting is wrong. The message lists every fault with its key, its value and the fix."""

    code = ErrorCode.INVALID_ARGUMENT

    def __init__(self, message: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message)
        self.faults = tuple(faults)


class InternalError(BerthError):
    """A bug of ours, or a record that cannot be read. The log has the details."""

    code = ErrorCode.INTERNAL
