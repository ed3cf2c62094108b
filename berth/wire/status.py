"""Carry a BerthError over gRPC, so that the caller catches the class that was raised.

Duty: error -> status code, text and trailing metadata; and back. An interceptor does the first for
every method of a server.
Not here: which HTTP status or exit code an error has (gateway, cli).
Invariants (tests/unit/berth/wire/test_status.py): every class of berth.errors arrives as itself;
one that the receiver does not know arrives as its nearest known base; what is not a BerthError
says nothing of its insides to the caller.
"""

import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Final, NoReturn, TypeAlias, cast

import grpc
import grpc.aio
import structlog

from berth.errors import (
    AlreadyExistsError,
    BerthError,
    ConfigError,
    ConflictError,
    Fault,
    InternalError,
    InvalidRequestError,
    NotFoundError,
    NotLeaderError,
    PermissionDeniedError,
    StaleEpochError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
)
from berth.model.ids import Epoch
from berth.v1 import line_pb2

ERROR_KEY: Final = "berth-error-bin"
_MESSAGE_LENGTH_MAX: Final = 4000  # Half of the 8 KiB that any gRPC peer takes as metadata.
_FAULTS_BYTES_MAX: Final = 16 * 1024  # berth.wire.channel takes 64 KiB.

# What a status means that bears no error of ours: it comes from gRPC itself.
_CLASS_BY_STATUS: Final[dict[grpc.StatusCode, type[BerthError]]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequestError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExistsError,
    grpc.StatusCode.FAILED_PRECONDITION: ConflictError,
    grpc.StatusCode.ABORTED: ConflictError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    grpc.StatusCode.UNIMPLEMENTED: UnsupportedError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: UnavailableError,
    grpc.StatusCode.CANCELLED: UnavailableError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: UnavailableError,
}
_HINTS: Final = {
    grpc.StatusCode.UNAVAILABLE: "the other side cannot be reached",
    grpc.StatusCode.DEADLINE_EXCEEDED: "no answer in time; what was asked may still take effect",
    grpc.StatusCode.CANCELLED: "the call was cancelled; what was asked may still take effect",
    grpc.StatusCode.UNIMPLEMENTED: "the other side is of a version that does not know this call",
}

# Generic in their stubs only.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


def to_status(error: BerthError) -> tuple[grpc.StatusCode, str, tuple[tuple[str, bytes], ...]]:
    """Return code, text and trailing metadata of `error`."""
    names = [cls.__name__ for cls in type(error).__mro__ if issubclass(cls, BerthError)]
    document = {"classes": names, **_fields(error)}
    metadata = ((ERROR_KEY, json.dumps(document).encode()),)
    text = error.message
    if len(text) > _MESSAGE_LENGTH_MAX:
        text = text[: _MESSAGE_LENGTH_MAX - 1] + "…"
    return grpc.StatusCode[error.code.value], text, metadata


def from_status(
    code: grpc.StatusCode, text: str, metadata: Iterable[tuple[str, str | bytes]]
) -> BerthError:
    """Return the error that a status stands for."""
    document = _document(metadata)
    known = _known_classes()
    names = document.get("classes")
    for name in names if isinstance(names, list) else ():
        cls = known.get(str(name))
        error = None if cls is None else _rebuilt(cls, text, document)
        if error is not None:
            return error
    hint = _HINTS.get(code)
    text = f"{hint}: {text}" if hint else text or code.name
    return _CLASS_BY_STATUS.get(code, InternalError)(text)


def refusal_to_proto(error: BerthError) -> line_pb2.Refusal:
    """Return `error` as a message, for answers that share a stream."""
    code, text, metadata = to_status(error)
    return line_pb2.Refusal(code=code.name, text=text, details=dict(metadata)[ERROR_KEY])


def refusal_from_proto(refusal: line_pb2.Refusal) -> BerthError:
    """Return the error that a message stands for."""
    known = grpc.StatusCode.__members__
    code = known.get(refusal.code, grpc.StatusCode.UNKNOWN)
    return from_status(code, refusal.text, ((ERROR_KEY, refusal.details),))


async def abort_with(context: Context, error: BerthError) -> NoReturn:
    """End a call with `error`."""
    code, text, metadata = to_status(error)
    await context.abort(code, text, metadata)
    raise AssertionError("abort returned")


def error_from_rpc(error: grpc.aio.AioRpcError) -> BerthError:
    """Return the BerthError that a failed call stands for."""
    metadata = cast("Iterable[tuple[str, str | bytes]]", error.trailing_metadata() or ())
    return from_status(error.code(), error.details() or "", metadata)


