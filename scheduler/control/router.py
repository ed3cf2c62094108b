"""The Control API on any scheduler, as gRPC sees it.

Duty: one handler for every method of control.proto, which lets it be answered here while we lead,
and by the leader otherwise; refuse callers whose role does not reach (berth.access).
Not here: finding the leader (forward), answering (service).

A user's role is judged by the scheduler that the user called. What that scheduler forwards comes
to the leader under its own certificate, as what a part of the cluster asks, and is not judged anew.

Handlers are made from the proto's descriptor, so that a new call is forwarded without a line here.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from berth.access import needed_for_call, refusal_words
from berth.errors import InvalidRequestError, PermissionDeniedError
from berth.v1 import control_pb2
from berth.wire.tls import Role, peer_identity
from scheduler.control.forward import ForwardedCall, Forwarder, as_is
from scheduler.control.service import ControlService
from scheduler.leader import Leader

_SERVICE = control_pb2.DESCRIPTOR.services_by_name["Control"]
_Context = grpc.aio.ServicerContext[Any, Any]


class ControlRouter(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in stubs only
    """Serves control.proto; give it to a server's `add_generic_rpc_handlers`.

    The server needs `berth.wire.status.BerthErrorInterceptor`.
    """

    def __init__(
        self, forwarder: Forwarder, answers: ControlService, *, requires_tls: bool
    ) -> None:
        self._forwarder = forwarder
        self._requires_tls = requires_tls
        self._handlers = {
            f"/{_SERVICE.full_name}/{method.name}": self._handler(method, answers)
            for method in _SERVICE.methods
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Return what serves a call; None for those of other services. gRPC calls this."""
        return self._handlers.get(getattr(handler_call_details, "method", ""))

    def _handler(self, method: MethodDescriptor, answers: ControlService) -> Any:
        path = f"/{_SERVICE.full_name}/{method.name}"
        answer = getattr(answers, method.name)
        request_class = GetMessageClass(method.input_type)
        if method.server_streaming:

            async def stream(request: bytes, context: _Context) -> AsyncGenerator[bytes, None]:
                async def locally(leader: Leader) -> AsyncGenerator[bytes, None]:
                    async with aclosing(answer(leader, _parsed(request_class, request))) as chunks:
                        async for chunk in chunks:
                            yield chunk.SerializeToString()

                self._check_peer(context, method.name)
                call = ForwardedCall(self._forwarder, path, lambda: request, context)
                async with aclosing(call.stream(locally, as_is)) as chunks:
                    async for chunk in chunks:
                        yield chunk

            return grpc.unary_stream_rpc_method_handler(stream)

        async def unary(request: bytes, context: _Context) -> bytes:
            async def locally(leader: Leader) -> bytes:
                message: Message = await answer(leader, _parsed(request_class, request))
                return message.SerializeToString()

            self._check_peer(context, method.name)
            call = ForwardedCall(self._forwarder, path, lambda: request, context)
            return await call.unary(locally, as_is)

        return grpc.unary_unary_rpc_method_handler(unary)

    def _check_peer(self, context: _Context, method: str) -> None:
        """Refuse callers that may not make this call.

        Raises:
            PermissionDeniedError: the certificate is an agent's, there is none, or its role does
                not reach.
        """
        if not self._requires_tls:
            return
        peer = peer_identity(context)
        if peer is None or peer.role is Role.AGENT:
            raise PermissionDeniedError(
                "this certificate may not use the control API; use one with the role client"
            )
        needed = needed_for_call(method)
        if peer.user_role is not None and not peer.user_role.allows(needed):
            raise PermissionDeniedError(
                refusal_words(peer.name, peer.user_role, needed, f"the call {method}")
            )


def _parsed(request_class: type[Message], request: bytes) -> Message:
    try:
        return request_class.FromString(request)
    except DecodeError as error:
        raise InvalidRequestError("the request cannot be read; its sender is broken") from error
