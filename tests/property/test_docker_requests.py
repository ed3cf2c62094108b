"""Whatever is sent to the Docker API is answered in Docker's form, and is done whole or not at all.

Every route of the application is walked, so that a new one cannot be forgotten. Behind the door are
the real control API and the real leader: what is refused has changed nothing there.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any, TypeVar
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.app import ROUTES
from tests.property.broken_requests import (
    BODIES,
    NAMES,
    WRONG,
    auth_headers,
    broken_bodies,
    content_types,
    encoded,
    places,
    queries,
    with_value,
)
from tests.property.docker_door import DockerDoor, docker_door
from tests.unit.gateway.asking import Answer

T = TypeVar("T")

STATUSES = {200, 201, 204, 400, 403, 404, 409, 413, 500, 501, 503}
JSON = ((b"content-type", b"application/json"),)
POSTED = sorted(route.path for route in ROUTES if "POST" in (route.methods or ()))
ELSEWHERE = (
    "/swarm",
    "/containers",
    "/images",
    "/volumes",
    "/plugins",
    "/build",
    "/commit",
    "/auth",
)
REFUSED = {path for path in BODIES if path.startswith(ELSEWHERE)} | {
    "/networks/prune", "/networks/{id}/connect", "/networks/{id}/disconnect",
}  # fmt: skip
TAKING = sorted(set(BODIES) - REFUSED)
READ_APART = sorted(set(TAKING) - {"/services/{id}/update"})
"""One for each reader: an update of a service is read as its creation is."""


@contextmanager
def an_open_door() -> Iterator[tuple[DockerDoor, Callable[[Awaitable[T]], T]]]:
    """Yield a door to a cluster, and what runs a coroutine there."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        door = runner.run(stack.enter_async_context(docker_door()))
        try:
            yield door, runner.run
        finally:
            runner.run(stack.aclose())


def check_form(answer: Answer) -> None:
    """Assert that an answer is one that Docker's clients know how to read."""
    assert answer.status in STATUSES, answer
    assert answer.headers["api-version"] == "1.51"
    if answer.status < 400:
        return
    assert answer.headers["content-type"] == "application/json", answer
    body = json.loads(answer.body)
    assert list(body) == ["message"], body
    assert isinstance(body["message"], str)
    assert body["message"]
    if answer.status == 500:
        assert "update out of sequence" in body["message"], "nothing else is our own fault"


async def post(door: DockerDoor, route: str, body: bytes, **more: Any) -> Answer:
    """Send a body to a route, resting on the newest version where it needs one."""
    path = BODIES[route][0]
    if path.endswith("/update") and "/swarm" not in path:
        version = await door.version_of(path.removesuffix("/update"))
        more["query"] = b"version=%d&%s" % (version, more.get("query", b""))
    return await door.ask("POST", path, body, **more)


async def clear(door: DockerDoor, answer: Answer, route: str) -> None:
    """Remove what an accepted request has made."""
    if answer.status == 201:
        made = json.loads(answer.body)
        kind = route.split("/")[1]
        await door.ask("DELETE", f"/{kind}/{made.get('ID', made.get('Id'))}")


def test_every_route_that_takes_a_body_has_a_right_one_here() -> None:
    assert sorted(BODIES) == POSTED, "write a right body for the new route into broken_requests.py"


@pytest.mark.parametrize("route", POSTED)
def test_the_right_bodies_are_right(route: str) -> None:
    with an_open_door() as (door, run):
        answer = run(post(door, route, encoded(BODIES[route][1])))
        check_form(answer)
        assert (answer.status < 400) is (route not in REFUSED), answer.body


