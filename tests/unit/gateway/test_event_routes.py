"""GET /events: what is remembered, what comes, and how it ends."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

import pytest

from berth.errors import NoLeaderError
from gateway import events as feeds
from tests.unit.gateway.asking import docker_api, with_api


@dataclass
class Listening:
    """A client that listens."""

    status: int = 0
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    is_over: bool = False
    is_broken: bool = False
    has_begun: asyncio.Event = field(default_factory=asyncio.Event)
    has_more: asyncio.Event = field(default_factory=asyncio.Event)
    may_read: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self):
        self.may_read.set()

    @property
    def told(self):
        """Kind, action and ID of each event so far."""
        return [f"{e['Type']} {e['Action']} {e['Actor']['ID']}" for e in self.events]

    @property
    def events(self):
        return [json.loads(line.lstrip(b"\x1e")) for line in self.body.splitlines()]

    async def until(self, condition):
        async with asyncio.timeout(20):
            while not condition():
                self.has_more.clear()
                await self.has_more.wait()


@asynccontextmanager
async def listening(api, *, headers=(), **query):
    """Listen until the block is left; the first answer of the server has come."""
    it = Listening()
    gone = asyncio.Event()
    query = {k: v if isinstance(v, str) else json.dumps(v) for k, v in query.items()}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/v1.51/events",
        "raw_path": b"/v1.51/events",
        "query_string": urlencode(query).encode(),
        "root_path": "",
        "headers": [(k.encode(), v.encode()) for k, v in dict(headers).items()],
        "client": None,
        "server": None,
    }

    async def receive():
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        await it.may_read.wait()
        if message["type"] == "http.response.start":
            it.status = message["status"]
            it.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            it.has_begun.set()
        else:
            it.body += message.get("body", b"")
        it.has_more.set()

    async def serve():
        try:
            await api.app(scope, receive, send)
        except Exception:  # What uvicorn answers by closing the connection.
            it.is_broken = True
        finally:
            it.is_over = True
            it.has_begun.set()
            it.has_more.set()

    serving = asyncio.ensure_future(serve())
    try:
        async with asyncio.timeout(20):
            await it.has_begun.wait()
        yield it
    finally:
        gone.set()
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def fed(test):
    """Run a test with an API whose feed runs."""

    @with_api
    async def run(api):
        feeding = asyncio.ensure_future(api.gateway.events.run())
        try:
            await test(api)
        finally:
            feeding.cancel()
            ended = await asyncio.gather(feeding, return_exceptions=True)
        assert isinstance(ended[0], asyncio.CancelledError), ended

    run.__name__ = test.__name__
    return run


@fed
async def test_a_listener_hears_what_happens_from_now_on(api):
    api.control.happen("service", "create", "old")
    async with listening(api) as one:
        assert (one.status, one.headers["content-type"]) == (200, "application/json")
        assert one.body == b"", "headers leave before there is anything to tell"
        api.control.happen("service", "create", "web")
        api.control.task_happens("t1", None, 64)
        await one.until(lambda: len(one.told) == 2)
        assert one.told == ["service create web", "task create t1"]


@fed
async def test_one_stream_serves_all_listeners_and_ends_with_the_last(api):
    async with listening(api) as one, listening(api) as two:
        api.control.happen("node", "update", "n1")
        await one.until(lambda: one.told)
        await two.until(lambda: two.told)
        assert api.control.watching == 1
    while api.control.watching:
        await asyncio.sleep(0.01)


@fed
async def test_tasks_are_asked_for_only_while_somebody_wants_them(api):
    async with listening(api, filters={"type": ["service"]}) as one:
        assert not any(asked.with_tasks for asked in api.control.events_asked)
        api.control.happen("service", "create", "a")
        async with listening(api) as two:
            api.control.task_happens("t1", None, 64)
            api.control.happen("service", "create", "b")
            await two.until(lambda: len(two.told) == 2)
            assert two.told == ["task create t1", "service create b"]
        api.control.happen("service", "create", "c")
        await one.until(lambda: len(one.told) == 3)
        assert one.told == ["service create a", "service create b", "service create c"]


@fed
async def test_who_comes_back_is_told_what_it_missed_and_then_what_comes(api):
    times = [api.control.happen("service", "update", f"s{n}") for n in range(4)]
    async with listening(api, since=f"0.{times[1]:09}") as one:
        api.control.happen("service", "update", "s4")
        await one.until(lambda: len(one.told) == 4)
        assert one.told == [f"service update s{n}" for n in (1, 2, 3, 4)]
        assert one.events[0]["timeNano"] == times[1], "to the nanosecond"


@fed
async def test_until_a_time_that_is_past_only_what_is_remembered_is_told(api):
    times = [api.control.happen("service", "update", f"s{n}") for n in range(4)]
    async with listening(api, since=f"0.{times[1]:09}", until=f"0.{times[2]:09}") as one:
        await one.until(lambda: one.is_over)
        assert one.told == ["service update s1", "service update s2"]
    async with listening(api, until=f"0.{times[0]:09}") as one:
        await one.until(lambda: one.is_over)
        assert one.told == ["service update s0"], "as Docker, from the beginning"
    assert not one.is_broken


@fed
async def test_until_a_time_to_come_it_listens_till_then(api):
    until = api.gateway.clock.timestamp() + 0.2
    async with listening(api, until=f"{until:.9f}") as one:
        api.control.happen("service", "create", "web")
        await one.until(lambda: one.is_over)
        assert not one.is_broken
        assert one.told == ["service create web"]


@fed
async def test_what_is_not_remembered_is_told_to_be_missing(api):
    api.control.objects_from_ns, api.control.tasks_from_ns = 900, 950
    async with listening(api, since="0.000000800") as one:
        await one.until(lambda: len(one.told) == 2)
        missed = [event["Actor"]["Attributes"]["missed"] for event in one.events]
        assert missed == ["config,network,node,secret,service", "task"]
    async with listening(api, since="0.000000920", filters={"type": ["service"]}) as one:
        api.control.happen("service", "create", "web")
        await one.until(lambda: one.told)
        assert one.told == ["service create web"]


@fed
async def test_a_listener_goes_on_under_the_next_leader(api):
    async with listening(api) as one:
        api.control.happen("service", "create", "a")
        await one.until(lambda: len(one.told) == 1)
        api.control.another_leads(at_ns=2_000)
        api.control.happen("service", "create", "b")
        api.control.task_happens("t1", None, 64)
        await one.until(lambda: len(one.told) == 4)
        assert one.told == [
            "service create a", "daemon gap s1", "service create b", "task create t1",
        ]  # fmt: skip


@fed
async def test_a_stream_that_breaks_is_opened_again_where_it_was(api):
    async with listening(api) as one:
        for number in range(3):
            api.control.happen("service", "create", f"s{number}")
            await one.until(lambda: len(one.told) == number + 1)  # noqa: B023 - awaited here
            api.control.end_streams()
        api.control.happen("service", "create", "s3")
        await one.until(lambda: len(one.told) == 4)
        assert one.told == [f"service create s{number}" for number in range(4)]


@fed
async def test_a_listener_that_does_not_read_is_cut_off_and_the_others_are_not(api):
    async with listening(api) as slow, listening(api) as quick:
        slow.may_read.clear()
        for listener in api.gateway.events._listeners:
            listener.patience_s = 0.05
        rounds = feeds.KEPT_MAX // 256 + 20
        for number in range(rounds):
            for _ in range(256):
                last = api.control.happen("node", "update", "n1")
            await quick.until(lambda: str(last).encode() in quick.body)  # noqa: B023
            for listener in api.gateway.events._listeners:
                listener.patience_s = min(listener.patience_s, 0.05)
            if number == 0:
                quick.body = b""
        slow.may_read.set()
        await slow.until(lambda: slow.is_over)
        assert slow.is_broken, "its connection is closed, not ended in order"
        assert "too slowly" in slow.events[-1]["Actor"]["Attributes"]["reason"]
        assert not quick.is_over


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("application/jsonl, application/x-ndjson", "application/jsonl"),
        ("application/x-ndjson;q=0.9", "application/x-ndjson"),
        ("application/json-seq", "application/json-seq"),
        ("*/*", "application/json"),
        ("", "application/json"),
    ],
)
def test_the_form_that_a_client_asks_for(accept, form):
    @fed
    async def test(api):
        api.control.happen("service", "create", "web")
        query = {"since": "0.1", "until": "1.0"}
        async with listening(api, headers={"accept": accept}, since="0", until="1") as one:
            await one.until(lambda: one.is_over)
        assert one.headers["content-type"] == form, query
        assert one.body.startswith(b"\x1e") is (form == "application/json-seq")
        assert one.told == ["service create web"]

    test()


@pytest.mark.parametrize(
    "query",
    [
        {"since": "yesterday"},
        {"until": "1e9"},
        {"since": "5", "until": "4"},
        {"filters": {"colour": ["red"]}},
        {"filters": "nonsense"},
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(query):
    async def scenario():
        async with docker_api() as api:
            answer = await api("GET", "/events", **query)
            assert answer.status == 400
            assert answer.message

    asyncio.run(scenario())


@fed
async def test_without_a_leader_it_says_so(api):
    api.control.refusals = [NoLeaderError("nobody leads")]
    answer = await api("GET", "/events")
    assert (answer.status, answer.message) == (503, "nobody leads")
