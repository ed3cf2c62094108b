"""Errors over a real gRPC connection: what is raised there is raised here."""

import asyncio

import grpc
import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from berth import errors
from berth.errors import (
    BerthError,
    ConfigError,
    ErrorCode,
    Fault,
    InternalError,
    InvalidRequestError,
    NotFoundError,
    NotLeaderError,
    RetryRule,
    StaleEpochError,
    UnavailableError,
    UnsupportedError,
    UpstreamError,
)
from berth.model.ids import Epoch
from berth.wire.channel import bind, make_server, open_channel
from berth.wire.status import (
    ERROR_KEY,
    BerthErrorInterceptor,
    from_status,
    raise_from_rpc,
    to_status,
)
from tests.hosts.ports import free_port

FAULTS = (Fault("task.image", 'invalid "A b"; use lower case'), Fault("", "größer als erlaubt"))


def every_error():
    for cls in vars(errors).values():
        if isinstance(cls, type) and issubclass(cls, BerthError):
            match cls.__name__:
                case "StaleEpochError":
                    yield cls(ours=Epoch(3), current=Epoch(5))
                    yield cls(ours=Epoch(3), current=None)
                case "InvalidRequestError" | "ConfigError":
                    yield cls("several", FAULTS)
                case "NotLeaderError":
                    yield cls("not me", "10.0.0.1:7701")
                case _:
                    yield cls(f"{cls.__name__}: „no“\nsecond line")


ALL = list(every_error())


class Raiser(grpc.GenericRpcHandler):
    """Methods of all four kinds that raise `error` in the middle."""

    def __init__(self, error):
        self.error = error

    async def unary(self, request, context):
        raise self.error

    async def stream(self, request, context):
        yield b"first"
        raise self.error

    async def written_stream(self, request, context):
        await context.write(b"first")
        raise self.error

    def service(self, details):
        return {
            "/t/unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "/t/stream_in": grpc.stream_unary_rpc_method_handler(self.unary),
            "/t/stream": grpc.unary_stream_rpc_method_handler(self.stream),
            "/t/both": grpc.stream_stream_rpc_method_handler(self.stream),
            "/t/written": grpc.unary_stream_rpc_method_handler(self.written_stream),
        }.get(details.method)


async def nothing():
    yield b""


CALLS = {
    "unary": lambda channel: channel.unary_unary("/t/unary")(b""),
    "stream in": lambda channel: channel.stream_unary("/t/stream_in")(nothing()),
    "stream": lambda channel: channel.unary_stream("/t/stream")(b""),
    "both": lambda channel: channel.stream_stream("/t/both")(nothing()),
    "written": lambda channel: channel.unary_stream("/t/written")(b""),
    "absent": lambda channel: channel.unary_unary("/t/absent")(b""),
}


def call(error, kind="unary", times=1):
    """Have a server raise `error`, and return what its client catches and had got before."""

    async def run():
        server = make_server(interceptors=[BerthErrorInterceptor()])
        raiser = Raiser(error)
        server.add_generic_rpc_handlers((raiser,))
        port = bind(server, "127.0.0.1:0", None)
        await server.start()
        got = []
        try:
            async with open_channel(f"127.0.0.1:{port}", None) as channel:
                try:
                    answer = CALLS[kind](channel)
                    if kind in ("stream", "both", "written"):
                        async for message in answer:
                            got.append(message)
                    else:
                        got.append(await answer)
                except grpc.aio.AioRpcError as rpc_error:
                    raise_from_rpc(rpc_error)
        except BerthError as caught:
            return caught, got
        finally:
            await server.stop(None)
        raise AssertionError(f"no error, but {got}")

    return asyncio.run(run())


def is_same(one, other):
    return type(one) is type(other) and str(one) == str(other) and vars(one) == vars(other)


@pytest.mark.parametrize("error", ALL, ids=lambda error: type(error).__name__)
def test_every_class_arrives_as_itself(error):
    caught, _ = call(error)
    assert is_same(caught, error)
    assert isinstance(caught.__cause__, grpc.aio.AioRpcError)
    assert caught.__cause__.code().name == error.code.value


@pytest.mark.parametrize("kind", ["unary", "stream in", "stream", "both", "written"])
def test_from_methods_of_every_kind(kind):
    caught, got = call(NotLeaderError("not me", "10.0.0.1:7701"), kind)
    assert is_same(caught, NotLeaderError("not me", "10.0.0.1:7701"))
    assert got == ([b"first"] if kind in ("stream", "both", "written") else [])


