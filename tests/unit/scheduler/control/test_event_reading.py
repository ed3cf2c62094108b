"""A listener is told of what is durable, once, in order, also under the next leader."""

import asyncio
from contextlib import AsyncExitStack, aclosing

import pytest

from berth.errors import BerthError, NotLeaderError
from berth.model.ids import ServiceId
from berth.model.instant import Timestamp
from berth.model.network import NetworkSpec
from berth.v1 import control_pb2 as pb
from scheduler.control.event_reading import watch_events
from scheduler.core import chronicle as chronicles
from scheduler.core import commands, networks
from tests.builders import a_spec
from tests.fakes.model_etcd import ModelEtcd
from tests.fakes.virtual_time import VirtualClock, run_virtually
from tests.unit.scheduler.control.harness import leading
from tests.unit.scheduler.control.test_in_process import client_of, cluster

LAN = NetworkSpec("lan")


def play(story):
    """Run `story(clock, model)` on virtual time."""

    async def main():
        clock = VirtualClock()
        return await story(clock, ModelEtcd(clock))

    return run_virtually(main())


class ClockBehind(VirtualClock):
    """Another machine's clock."""

    def timestamp(self):
        return Timestamp(super().timestamp() - 500.0)


class Listener:
    """Takes down what a stream brings."""

    def __init__(self, led, clock, **request):
        self.batches = []
        self.ended = None
        request = pb.WatchEventsRequest(**{"follow": True, **request})
        self._stream = watch_events(led.leader, request, clock)
        self._running = asyncio.ensure_future(self._take())

    async def _take(self):
        try:
            async with aclosing(self._stream) as batches:
                async for batch in batches:
                    self.batches.append(batch)
        except BerthError as error:
            self.ended = error

    @property
    def events(self):
        return [event for batch in self.batches for event in batch.events]

    @property
    def times(self):
        return [(e.object if e.HasField("object") else e.task).time_ns for e in self.events]

    @property
    def told(self):
        return [
            f"{e.object.kind} {e.object.action}" if e.HasField("object") else "task"
            for e in self.events
        ]

    async def close(self):
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)


def create(led, name="web", replicas=0):
    spec = a_spec(name, replicas=replicas)
    return led.leader.perform(
        lambda state, now: commands.create_service(state, ServiceId(name), spec, b"", now)
    )


def test_the_first_batch_comes_at_once_and_the_rest_once_it_is_durable():
    async def story(clock, model):
        async with leading(clock, model) as led:
            await create(led, "old")
            led.client.faults.is_cut = True
            listener = Listener(led, clock)
            await clock.sleep(0.001)
            assert len(listener.batches) == 1
            assert listener.batches[0].epoch == led.leader.epoch
            asking = asyncio.ensure_future(create(led))
            await clock.sleep(2)
            assert listener.told == [], "the store has not confirmed it"
            led.client.faults.is_cut = False
            await asking
            await clock.sleep(1)
            assert listener.told == ["service create"]
            await listener.close()

    play(story)


def test_what_a_leader_could_not_store_is_never_told():
    async def story(clock, model):
        async with leading(clock, model) as led:
            listener = Listener(led, clock)
            await clock.sleep(0.1)
            for lease in list(model._leases):
                model.lease_revoke(lease)
            with pytest.raises(BerthError):
                await create(led)
            await clock.sleep(0.1)
            assert listener.told == []
            assert isinstance(listener.ended, NotLeaderError)

    play(story)


def test_tasks_are_told_to_those_who_ask():
    async def story(clock, model):
        async with leading(clock, model) as led:
            led.join("n1")
            all_of_it = Listener(led, clock, with_tasks=True)
            objects = Listener(led, clock)
            await clock.sleep(0.1)
            await create(led, replicas=2)
            led.run_all()
            await clock.sleep(1)
            assert set(objects.told) == {"service create"}
            tasks = [e.task for e in all_of_it.events if e.HasField("task")]
            last = {task.id: task for task in tasks}
            assert [task.observed for task in last.values()] == [512, 512]
            assert {task.service_name for task in tasks} == {"web"}
            assert sorted(task.slot for task in last.values()) == [1, 2]
            assert all(task.node_id for task in last.values())
            new = [task for task in tasks if not task.HasField("observed_before")]
            assert [task.node_id for task in new] == ["", ""], "it had no node when it was new"
            assert all_of_it.times == sorted(set(all_of_it.times))
            for listener in (all_of_it, objects):
                await listener.close()

    play(story)


@pytest.mark.parametrize("cut", range(1, 8))
def test_who_comes_back_to_the_same_leader_gets_exactly_what_it_missed(cut):
    async def story(clock, model):
        async with leading(clock, model) as led:
            led.join("n1")
            whole = Listener(led, clock, with_tasks=True)
            await create(led, replicas=2)
            led.run_all()
            await clock.sleep(1)
            seen = whole.times[:cut]
            rest = Listener(led, clock, with_tasks=True, since_ns=seen[-1] + 1)
            plain = Listener(led, clock, with_tasks=True, since_ns=seen[-1], follow=False)
            await create(led, "more")
            await clock.sleep(1)
            assert seen + rest.times == whole.times
            assert rest.times == plain.times[1:] + rest.times[len(plain.times) - 1 :]
            assert plain.times[0] == seen[-1], "as Docker's --since: with the event of that time"
            for listener in (whole, rest):
                await listener.close()

    play(story)


