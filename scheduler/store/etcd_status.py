"""Translate gRPC statuses of etcd into Berth's errors, once, at this border.

Duty: from status code and etcd's own words to an error class that says what may be concluded.
Not here: what to do next (scheduler.store.etcd_client).
"""

import enum

import grpc

from berth.errors import BerthError
from berth.model.ids import Revision
from scheduler.store.errors import (
    AmbiguousError,
    CompactedError,
    EtcdRefusedError,
    ForbiddenError,
    LeaseNotFoundError,
    NoQuorumError,
    NoSpaceError,
    NotAppliedError,
)

_TRANSIENT = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.ABORTED,
    }
)

_FORBIDDEN = frozenset({grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED})

# The words of etcd 3.4 to 3.6 and of gRPC's core; a word that changed would only make an outcome
# ambiguous, which costs one look at the store.
_NO_LEADER_WORDS = ("etcdserver: no leader", "etcdserver: not leader", "raft: no leader")
_NEVER_SENT_WORDS = ("failed to connect", "connection refused", "dns resolution failed")
_STALE_TOKEN_WORDS = (
    "invalid auth token",
    "user name is empty",  # etcd's answer to a request without a token.
    "revision of auth store is old",
)


class TokenVerdict(enum.Enum):
    """What an answer says of the token that was sent."""

    FINE = enum.auto()
    STALE = enum.auto()  # Nothing was applied; log in again and repeat.


def judge_token(details: str) -> TokenVerdict:
    """Tell whether etcd refused only because the token is missing or out of date."""
    lowered = details.lower()
    return (
        TokenVerdict.STALE
        if any(word in lowered for word in _STALE_TOKEN_WORDS)
        else TokenVerdict.FINE
    )


def error_of(code: grpc.StatusCode, details: str, endpoint: str) -> BerthError:
    """Return the error for a failed call to `endpoint`.

    Args:
        code: gRPC's status.
        details: etcd's or gRPC's words.
        endpoint: the member's address, for the message.
    """
    lowered = details.lower()
    said = f'etcd at {endpoint} answered {code.name}: "{details}"'
    if "database space exceeded" in lowered:
        return NoSpaceError(f"{said}: compact and defragment etcd, then disarm its NOSPACE alarm")
    if "too many requests" in lowered:
        return NotAppliedError(said)
    if code not in _TRANSIENT:
        return _refusal_of(code, lowered, said)
    if any(word in lowered for word in _NO_LEADER_WORDS):
        return NoQuorumError(said)
    if code is grpc.StatusCode.UNAVAILABLE and any(word in lowered for word in _NEVER_SENT_WORDS):
        return NotAppliedError(f"{said}: is etcd running, and is --etcd right?")
    return AmbiguousError(said)


def _refusal_of(code: grpc.StatusCode, lowered: str, said: str) -> BerthError:
    if code in _FORBIDDEN or "authentication failed" in lowered:
        return ForbiddenError(f"{said}: check the etcd user, its password, its role and the prefix")
    if "compacted" in lowered:
        return CompactedError(said, compact_revision=Revision(0))
    if "lease not found" in lowered:
        return LeaseNotFoundError(said)
    return EtcdRefusedError(said)
