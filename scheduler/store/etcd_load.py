"""Read everything under a prefix at one revision.

Duty: page through the keys so that no answer is huge and etcd's work stays small.
Not here: who may load and when (etcd_store).
For every page etcd counts all keys that are left, so small pages cost it time that grows with the
square of the keys; large ones cost memory on both sides. Pages therefore aim at 4 MiB.
"""

from typing import Final

from berth.model.ids import Revision
from scheduler.store.commit_txn import COMMIT_KEY, LEADER_PREFIX
from scheduler.store.errors import EtcdRefusedError
from scheduler.store.etcd_api import EtcdApi, prefix_end
from scheduler.store.etcdpb import etcd_pb2 as pb
from scheduler.store.port import StoreSnapshot

PAGE_BYTES: Final = 4 * 1024 * 1024
FIRST_PAGE_KEYS: Final = 2_000
PAGE_KEYS_MAX: Final = 50_000


async def load_entries(api: EtcdApi, prefix: str, revision: Revision) -> StoreSnapshot:
    """Return all documents under `prefix` as they were at `revision`.

    Args:
        api: the cluster.
        prefix: of all keys, with its final slash.
        revision: one that a linearizable read has shown.

    Raises:
        CompactedError: the revision was compacted away meanwhile; begin again with a newer one.
        EtcdCallError: etcd did not answer in time.
    """
    root = prefix.encode()
    end = prefix_end(root)
    skip = len(root)
    leaders = (prefix + LEADER_PREFIX).encode()
    commit_key = (prefix + COMMIT_KEY).encode()
    entries: dict[str, bytes] = {}
    start = root
    limit = FIRST_PAGE_KEYS
    while True:
        request = pb.RangeRequest(key=start, range_end=end, limit=limit, revision=revision)
        try:
            page = await api.range(request)
        except EtcdRefusedError as error:
            if limit == 1 or not _is_too_large(error):
                raise
            limit = max(1, limit // 8)  # The documents are far larger than those before them.
            continue
        size_bytes = 0
        for entry in page.kvs:
            size_bytes += len(entry.value)
            if entry.key != commit_key and not entry.key.startswith(leaders):
                entries[entry.key[skip:].decode()] = entry.value
        if not page.more:
            return StoreSnapshot(entries, revision)
        mean_bytes = max(1, size_bytes // len(page.kvs))
        limit = max(1, min(PAGE_BYTES // mean_bytes, PAGE_KEYS_MAX))
        start = page.kvs[-1].key + b"\0"


def _is_too_large(error: EtcdRefusedError) -> bool:
    """Tell whether gRPC refused the answer for its size."""
    return "larger than max" in error.message