def raise_from_rpc(error: grpc.aio.AioRpcError) -> NoReturn:
    """Raise the BerthError that a failed call stands for, the call's own error as its cause."""
    raise error_from_rpc(error) from error


class BerthErrorInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Lets servicers raise BerthError, from plain methods and from streams.

    The error of a call that a servicer made itself (to the leader, say) is passed on as it is.
    A method is wrapped once: to do it for each call costs as much as to serve a small one.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[Handler, Handler]] = {}
        """By method: the handler that served it last, and the one that was made of it."""

    async def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wrap the method that is called; gRPC calls this."""
        handler = await continuation(handler_call_details)
        if handler is None:  # No such method: gRPC says so itself.
            return handler  # type: ignore[return-value]  # The stubs forget this case.
        method = getattr(handler_call_details, "method", "")
        known = self._known.get(method)
        if known is None or known[0] is not handler:
            known = self._known[method] = handler, _wrapped_handler(handler, method)
        return known[1]


def _wrapped_handler(handler: Handler, method: str) -> Handler:
    kinds = {
        (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
        (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
        (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
        (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
    }
    kind, build = kinds[handler.request_streaming, handler.response_streaming]
    behaviour = getattr(handler, kind)
    wrap = _wrapped_stream if inspect.isasyncgenfunction(behaviour) else _wrapped
    wrapped: Handler = build(
        wrap(behaviour, method), handler.request_deserializer, handler.response_serializer
    )
    return wrapped


def _wrapped(behaviour: Callable[..., Awaitable[Any]], method: str) -> Callable[..., Any]:
    async def call(request: Any, context: Context) -> Any:
        try:
            return await behaviour(request, context)
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - the border: everything becomes a status
            await abort_with(context, _refusal(error, method))

    return call


def _wrapped_stream(
    behaviour: Callable[..., AsyncIterator[Any]], method: str
) -> Callable[..., AsyncIterator[Any]]:
    async def call(request: Any, context: Context) -> AsyncIterator[Any]:
        try:
            async for answer in behaviour(request, context):
                yield answer
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - the border: everything becomes a status
            await abort_with(context, _refusal(error, method))

    return call


def _refusal(error: Exception, method: str) -> BerthError:
    match error:
        case BerthError():
            return error
        case grpc.aio.AioRpcError():
            return error_from_rpc(error)
        case _:
            structlog.get_logger(__name__).error("rpc_crashed", method=method, exc_info=error)
            return InternalError(f"internal error in {method}; the log of the process tells more")


def _fields(error: BerthError) -> dict[str, Any]:
    """Return what an error bears beside its text."""
    match error:
        case InvalidRequestError() | ConfigError():
            faults: list[list[str]] = []
            room = _FAULTS_BYTES_MAX
            for fault in error.faults:
                room -= len(json.dumps([fault.path, fault.problem]))
                if room < 0:
                    break
                faults.append([fault.path, fault.problem])
            return {"faults": faults}
        case NotLeaderError():
            return {"leader_address": error.leader_address}
        case StaleEpochError():
            return {"ours": error.ours, "current": error.current}
        case _:
            return {}


def _rebuilt(cls: type[BerthError], text: str, document: dict[str, Any]) -> BerthError | None:
    """Make an error of `cls`; None when its fields did not come along, or it wants others."""
    if issubclass(cls, StaleEpochError):
        ours, current = document.get("ours"), document.get("current")
        if not isinstance(ours, int) or not isinstance(current, int | None):
            return None
        return cls(ours=Epoch(ours), current=None if current is None else Epoch(current))
    try:
        if issubclass(cls, InvalidRequestError | ConfigError):
            return cls(text, _faults(document.get("faults")))
        if issubclass(cls, NotLeaderError):
            return cls(text, str(document.get("leader_address") or ""))
        return cls(text)
    except TypeError:  # A class with a constructor of its own: its base will do.
        return None


def _faults(value: object) -> list[Fault]:
    pairs = value if isinstance(value, list) else []
    return [
        Fault(str(pair[0]), str(pair[1]))
        for pair in pairs
        if isinstance(pair, list) and len(pair) == 2
    ]


def _document(metadata: Iterable[tuple[str, str | bytes]]) -> dict[str, Any]:
    for key, value in metadata:
        if key == ERROR_KEY:
            try:
                document = json.loads(value)
            except ValueError:
                return {}
            return document if isinstance(document, dict) else {}
    return {}


def _known_classes() -> dict[str, type[BerthError]]:
    """Return all classes of errors of this process; those of others come as their bases."""
    known: dict[str, type[BerthError]] = {}
    waiting: list[type[BerthError]] = [BerthError]
    while waiting:
        cls = waiting.pop()
        known[cls.__name__] = cls
        waiting += cls.__subclasses__()
    return known