@pytest.mark.parametrize("route", READ_APART)
def test_a_wrong_value_at_any_place_is_refused_whole_or_means_something(route: str) -> None:
    right = BODIES[route][1]

    async def walk(door: DockerDoor) -> int:
        before, refused = await door.contents(), 0
        for at in places(right):
            for wrong in WRONG:
                answer = await post(door, route, encoded(with_value(right, at, wrong)))
                check_form(answer)
                if answer.status < 400:
                    await clear(door, answer, route)
                    before = await door.contents() if "/update" in route else before
                else:
                    refused += 1
            assert await door.contents() == before, f"around {at}"
        return refused

    with an_open_door() as (door, run):
        assert run(walk(door)) > 0


@pytest.mark.parametrize("route", POSTED)
def test_broken_requests_are_refused_in_dockers_form_and_change_nothing(route: str) -> None:
    async def attempt(door: DockerDoor, body: bytes, query: bytes, headers: Any) -> None:
        before = await door.contents()
        answer = await post(door, route, body, query=query, headers=headers)
        check_form(answer)
        if answer.status < 400:
            await clear(door, answer, route)
            return
        assert await door.contents() == before

    with an_open_door() as (door, run):

        @given(broken_bodies(BODIES[route][1]), queries, content_types, auth_headers)
        @settings(max_examples=10 if route in REFUSED else 60)
        def check(body: bytes, query: dict[str, str], content_type: bytes, auth: Any) -> None:
            headers = [(b"content-type", content_type)]
            headers += [(b"x-registry-auth", auth)] if auth is not None else []
            run(attempt(door, body, urlencode(query).encode(), headers))

        check()


@pytest.mark.parametrize(
    "route",
    [route for route in ROUTES if "POST" not in (route.methods or ())],
    ids=lambda r: r.path,
)
def test_odd_names_and_parameters_are_refused_in_dockers_form(route: Any) -> None:
    words = {key: st.sampled_from(NAMES) for key in route.param_convertors}
    (method, *_) = sorted(route.methods - {"HEAD"}, reverse=True)

    async def attempt(door: DockerDoor, path: str, query: bytes) -> None:
        before = await door.contents()
        answer = await door.ask(method, path, query=query)
        check_form(answer)
        if method == "DELETE" and answer.status < 400:
            await door.start_anew()
        else:
            assert await door.contents() == before

    with an_open_door() as (door, run):

        @given(st.fixed_dictionaries(words), queries)
        @settings(max_examples=30)
        def check(found: dict[str, str], query: dict[str, str]) -> None:
            path = route.path.replace(":path}", "}")
            run(attempt(door, path.format(**found), urlencode(query).encode()))

        check()


@pytest.mark.parametrize(
    ("prefix", "status"),
    [
        *((version, 400) for version in ("/v1.52", "/v1.23", "/v0.1", "/v9999.9999", "/v2.0")),
        *((odd, 404) for odd in ("/v1", "/vx.y", "/v1.51.1", "/v1.51/v1.51", "/v99999.1", "/")),
    ],
)  # fmt: skip
def test_versions_that_nobody_speaks(prefix: str, status: int) -> None:
    async def ask_all(door: DockerDoor) -> None:
        for method, path in (("GET", "/info"), ("POST", "/services/create"), ("HEAD", "/_ping")):
            answer = await door.ask(method, f"{prefix}{path}")
            assert answer.status == status, (method, path)
            check_form(answer)

    with an_open_door() as (door, run):
        run(ask_all(door))


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW", "get"])
def test_methods_that_no_route_has(method: str) -> None:
    async def ask_all(door: DockerDoor) -> None:
        for route in ROUTES:
            answer = await door.ask(method, route.path.replace("{", "").replace("}", ""))
            assert answer.status == 404
            check_form(answer)

    with an_open_door() as (door, run):
        run(ask_all(door))


@pytest.mark.parametrize("route", TAKING)
def test_bodies_without_end_are_refused(route: str) -> None:
    huge = b'{"Name": "' + b"x" * 5_000_000 + b'"}'
    with an_open_door() as (door, run):
        answer = run(post(door, route, huge))
        check_form(answer)
        assert answer.status == 413
