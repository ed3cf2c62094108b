"""Commits through a network that delays, reorders, loses and repeats: exactly once, in order.

On the model, in virtual time, from seeds. The pipeline under test is the real one.
"""

import asyncio
import random
from collections.abc import Callable

import pytest

from berth.errors import StaleEpochError
from scheduler.election.etcd_election import EtcdElection, EtcdLeadership
from scheduler.store.etcd_store import EtcdStore
from scheduler.store.etcdpb import etcd_pb2 as pb
from scheduler.store.port import Put, StoreState
from tests.fakes.fake_store import ModelClient, open_fake_store
from tests.fakes.model_etcd import ModelEtcd, dump
from tests.fakes.virtual_time import VirtualClock, run_virtually

SEEDS = range(40)
COMMITS = 150


def numbers_written(model: ModelEtcd, key: bytes) -> list[int]:
    """Return every value that `key` ever had, oldest first."""
    return [int(entry.value) for entry in model._history[key]]


def marks_written(model: ModelEtcd) -> list[tuple[int, int]]:
    """Return every (epoch, sequence) that was committed, oldest first."""
    marks = [entry.value.partition(b":") for entry in model._history[b"/berth/commit"]]
    return [(int(epoch), int(sequence)) for epoch, _, sequence in marks]


def bad_latency(rng: random.Random) -> Callable[[], float]:
    """Mostly quick; sometimes slow enough to be overtaken; rarely later than the time-out."""

    def latency_s() -> float:
        luck = rng.random()
        if luck < 0.03:
            return rng.uniform(2.0, 6.0)
        return rng.uniform(0.02, 0.4) if luck < 0.3 else rng.uniform(0.0005, 0.004)

    return latency_s


@pytest.mark.parametrize("seed", SEEDS)
def test_lost_late_and_overtaken_messages_change_nothing(seed):
    async def main() -> None:
        rng = random.Random(seed)
        clock = VirtualClock()
        model = ModelEtcd(clock)
        client = ModelClient(model, clock)
        store, leadership = await open_fake_store(client, ttl_s=600)
        client.faults.latency_s = bad_latency(rng)
        client.faults.loses_request = lambda: rng.random() < 0.06
        client.faults.loses_answer = lambda: rng.random() < 0.12
        futures = []
        for number in range(COMMITS):
            futures.append(store.commit_nowait([Put("n", b"%d" % number), Put(f"k{number}", b"")]))
            if rng.random() < 0.5:
                await clock.sleep(rng.uniform(0, 0.05))
        revisions = [await future for future in futures]
        await clock.sleep(10)  # Whatever is still under way arrives now.

        assert revisions == sorted(revisions)
        written = numbers_written(model, b"/berth/n")
        assert written == sorted(set(written)), "applied twice, or out of order"
        assert written[-1] == COMMITS - 1
        assert len(dump(model, b"/berth/k")) == COMMITS
        marks = marks_written(model)
        assert marks == [(leadership.epoch, n + 1) for n in range(len(marks))]
        for number, revision in enumerate(revisions):
            assert model._history[b"/berth/k%d" % number][0].mod_revision <= revision
        await store.aclose()

    run_virtually(main())


