"""When a burst that is not over yet is written and sent: the arithmetic. Pure.

Without bursts every turn is committed at once, unless another commit is under way. Within one the
same documents change turn after turn, and each commit means a message to every node in it; a
message costs the leader the same whether it holds one task or twenty
(docs/adr/0008-gather-in-bursts.md). So tasks are gathered until each node gets several at once, for
two seconds at most, or as long as the messages themselves would take: then these are sent while the
next ones gather. Users' changes do not wait for that, since records are committed without them.
"""

from dataclasses import dataclass
from enum import Enum, auto

from berth.model.instant import Instant
from scheduler.core.costs import turns_in_a_row

COMMIT_EVERY_S = 0.1
"""How long tasks gather at least in a burst, even if somebody waits for them, or nodes are few."""

COMMITS_AHEAD = 1
"""How many commits may be under way before the next one waits and grows instead: group commit.

A lone change is never held up by it. When many users call at once, the time that the store takes is
what gathers their calls: with two under way instead of one, the leader's cost of a small service is
a quarter higher and etcd's more than half. One commit of a burst is many transactions, of which
four are under way at once."""

READ_PATIENCE_S = 2.0
"""How long a read of what a burst has changed waits before the burst hurries for it. Up to some
3,000 nodes the burst's own commits come sooner, so that those who poll make no message thinner."""

MESSAGE_COST_S = 0.0006
"""About what a message to an agent and its answer cost the two, whatever is in them."""

FAT_MESSAGE_TASKS = 20
"""From here on, waiting for more tasks a message gains little."""

NODES_PER_SLICE = 10
"""How many nodes' documents and messages are made before others may run: a millisecond or two with
twenty tasks each, and a twelfth of what fits into one transaction."""

JOINING_PER_COMMIT = 32
"""How many sessions that have begun get their complete assignment set by one commit: thousands
begin at once when another scheduler has become leader, and its turns must go on meanwhile."""

GATHER_S = 2.0
GATHER_A_NODE_S = 0.003
"""How long tasks of a burst may gather: so long for each node that is to be told of something, two
seconds at most, or as long as the messages take, if that is more. On a busy machine turns are slow;
without this, each node would be told of a few tasks at a time, and the messages would make the
machine busier still. Where few nodes are told of anything there is nothing to gather: a new leader
to which all agents turn has long turns, too, and the first changes must not wait for their end."""


def is_commit_due(
    waited_s: float, *, undelivered: int, is_awaited: bool, tasks: int, nodes: int
) -> bool:
    """Return whether to write what a burst has changed so far, though it goes on.

    Args:
        waited_s: since the first placement that waits.
        undelivered: commits that are not durable yet; the store is not pressed further.
        is_awaited: whether somebody waits for more than records, and long if he reads.
        tasks: placed since the last commit.
        nodes: that have something to be told.
    """
    if waited_s < COMMIT_EVERY_S or undelivered >= COMMITS_AHEAD:
        return False
    if is_awaited or tasks >= nodes * FAT_MESSAGE_TASKS:
        return True
    return waited_s >= max(nodes * MESSAGE_COST_S, min(nodes * GATHER_A_NODE_S, GATHER_S))


class Due(Enum):
    """What is to be committed after a turn."""

    NOTHING = auto()
    RECORDS = auto()
    """What users wait for, without placements."""
    ALL = auto()


@dataclass(slots=True)
class CommitPace:
    """The pace of a loop of turns; `bench.core` goes at it as the leader does."""

    since: Instant
    """From when on changes gather: the first placement after the last commit, or that commit."""
    gathered: int = 0
    """Tasks placed since then."""

    def due(
        self,
        now: Instant,
        *,
        placed: int,
        is_unfinished: bool,
        undelivered: int,
        is_awaited: bool,
        has_changes: bool,
        nodes: int,
    ) -> Due:
        """Return what to commit after a turn, and count on it being committed.

        Args:
            now: when the turn began.
            placed: the tasks that it placed.
            is_unfinished: whether it left work for the next one.
            undelivered: as for `is_commit_due`.
            is_awaited: likewise.
            has_changes: whether a user waits for records.
            nodes: that have something to be told.
        """
        if placed and not self.gathered:
            # Else what the first turn of a burst placed would be told by itself, however long ago
            # the last commit was: a message more to each node.
            self.since = now
        self.gathered += placed
        is_over = not is_unfinished and undelivered < COMMITS_AHEAD
        if is_over or is_commit_due(
            now - self.since,
            undelivered=undelivered,
            is_awaited=is_awaited,
            tasks=self.gathered,
            nodes=nodes,
        ):
            self.since, self.gathered = now, 0
            return Due.ALL
        if has_changes and undelivered < COMMITS_AHEAD:
            return Due.RECORDS
        return Due.NOTHING


@dataclass(slots=True)
class TurnRow:
    """Short turns of a burst, between which others run for one round of the loop only."""

    taken: int = 0

    def ends(self, *, is_unfinished: bool, nodes: int) -> bool:
        """Count a turn; return whether a pause follows it.

        Args:
            is_unfinished: whether it left work for the next one.
            nodes: of the cluster.
        """
        self.taken += 1
        if is_unfinished and self.taken < turns_in_a_row(nodes):
            return False
        self.taken = 0
        return True
