"""A scheduler process reduced to its candidacy, for tests that kill or freeze it.

Campaigns again and again; while it leads it commits a counter. Prints one JSON line for each
moment in which it took itself for the leader, and one for each event.
`python -m tests.contract.candidate URL PREFIX NAME TTL_S`
"""

import asyncio
import json
import sys

from berth.clock import SystemClock
from berth.errors import StaleEpochError
from scheduler.election.etcd_election import EtcdElection
from scheduler.store.etcd_client import EtcdClient
from scheduler.store.etcd_settings import EtcdSettings
from scheduler.store.etcd_store import EtcdStore
from scheduler.store.port import Put

CLOCK = SystemClock()


def tell(**fields: object) -> None:
    sys.stdout.write(json.dumps({"at": CLOCK.instant(), **fields}) + "\n")
    sys.stdout.flush()


async def main(url: str, prefix: str, name: str, ttl_s: int) -> None:
    client = EtcdClient(EtcdSettings(endpoints=tuple(url.split(","))), CLOCK)
    election = EtcdElection(client, prefix, name, f"{name}.test:7701", ttl_s, CLOCK)
    while True:
        leadership = await election.campaign()
        tell(event="won", epoch=leadership.epoch)
        store = EtcdStore(client, prefix, leadership, None, CLOCK)
        try:
            while True:
                asked_at = CLOCK.instant()
                if leadership.is_valid():
                    # Valid when asked, so valid at every moment since `asked_at`.
                    tell(event="valid", since=asked_at, epoch=leadership.epoch)
                await store.commit_nowait([Put("by", b"%d" % leadership.epoch)])
                await asyncio.sleep(0.01)
        except StaleEpochError as error:
            tell(event="refused", epoch=leadership.epoch, error=str(error))
        await store.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
