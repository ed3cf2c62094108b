"""What a scheduler's users read from another one travels on one stream, and nothing is lost."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import grpc.aio
import pytest

from berth.clock import SystemClock
from berth.errors import InvalidRequestError, NotFoundError, UnavailableError
from berth.v1 import control_pb2 as pb
from berth.v1 import line_pb2, line_pb2_grpc
from berth.wire.channel import make_server, open_channel
from berth.wire.status import refusal_to_proto
from scheduler.control import line_answers
from scheduler.control.line import AskAloneError, Line, LineLostError
from tests.builders import a_spec
from tests.unit.scheduler.control.harness import DIGEST_A, create, leading, serving
from tests.unit.scheduler.control.test_forward import call, names

ASK = pb.ListServicesRequest().SerializeToString()


class Desk(line_pb2_grpc.LineServicer):
    """The other end, which answers as a test wants."""

    def __init__(self):
        self.streams = 0
        self.messages = []
        self.open = 0
        self.answer = lambda question: {"message": question.request}

    async def Ask(self, request_iterator, context):  # noqa: N802
        self.streams += 1
        self.open += 1
        try:
            async for questions in request_iterator:
                self.messages.append([each.method for each in questions.questions])
                for each in questions.questions:
                    said = self.answer(each)
                    if said is None:
                        return
                    answers = [line_pb2.Answer(id=each.id, **said)] if said else []
                    await context.write(line_pb2.Answers(answers=answers))
        finally:
            self.open -= 1


@asynccontextmanager
async def desk(*, idle_s=5.0, has_line=True):
    """Yield the other end, a channel to it, and a line that runs."""
    server, found = make_server(), Desk()
    if has_line:
        line_pb2_grpc.add_LineServicer_to_server(found, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    line = Line(idle_s)
    running = asyncio.ensure_future(line.run())
    async with open_channel(f"127.0.0.1:{port}", None) as channel:
        await asyncio.sleep(0)
        try:
            yield found, channel, line, running
        finally:
            running.cancel()
            await asyncio.wait([running])
            await server.stop(0)


async def until(holds):
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.005)


def test_questions_share_one_stream_and_those_that_come_together_one_message():
    async def scenario():
        async with desk() as (found, channel, line, _):
            assert await line.ask(channel, "ListNodes", b"1", 5.0) == b"1"
            asked = [line.ask(channel, "ListTasks", b"%d" % n, 5.0) for n in range(20)]
            assert await asyncio.gather(*asked) == [b"%d" % n for n in range(20)]
            assert found.streams == 1
            assert sorted(map(len, found.messages))[-1] > 1

    asyncio.run(scenario())


def test_a_refusal_arrives_as_what_it_is():
    async def scenario():
        async with desk() as (found, channel, line, _):
            refusal = refusal_to_proto(NotFoundError("service x is not here"))
            found.answer = lambda question: {"refusal": refusal}
            with pytest.raises(NotFoundError, match="service x is not here"):
                await line.ask(channel, "GetService", b"", 5.0)
            found.answer = lambda question: {"ask_alone": True}
            with pytest.raises(AskAloneError):
                await line.ask(channel, "GetService", b"", 5.0)

    asyncio.run(scenario())


def test_when_the_other_side_ends_the_stream_who_waits_is_told_and_the_next_gets_another():
    async def scenario():
        async with desk() as (found, channel, line, _):
            found.answer = lambda question: None
            with pytest.raises(LineLostError):
                await line.ask(channel, "ListNodes", b"", 5.0)
            found.answer = lambda question: {"message": b"well"}
            assert await line.ask(channel, "ListNodes", b"", 5.0) == b"well"
            assert found.streams == 2

    asyncio.run(scenario())


def test_a_channel_that_is_closed_meanwhile_loses_nobody():
    async def scenario():
        async with desk() as (found, channel, line, _):
            found.answer = lambda question: {}
            asked = asyncio.ensure_future(line.ask(channel, "ListNodes", b"", 5.0))
            await until(lambda: found.messages)
            await channel.close()
            with pytest.raises(LineLostError):
                await asked

    asyncio.run(scenario())


def test_a_channel_that_was_closed_before_ends_its_question_and_not_the_line():
    async def scenario():
        async with (
            desk() as (_, channel, line, running),
            desk() as (_, other, _, _),
        ):
            await channel.close()
            with pytest.raises(LineLostError):
                await line.ask(channel, "ListNodes", b"", 5.0)
            assert not running.done()
            assert await line.ask(other, "ListNodes", b"2", 5.0) == b"2"

    asyncio.run(scenario())


def test_another_channel_is_asked_on_a_line_of_its_own():
    async def scenario():
        async with (
            desk() as (one, channel, line, _),
            desk() as (two, other, _, _),
        ):
            one.answer = lambda question: {}
            lost = asyncio.ensure_future(line.ask(channel, "ListNodes", b"", 5.0))
            await until(lambda: one.messages)
            assert await line.ask(other, "ListNodes", b"2", 5.0) == b"2"
            with pytest.raises(LineLostError):
                await lost
            await until(lambda: one.open == 0)
            assert two.streams == 1

    asyncio.run(scenario())


def test_a_leader_of_an_older_version_is_not_asked_so_again():
    async def scenario():
        async with desk(has_line=False) as (_, channel, line, _):
            assert line.takes(channel)
            with pytest.raises(LineLostError):
                await line.ask(channel, "ListNodes", b"", 5.0)
            assert not line.takes(channel)

    asyncio.run(scenario())


def test_a_line_that_nobody_uses_is_let_go_and_laid_again():
    async def scenario():
        async with desk(idle_s=0.05) as (found, channel, line, _):
            for count in (1, 2):
                assert await line.ask(channel, "ListNodes", b"x", 5.0) == b"x"
                await until(lambda: found.open == 0)
                assert found.streams == count

    asyncio.run(scenario())


def test_who_waits_too_long_or_goes_away_is_forgotten():
    async def scenario():
        async with desk(idle_s=0.05) as (found, channel, line, _):
            found.answer = lambda question: {}
            with pytest.raises(UnavailableError, match=r"within 0\.05 s"):
                await line.ask(channel, "ListNodes", b"", 0.05)
            before = len(found.messages)  # It may have been given up before it was sent.
            asked = asyncio.ensure_future(line.ask(channel, "ListNodes", b"", None))
            await until(lambda: len(found.messages) > before)
            asked.cancel()
            await until(lambda: found.open == 0)  # It is idle: nobody waits any more.

    asyncio.run(scenario())


def test_when_it_stops_who_waits_is_told_and_nothing_is_taken_any_more():
    async def scenario():
        async with desk() as (found, channel, line, running):
            found.answer = lambda question: {}
            asked = asyncio.ensure_future(line.ask(channel, "ListNodes", b"", 5.0))
            await until(lambda: found.messages)
            running.cancel()
            with pytest.raises(LineLostError, match="stops"):
                await asked
            with pytest.raises(asyncio.CancelledError):
                await running
            assert not line.takes(channel)

    asyncio.run(scenario())


def cluster(scenario, **options):
    """Run `scenario(leader, follower, led)`: two servers, of which the first leads."""

    async def run():
        async with AsyncExitStack() as stack:
            led = await stack.enter_async_context(leading(SystemClock()))
            one = await stack.enter_async_context(serving("s1", **options))
            two = await stack.enter_async_context(serving("s2"))
            for scheduler in (one, two):
                scheduler.registry.push("app:1", DIGEST_A)
            one.leads(led)
            one.knows(one)
            two.knows(one)
            await scenario(one, two, led)

    asyncio.run(run())


def test_reads_of_a_follower_are_answered_and_refused_as_calls_of_their_own_are():
    async def scenario(leader, follower, led):
        await call(follower, "CreateService", create(a_spec()))
        assert await names(follower) == await names(leader) == ["web"]
        for scheduler in (leader, follower):
            with pytest.raises(NotFoundError, match="nobody"):
                await call(scheduler, "GetService", pb.GetServiceRequest(name="nobody"))
            method = scheduler.channel.unary_unary("/berth.v1.Control/GetService")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await method(b"\xff\xff\xff", timeout=60)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    cluster(scenario)


def test_what_is_too_large_for_the_line_comes_by_a_call_of_its_own(monkeypatch):
    monkeypatch.setattr(line_answers, "LARGE_BYTES", 10)

    async def scenario(leader, follower, led):
        await call(follower, "CreateService", create(a_spec()))
        assert await names(follower) == ["web"]

    cluster(scenario)


def test_a_leader_without_a_line_is_asked_by_calls():
    async def scenario(leader, follower, led):
        await call(follower, "CreateService", create(a_spec()))
        assert await names(follower) == ["web"]

    cluster(scenario, has_line=False)


def test_a_renewed_certificate_lays_the_line_anew():
    async def scenario(leader, follower, led):
        assert await names(follower) == []
        follower.forwarder.renew_channels()
        assert await names(follower) == []

    cluster(scenario)


def test_who_asks_for_what_is_no_read_is_sent_away():
    async def scenario(leader, follower, led):
        line = line_pb2_grpc.LineStub(leader.channel).Ask()
        for method in ("CreateService", "ServiceLogs", "Nonsense"):
            questions = [line_pb2.Question(id=1, method=method, request=ASK)]
            await line.write(line_pb2.Questions(questions=questions))
            assert (await line.read()).answers[0].ask_alone
        assert not led.leader.state.services
        line.cancel()

    cluster(scenario)


def test_one_question_that_crashes_does_not_end_the_others():
    async def scenario(leader, follower, led):
        def crash(*_):
            raise ZeroDivisionError

        leader.service.ListNodes = crash
        line = line_pb2_grpc.LineStub(leader.channel).Ask()
        questions = [
            line_pb2.Question(id=1, method="ListNodes", request=ASK),
            line_pb2.Question(id=2, method="ListServices", request=ASK),
        ]
        await line.write(line_pb2.Questions(questions=questions))
        found = {}
        while len(found) < 2:
            found |= {each.id: each for each in (await line.read()).answers}
        assert "the leader's log tells more" in found[1].refusal.text
        assert pb.ListServicesResponse.FromString(found[2].message) is not None
        line.cancel()

    cluster(scenario)


def test_invalid_requests_bear_their_faults_over_the_line():
    error = InvalidRequestError("no good")
    refusal = refusal_to_proto(error)
    assert (refusal.code, refusal.text) == ("INVALID_ARGUMENT", "no good")