def test_the_next_leader_tells_of_objects_what_was_missed_though_its_clock_is_behind():
    async def story(clock, model):
        async with leading(clock, model) as led:
            listener = Listener(led, clock)
            await clock.sleep(0.1)
            await create(led, "a")
            await clock.sleep(1)
            await create(led, "b")  # Durable, and perhaps not told any more.
            await listener.close()
            first_epoch = led.leader.epoch
            missed = pb.WatchEventsRequest(
                follow=True, since_ns=listener.times[0] + 10**15, epoch=first_epoch,
                told_object_ns=listener.times[0],
            )  # fmt: skip
        clock = ClockBehind()
        async with leading(clock, model, name="s2") as led:
            more = Listener(
                led, clock, since_ns=missed.since_ns, epoch=missed.epoch,
                told_object_ns=missed.told_object_ns,
            )  # fmt: skip
            await create(led, "c")
            await clock.sleep(1)
            assert [e.object.attributes["name"] for e in more.events] == ["b", "c"]
            assert more.times == sorted(set(more.times))
            assert more.batches[0].epoch != first_epoch
            by_time = Listener(led, clock, since_ns=listener.times[0], follow=False)
            await clock.sleep(1)
            names = [e.object.attributes["name"] for e in by_time.events]
            assert names == ["a", "b", "c"], "what was told before has its time still"
            await more.close()

    play(story)


def test_of_tasks_the_next_leader_tells_all_that_it_noted():
    async def story(clock, model):
        async with leading(clock, model) as led:
            led.join("n1")
            await create(led, replicas=1)
            await clock.sleep(1)
            epoch, position_ns = led.leader.epoch, led.leader.events.durable_ns
        async with leading(clock, model, name="s2") as led:
            led.join("n1")
            led.run_all()
            await clock.sleep(1)
            late = Listener(
                led, clock, with_tasks=True, since_ns=position_ns + 10**15, epoch=epoch,
                told_object_ns=position_ns,
            )  # fmt: skip
            await clock.sleep(1)
            assert [e.task.observed for e in late.events if e.HasField("task")] == [512]
            assert late.batches[0].tasks_from_ns > position_ns
            await late.close()

    play(story)


def test_a_reader_that_is_slower_than_the_chronicle_forgets_can_tell():
    async def story(clock, model):
        async with leading(clock, model) as led:
            for number in range(chronicles.OBJECTS_MAX + 10):
                led.leader.state.chronicle.note("node", "update", f"n{number}", {})
            await led.leader.settled()
            listener = Listener(led, clock, since_ns=1, follow=False)
            await clock.sleep(600)
            assert len(listener.events) == chronicles.OBJECTS_MAX
            assert listener.batches[0].objects_from_ns == listener.times[0]
            assert max(len(batch.events) for batch in listener.batches) <= 256

    play(story)


def test_a_listening_client_does_not_hasten_commits():
    """Who listens is no user who waits: a burst gathers as if nobody did."""

    async def story(clock, model):
        async with leading(clock, model) as led:
            listener = Listener(led, clock)
            await clock.sleep(0.1)
            assert not led.leader._waiters.has_any
            networks.create_network(led.leader.state, LAN, led.leader.now())
            await clock.sleep(0)
            assert not led.leader._waiters.has_any
            await clock.sleep(1)
            assert listener.told == ["network create"]
            await listener.close()

    play(story)


def test_it_is_the_same_through_a_scheduler_that_does_not_lead():
    async def scenario(leader, follower, led):
        async with AsyncExitStack() as stack:
            streams = [
                await stack.enter_async_context(
                    aclosing(client_of(each).watch_events(follow=True, with_tasks=True))
                )
                for each in (leader, follower)
            ]
            firsts = [await anext(stream) for stream in streams]
            assert {first.epoch for first in firsts} == {led.leader.epoch}
            led.join("n1")
            await client_of(follower).create_network(LAN)
            found = []
            for stream in streams:
                events = []
                while len(events) < 2:
                    events += (await anext(stream)).events
                found.append(events)
            assert found[0] == found[1]
            assert [event.kind for event in found[0]] == ["node", "network"]

    cluster(scenario)


def test_a_new_leader_is_asked_after_the_old_one():
    async def scenario(leader, follower, led):
        async with aclosing(client_of(follower).watch_events(follow=True, with_tasks=False)) as s:
            await anext(s)
            asking = asyncio.ensure_future(anext(s))
            await asyncio.sleep(0.05)
            leader.leads(None)
            await led.end()
            with pytest.raises(BerthError):
                await asking

    cluster(scenario)
