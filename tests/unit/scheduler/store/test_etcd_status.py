"""Which words of etcd allow which conclusion."""

import grpc
import pytest

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
from scheduler.store.etcd_status import TokenVerdict, error_of, judge_token

Code = grpc.StatusCode


@pytest.mark.parametrize(
    ("code", "details", "expected"),
    [
        pytest.param(
            Code.UNAVAILABLE,
            "failed to connect to all addresses; last error: UNKNOWN: Connection refused",
            NotAppliedError,
            id="a refused connection carried nothing",
        ),
        pytest.param(
            Code.UNAVAILABLE, "etcdserver: no leader", NoQuorumError, id="no leader, no proposal"
        ),
        pytest.param(
            Code.UNAVAILABLE, "Socket closed", AmbiguousError, id="a broken connection may have"
        ),
        pytest.param(
            Code.UNAVAILABLE,
            "etcdserver: request timed out, possibly due to previous leader failure",
            AmbiguousError,
            id="a proposal that timed out may still be applied",
        ),
        pytest.param(
            Code.DEADLINE_EXCEEDED, "Deadline Exceeded", AmbiguousError, id="our own time-out"
        ),
        pytest.param(
            Code.RESOURCE_EXHAUSTED,
            "etcdserver: mvcc: database space exceeded",
            NoSpaceError,
            id="no space",
        ),
        pytest.param(
            Code.RESOURCE_EXHAUSTED,
            "etcdserver: too many requests",
            NotAppliedError,
            id="refused at the door",
        ),
        pytest.param(
            Code.RESOURCE_EXHAUSTED,
            "Received message larger than max (5 vs. 4)",
            EtcdRefusedError,
            id="an answer too large for us",
        ),
        pytest.param(
            Code.OUT_OF_RANGE,
            "etcdserver: mvcc: required revision has been compacted",
            CompactedError,
            id="compacted",
        ),
        pytest.param(
            Code.NOT_FOUND,
            "etcdserver: requested lease not found",
            LeaseNotFoundError,
            id="a dead lease",
        ),
        pytest.param(
            Code.PERMISSION_DENIED, "etcdserver: permission denied", ForbiddenError, id="no right"
        ),
        pytest.param(
            Code.INVALID_ARGUMENT,
            "etcdserver: authentication failed, invalid user ID or password",
            ForbiddenError,
            id="a wrong password",
        ),
        pytest.param(
            Code.INVALID_ARGUMENT,
            "etcdserver: too many operations in txn request",
            EtcdRefusedError,
            id="a request that is wrong",
        ),
    ],
)
def test_error_of(code, details, expected):
    error = error_of(code, details, "h:2379")
    assert type(error) is expected
    assert "h:2379" in error.message
    assert details in error.message


@pytest.mark.parametrize(
    ("details", "verdict"),
    [
        ("etcdserver: invalid auth token", TokenVerdict.STALE),
        ("etcdserver: user name is empty", TokenVerdict.STALE),
        ("etcdserver: revision of auth store is old", TokenVerdict.STALE),
        ("etcdserver: permission denied", TokenVerdict.FINE),
    ],
)
def test_judge_token(details, verdict):
    assert judge_token(details) is verdict
