"""Methods of etcd's API that Berth calls: path on the wire, and how to read the answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from scheduler.store.etcdpb import etcd_pb2 as pb


class Message(Protocol):
    """What every generated message can do."""

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        """Return the wire form."""
        ...


Req = TypeVar("Req", bound=Message)
Resp = TypeVar("Resp", bound=Message)


@dataclass(frozen=True, slots=True)
class Method(Generic[Req, Resp]):
    """One method of etcd's API."""

    path: str
    decode: Callable[[bytes], Resp]
    encode: Callable[[Req], bytes]


RANGE: Final = Method(
    "/etcdserverpb.KV/Range", pb.RangeResponse.FromString, pb.RangeRequest.SerializeToString
)
TXN: Final = Method(
    "/etcdserverpb.KV/Txn", pb.TxnResponse.FromString, pb.TxnRequest.SerializeToString
)
COMPACT: Final = Method(
    "/etcdserverpb.KV/Compact",
    pb.CompactionResponse.FromString,
    pb.CompactionRequest.SerializeToString,
)
WATCH: Final = Method(
    "/etcdserverpb.Watch/Watch", pb.WatchResponse.FromString, pb.WatchRequest.SerializeToString
)
LEASE_GRANT: Final = Method(
    "/etcdserverpb.Lease/LeaseGrant",
    pb.LeaseGrantResponse.FromString,
    pb.LeaseGrantRequest.SerializeToString,
)
LEASE_REVOKE: Final = Method(
    "/etcdserverpb.Lease/LeaseRevoke",
    pb.LeaseRevokeResponse.FromString,
    pb.LeaseRevokeRequest.SerializeToString,
)
LEASE_KEEP_ALIVE: Final = Method(
    "/etcdserverpb.Lease/LeaseKeepAlive",
    pb.LeaseKeepAliveResponse.FromString,
    pb.LeaseKeepAliveRequest.SerializeToString,
)
AUTHENTICATE: Final = Method(
    "/etcdserverpb.Auth/Authenticate",
    pb.AuthenticateResponse.FromString,
    pb.AuthenticateRequest.SerializeToString,
)
STATUS: Final = Method(
    "/etcdserverpb.Maintenance/Status",
    pb.StatusResponse.FromString,
    pb.StatusRequest.SerializeToString,
)
ALARM: Final = Method(
    "/etcdserverpb.Maintenance/Alarm",
    pb.AlarmResponse.FromString,
    pb.AlarmRequest.SerializeToString,
)
DEFRAGMENT: Final = Method(
    "/etcdserverpb.Maintenance/Defragment",
    pb.DefragmentResponse.FromString,
    pb.DefragmentRequest.SerializeToString,
)