def test_a_method_is_wrapped_once_and_anew_when_another_serves_it():
    async def refuses(request, context):
        raise NotFoundError("no")

    def a_handler():
        return grpc.unary_unary_rpc_method_handler(refuses)

    async def wrapped(handler):
        async def found(_):
            return handler

        return await interceptor.intercept_service(found, details)

    interceptor = BerthErrorInterceptor()
    details = type("Details", (), {"method": "/t/unary"})()
    one, other = a_handler(), a_handler()
    first = asyncio.run(wrapped(one))
    assert first.unary_unary is not refuses
    assert asyncio.run(wrapped(one)) is first
    assert asyncio.run(wrapped(other)) is not first


def test_a_method_that_is_absent_is_said():
    caught, _ = call(NotFoundError("unused"), "absent")
    assert type(caught) is UnsupportedError
    assert "version" in str(caught)


def test_a_crash_tells_the_caller_nothing_of_its_insides():
    for kind in ("unary", "stream"):
        caught, _ = call(ValueError("s3cret"), kind)
        assert type(caught) is InternalError
        assert "s3cret" not in str(caught)
        assert f"internal error in /t/{kind}" in str(caught)


def test_the_error_of_a_call_within_a_call_is_passed_on():
    inner = NotLeaderError("not me either", "10.0.0.2:7701")
    code, text, metadata = to_status(inner)
    rpc_error = grpc.aio.AioRpcError(
        code, grpc.aio.Metadata(), grpc.aio.Metadata(*metadata), text, None
    )
    caught, _ = call(rpc_error)
    assert is_same(caught, inner)


def test_a_class_that_the_receiver_lacks_arrives_as_its_nearest_base():
    code, text, [(key, value)] = to_status(UpstreamError("the registry sleeps"))
    foreign = value.replace(b'"classes": [', b'"classes": ["OfAnotherProcessError", ')
    assert foreign != value
    assert is_same(from_status(code, text, [(key, foreign)]), UpstreamError(text))


def test_a_class_with_a_constructor_of_its_own_arrives_as_its_base():
    class PickyError(NotFoundError):
        def __init__(self, *, name):
            super().__init__(f"no {name}")

    code, text, metadata = to_status(PickyError(name="x"))
    assert is_same(from_status(code, text, metadata), NotFoundError("no x"))


def test_an_epoch_that_did_not_come_along_is_not_made_up():
    text = "leadership is over"
    metadata = [(ERROR_KEY, b'{"classes": ["StaleEpochError", "BerthError"], "ours": "x"}')]
    caught = from_status(grpc.StatusCode.FAILED_PRECONDITION, text, metadata)
    assert is_same(caught, BerthError(text))


@pytest.mark.parametrize("raw", [b"", b"\xff", b"[]", b'{"classes": 3}', b'{"classes": ["int"]}'])
def test_metadata_that_is_not_ours_changes_nothing(raw):
    caught = from_status(grpc.StatusCode.NOT_FOUND, "gone", [("a", "b"), (ERROR_KEY, raw)])
    assert is_same(caught, NotFoundError("gone"))


@pytest.mark.parametrize("status", list(grpc.StatusCode))
def test_every_status_of_grpc_itself_has_a_class(status):
    caught = from_status(status, "why", ())
    assert isinstance(caught, BerthError)
    assert "why" in str(caught)
    assert (caught.retry is RetryRule.LATER) == (type(caught) is UnavailableError)


def test_every_code_has_a_status():
    assert {code.value for code in ErrorCode} <= {status.name for status in grpc.StatusCode}


def test_nobody_listening_is_unavailable():
    async def run():
        async with open_channel(f"127.0.0.1:{free_port()}", None) as channel:
            try:
                await channel.unary_unary("/t/unary")(b"")
            except grpc.aio.AioRpcError as error:
                raise_from_rpc(error)

    with pytest.raises(UnavailableError, match="cannot be reached"):
        asyncio.run(run())


def test_very_many_faults_arrive_cut_short_but_arrive():
    faults = [Fault(f"path[{i}]", "x" * 200) for i in range(1000)]
    caught, _ = call(InvalidRequestError.from_faults('service "web"', faults))
    assert type(caught) is InvalidRequestError
    assert str(caught).startswith('invalid service "web": path[0]: xxx')
    assert str(caught).endswith("…")
    assert 50 < len(caught.faults) < 1000
    assert caught.faults == tuple(faults[: len(caught.faults)])


@given(
    text=st.text(max_size=200),
    faults=st.lists(st.builds(Fault, st.text(max_size=20), st.text(max_size=20)), max_size=5),
    cls=st.sampled_from([InvalidRequestError, ConfigError]),
)
def test_texts_and_faults_survive(text, faults, cls):
    error = cls(text, faults)
    assert is_same(from_status(*to_status(error)), error)


def test_stale_epochs_keep_their_numbers():
    error = StaleEpochError(ours=Epoch(7), current=Epoch(9))
    caught = from_status(*to_status(error))
    assert (caught.ours, caught.current) == (7, 9)