@pytest.mark.parametrize("seed", SEEDS[:16])
def test_leaders_that_are_cut_off_and_come_back_never_interleave(seed):
    async def main() -> None:
        rng = random.Random(seed)
        clock = VirtualClock()
        model = ModelEtcd(clock)
        acknowledged: list[str] = []
        leaderships: dict[str, EtcdLeadership] = {}
        loaded: dict[int, int] = {}  # The revision at which each epoch's leader began to know.

        def check_one_is_valid() -> None:
            valid = [name for name, it in leaderships.items() if it.is_valid()]
            assert len(valid) <= 1, f"{valid} are valid at once"

        async def scheduler(name: str, client: ModelClient) -> None:
            election = EtcdElection(client, "/berth/", name, f"{name}:1", 3, clock)
            for term in range(1000):
                leadership = leaderships[name] = await election.campaign()
                check_one_is_valid()
                store = EtcdStore(client, "/berth/", leadership, None, clock)
                try:
                    loaded[leadership.epoch] = (await store.load()).revision
                    for turn in range(10_000):
                        check_one_is_valid()
                        key = f"{name}-{term}-{turn}"
                        await store.commit_nowait([Put(key, b"%d" % leadership.epoch)])
                        acknowledged.append(key)
                        await clock.sleep(rng.uniform(0, 0.3))
                except StaleEpochError:
                    continue
                finally:
                    await store.aclose()

        async def chaos(clients: list[ModelClient]) -> None:
            for _ in range(25):
                await clock.sleep(rng.uniform(0.2, 6))
                client = rng.choice(clients)
                fault = rng.choice(["is_cut", "is_refused", "quorum", "space"])
                if fault == "quorum":
                    model.lose_quorum()
                elif fault == "space":
                    model.has_space = False
                else:
                    setattr(client.faults, fault, True)
                await clock.sleep(rng.uniform(0.2, 8))
                check_one_is_valid()
                if fault == "quorum":
                    model.regain_quorum()
                elif fault == "space":
                    model.has_space = True
                else:
                    setattr(client.faults, fault, False)

        clients = [ModelClient(model, clock) for _ in range(3)]
        for client in clients:
            client.faults.latency_s = bad_latency(rng)
            client.faults.loses_answer = lambda: rng.random() < 0.03
        async with asyncio.TaskGroup() as group:
            running = [
                group.create_task(scheduler(f"s{i}", client)) for i, client in enumerate(clients)
            ]
            await chaos(clients)
            before = len(acknowledged)
            await clock.sleep(60)
            assert len(acknowledged) > before, "healed, and yet nothing is committed"
            for task in running:
                task.cancel()

        entries = dump(model, b"/berth/")
        assert all(f"/berth/{key}".encode() in entries for key in acknowledged)
        marks = marks_written(model)
        assert marks == sorted(set(marks)), "an older epoch wrote after a newer one"
        by_epoch: dict[int, list[int]] = {}
        for epoch, sequence in marks:
            by_epoch.setdefault(epoch, []).append(sequence)
        assert all(s == list(range(1, len(s) + 1)) for s in by_epoch.values())
        assert len(by_epoch) > 1, "nothing ever changed hands"
        for entry in model._history[b"/berth/commit"]:
            epoch = int(entry.value.partition(b":")[0])
            unseen = [e for e, at in loaded.items() if e > epoch and at < entry.mod_revision]
            assert not unseen, f"epoch {epoch} wrote behind the back of {unseen}"

    run_virtually(main())


def test_an_outage_is_told_and_then_forgotten():
    async def main() -> None:
        clock = VirtualClock()
        model = ModelEtcd(clock)
        client = ModelClient(model, clock)
        store, _ = await open_fake_store(client, ttl_s=60)
        await store.commit_nowait([Put("a", b"1")])

        async def outage(begin: Callable[[], None], end: Callable[[], None]) -> StoreState:
            begin()
            waiting = store.commit_nowait([Put("a", b"2")])
            await clock.sleep(2)
            states = set()
            for _ in range(300):
                await clock.sleep(0.01)
                states.add(store.health.state)
            assert not waiting.done()
            (state,) = states  # It does not waver while the store is looked at.
            assert store.health.last_error
            end()
            await waiting
            assert store.health.state is StoreState.OK
            return state

        def set_space(*, has_space: bool) -> None:
            model.has_space = has_space

        def refuse(*, is_refused: bool) -> None:
            client.faults.is_refused = is_refused

        assert await outage(model.lose_quorum, model.regain_quorum) is StoreState.NO_QUORUM
        assert (
            await outage(lambda: set_space(has_space=False), lambda: set_space(has_space=True))
            is StoreState.NO_SPACE
        )
        assert (
            await outage(lambda: refuse(is_refused=True), lambda: refuse(is_refused=False))
            is StoreState.UNREACHABLE
        )
        await store.aclose()

    run_virtually(main())


def test_a_write_that_was_applied_and_refused_for_space_is_not_repeated():
    """etcd applies the write that reaches the quota, and answers that there is no space."""

    async def main() -> None:
        clock = VirtualClock()
        model = ModelEtcd(clock)
        client = ModelClient(model, clock)
        store, _ = await open_fake_store(client, ttl_s=60)
        await store.commit_nowait([Put("n", b"0")])
        client.faults.loses_answer = lambda: True
        waiting = store.commit_nowait([Put("n", b"1")])
        await clock.sleep(0.5)
        client.faults.loses_answer = lambda: False
        model.has_space = False
        await waiting  # Found by looking, for no write is accepted.
        assert numbers_written(model, b"/berth/n") == [0, 1]
        await store.aclose()

    run_virtually(main())


def test_nothing_is_sent_once_the_lease_may_have_run_out():
    class CountingClient(ModelClient):
        sent = 0

        async def txn(self, request: pb.TxnRequest) -> pb.TxnResponse:
            self.sent += 1
            return await super().txn(request)

    async def main() -> None:
        clock = VirtualClock()
        model = ModelEtcd(clock)
        client = CountingClient(model, clock)
        store, leadership = await open_fake_store(client, ttl_s=5)
        await store.commit_nowait([Put("n", b"0")])
        client.faults.is_cut = True
        await clock.sleep(4.5)
        assert not leadership.is_valid()
        sent_before = client.sent
        with pytest.raises(StaleEpochError):
            await store.commit_nowait([Put("n", b"1")])
        assert leadership.lost.is_set()
        assert client.sent == sent_before
        await store.aclose()

    run_virtually(main())
