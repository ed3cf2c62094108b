import asyncio

import pytest
from starlette.requests import Request

from berth.errors import InvalidRequestError
from gateway.errors import TooSlowError, status_of
from gateway.requests import BODY_S, json_body, object_version, query_time
from tests.fakes.virtual_time import run_virtually


def a_request(query="", receive=None):
    scope = {
        "type": "http", "method": "POST", "path": "/", "query_string": query.encode(),
        "headers": [(b"content-type", b"application/json")],
    }  # fmt: skip
    return Request(scope, receive)


def test_a_body_that_does_not_come_to_its_end_is_given_up():
    async def receive():
        await asyncio.sleep(1.0)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def main():
        began = asyncio.get_running_loop().time()
        with pytest.raises(TooSlowError) as refused:
            await json_body(a_request(receive=receive))
        return refused.value, asyncio.get_running_loop().time() - began

    refusal, took_s = run_virtually(main())
    assert status_of(refusal) == 408
    assert took_s == pytest.approx(BODY_S)


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "1.0", "٣", "9" * 19, "9" * 5000, "+1"])
def test_versions_that_no_object_has(text):
    with pytest.raises(InvalidRequestError, match=r"Version\.Index"):
        object_version(a_request(f"version={text}"))


def test_versions_and_times():
    assert object_version(a_request(f"version={2**63 - 1}")) == 2**63 - 1
    assert query_time(a_request("since=12.5"), "since") == 12.5
    assert query_time(a_request("since=-12"), "since") == -12
    assert query_time(a_request("since="), "since") is None


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e400", "1e17", "yesterday", "2026-01-01"])
def test_what_is_no_time(text):
    with pytest.raises(InvalidRequestError, match="is not a time"):
        query_time(a_request(f"since={text}"), "since")
