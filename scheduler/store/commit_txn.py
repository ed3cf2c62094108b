"""The form of a commit in etcd: fence, order and exactly-once in one compare. No I/O.

Duty: build the transactions of one leadership and read their answers.
Not here: sending and repeating them (etcd_store), packing (commit_queue).

Transaction n of epoch e compares
    create_revision(leader key) == e           nobody else leads (the fence)
    value(<prefix>commit) == "e:n-1"           all before it are applied, and it is not (the order)
and sets <prefix>commit to "e:n" beside its changes. The first one compares the mod_revision that
the commit key had when the leadership began. So a transaction may arrive twice, late, or before
its predecessor: it takes effect once, in its place, or not at all; and the commit key tells which.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from berth.model.ids import Epoch, Revision
from scheduler.store.etcd_api import prefix_end
from scheduler.store.etcdpb import etcd_pb2 as pb
from scheduler.store.port import Change, Put

LEADER_PREFIX: Final = "leader/"
COMMIT_KEY: Final = "commit"


@dataclass(frozen=True, slots=True)
class Seen:
    """Who leads, and how far an epoch's commits have come, at one revision."""

    leader: Epoch | None
    sequence: int  # The newest transaction of our epoch that is applied; 0 for none.
    commit_revision: Revision  # When the commit key was last written, by whomever; 0 for never.
    revision: Revision  # The store's, when we looked.


class CommitForm:
    """Builds and reads the transactions of one leadership."""

    def __init__(self, prefix: str, leader_key: str, epoch: Epoch) -> None:
        self._prefix = prefix.encode()
        self._leader_key = leader_key.encode()
        self._commit_key = (prefix + COMMIT_KEY).encode()
        self._epoch = epoch
        leaders = (prefix + LEADER_PREFIX).encode()
        self._look_ops = (
            pb.RequestOp(
                request_range=pb.RangeRequest(
                    key=leaders,
                    range_end=prefix_end(leaders),
                    limit=1,
                    sort_order=pb.RangeRequest.ASCEND,
                    sort_target=pb.RangeRequest.CREATE,
                )
            ),
            pb.RequestOp(request_range=pb.RangeRequest(key=self._commit_key)),
        )
        self._fence = pb.Compare(
            result=pb.Compare.EQUAL,
            target=pb.Compare.CREATE,
            key=self._leader_key,
            create_revision=epoch,
        )

    def look(self) -> pb.TxnRequest:
        """Return a transaction that only reads who leads and how far the commits are."""
        return pb.TxnRequest(success=self._look_ops)

    def first(self, changes: Iterable[Change], commit_revision: Revision) -> pb.TxnRequest:
        """Return transaction 1, for a commit key last written at `commit_revision`."""
        compare = pb.Compare(
            result=pb.Compare.EQUAL,
            target=pb.Compare.MOD,
            key=self._commit_key,
            mod_revision=commit_revision,
        )
        return self._request(compare, changes, sequence=1)

    def next(self, changes: Iterable[Change], sequence: int) -> pb.TxnRequest:
        """Return transaction `sequence`, from 2 on."""
        compare = pb.Compare(
            result=pb.Compare.EQUAL,
            target=pb.Compare.VALUE,
            key=self._commit_key,
            value=self._mark(sequence - 1),
        )
        return self._request(compare, changes, sequence)

    def seen(self, response: pb.TxnResponse) -> Seen:
        """Read the answer of `look`, or of a commit that was refused."""
        leaders = response.responses[0].response_range.kvs
        commits = response.responses[1].response_range.kvs
        return Seen(
            leader=Epoch(leaders[0].create_revision) if leaders else None,
            sequence=self._sequence_of(commits),
            commit_revision=Revision(commits[0].mod_revision if commits else 0),
            revision=Revision(response.header.revision),
        )

    def _request(
        self, compare: pb.Compare, changes: Iterable[Change], sequence: int
    ) -> pb.TxnRequest:
        success = [self._operation(change) for change in changes]
        mark = pb.PutRequest(key=self._commit_key, value=self._mark(sequence))
        success.append(pb.RequestOp(request_put=mark))
        return pb.TxnRequest(
            compare=(self._fence, compare), success=success, failure=self._look_ops
        )

    def _operation(self, change: Change) -> pb.RequestOp:
        key = self._prefix + change.key.encode()
        if isinstance(change, Put):
            return pb.RequestOp(request_put=pb.PutRequest(key=key, value=change.value))
        return pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=key))

    def _mark(self, sequence: int) -> bytes:
        return b"%d:%d" % (self._epoch, sequence)

    def _sequence_of(self, commits: Sequence[pb.KeyValue]) -> int:
        if not commits:
            return 0
        epoch, _, sequence = commits[0].value.partition(b":")
        return int(sequence) if epoch == b"%d" % self._epoch else 0
