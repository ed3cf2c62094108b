"""Which route answers, and what becomes of what a route raises."""

import asyncio

import pytest
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Match, Route

from berth.errors import NotFoundError
from gateway.app import ROUTES
from gateway.dispatch import CALL_KEY, Dispatcher
from gateway.errors import BUG

PATHS = sorted({route.path for route in ROUTES})


def scope_of(method, path):
    return {"type": "http", "method": method, "path": path, "headers": [], "root_path": ""}


def filled(path):
    """Return requests that `path` may stand for: with short values, with values of other routes."""
    for value in ("x", "create", "json", "a/b", "a%20b", "x\n", ""):
        yield (
            path.replace(":path}", "}")
            .replace("{id}", value)
            .replace("{name}", value)
            .replace("{rest}", value)
            .replace("{verb}", "update")
        )


@pytest.mark.parametrize("path", PATHS)
def test_the_route_that_starlette_would_take_answers(path):
    dispatcher = Dispatcher(ROUTES)
    for asked in (*filled(path), f"{path}/", f"{path}/more", path.upper()):
        for method in ("GET", "HEAD", "POST", "DELETE", "PUT"):
            wanted = None
            for route in ROUTES:
                match, child = route.matches(scope_of(method, asked))
                if match is Match.FULL:
                    wanted = route, child["path_params"]
                    break
            assert dispatcher.find(method, asked) == wanted, (method, asked)


def test_a_parameter_never_comes_first():
    with pytest.raises(AssertionError):
        Dispatcher([Route("/{id}/x", lambda _: None)])


async def sent_by(endpoint):
    scope, sent = scope_of("GET", "/it"), []

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    try:
        await Dispatcher([Route("/it", endpoint)])(scope, receive, send)
    except Exception as error:
        sent.append(error)
    return scope, sent


def test_what_a_route_raises_is_its_answer():
    async def absent(request):
        raise NotFoundError("no such thing")

    async def broken(request):
        raise ValueError("insides")

    scope, (start, body) = asyncio.run(sent_by(absent))
    assert (start["status"], body["body"]) == (404, b'{"message":"no such thing"}')
    assert scope[CALL_KEY] == "absent"
    _, (start, body) = asyncio.run(sent_by(broken))
    assert (start["status"], BUG.message.encode() in body["body"]) == (500, True)
    assert b"insides" not in body["body"]


def test_an_answer_that_breaks_off_is_not_answered_twice():
    async def pieces():
        yield b"one"
        raise NotFoundError("gone in the middle")

    async def broken(request):
        return StreamingResponse(pieces())

    _, sent = asyncio.run(sent_by(broken))
    *messages, error = sent
    assert [message["type"] for message in messages] == [
        "http.response.start",
        "http.response.body",
    ]
    assert isinstance(error, Exception)


def test_parameters_reach_the_route():
    async def told(request):
        return PlainTextResponse(request.path_params["id"])

    async def go():
        sent = []

        async def send(message):
            sent.append(message)

        dispatcher = Dispatcher([Route("/a/{id}", told)])
        await dispatcher(scope_of("GET", "/a/b"), None, send)
        return sent

    assert asyncio.run(go())[1]["body"] == b"b"
