"""What etcd can refuse or leave open, as Berth's errors.

Duty: name each way in which a call to etcd can end badly by what the caller may conclude from it.
Not here: which gRPC status means which of them (scheduler.store.etcd_status).

    StoreUnavailableError        (berth.errors)
    +-- EtcdCallError            one call failed; `kind` is its label in metrics
        +-- NotAppliedError      certainly without effect: not sent, or refused at the door
        |   +-- NoQuorumError    the member knows no etcd leader
        |   +-- ForbiddenError   etcd does not let this user do that
        +-- AmbiguousError       it may have been applied, or may still be: look before deciding
            +-- NoSpaceError     the quota is used up (etcd applies the write that reaches it!)
    EtcdRefusedError             etcd understood and said no; trying again changes nothing
    +-- CompactedError           the revision asked for is gone: read afresh
    +-- LeaseNotFoundError       the lease has expired or was revoked
    ValueTooLargeError           the value can never be stored
"""

from berth.errors import BerthError, ErrorCode, StoreUnavailableError
from berth.model.ids import Revision


class EtcdCallError(StoreUnavailableError):
    """One call to etcd failed for a reason that may pass."""

    kind = "unreachable"


class NotAppliedError(EtcdCallError):
    """The call certainly had no effect. It may be sent again."""


class NoQuorumError(NotAppliedError):
    """The member that was asked knows no etcd leader. Ask another one, or wait."""

    kind = "no_quorum"


class ForbiddenError(NotAppliedError):
    """Etcd does not let us in, or not do this. It may pass: an operator can mend user or role."""

    kind = "forbidden"


class AmbiguousError(EtcdCallError):
    """Whether the call took effect is not known. Look before sending it again."""

    kind = "ambiguous"


class NoSpaceError(AmbiguousError):
    """Etcd's quota is used up.

    It refuses writes and new leases until it is compacted and defragmented and its NOSPACE alarm is
    disarmed. The very write that reached the quota was applied *and* refused, so this is ambiguous.
    """

    kind = "no_space"


class EtcdRefusedError(BerthError):
    """Etcd refused the call for good: a wrong setting, a missing permission, or a bug of ours."""

    code = ErrorCode.INTERNAL
    kind = "refused"


class CompactedError(EtcdRefusedError):
    """The wanted revision was compacted away. Read the present state and go on from there."""

    kind = "compacted"

    def __init__(self, message: str, *, compact_revision: Revision) -> None:
        super().__init__(message)
        self.compact_revision = compact_revision


class LeaseNotFoundError(EtcdRefusedError):
    """The lease has expired or was revoked. Ask for a new one."""

    kind = "lease_not_found"


class ValueTooLargeError(BerthError):
    """A value is larger than etcd accepts in one request. Make the document smaller."""

    code = ErrorCode.INVALID_ARGUMENT

    def __init__(self, *, key: str, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f'the value of "{key}" has {size_bytes} bytes, more than the {limit_bytes} that etcd '
            "takes in one request: make it smaller"
        )
        self.key = key
        self.size_bytes = size_bytes
