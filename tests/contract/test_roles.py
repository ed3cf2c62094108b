"""Which certificate opens which door, on a real server with real certificates.

Users and schedulers speak to Control, agents to Dispatcher and Streams, and nobody without a
certificate of this cluster's authority gets as far as being asked who they are.
"""

import asyncio
from contextlib import asynccontextmanager

import grpc
import grpc.aio
import pytest
from google.protobuf.message_factory import GetMessageClass

from berth.access import CONTROL_CALLS, UserRole
from berth.certificates import create_authority, issue
from berth.clock import SystemClock
from berth.entropy import SystemEntropy
from berth.v1 import (
    control_pb2,
    dispatcher_pb2,
    dispatcher_pb2_grpc,
    line_pb2,
    line_pb2_grpc,
    streams_pb2,
    streams_pb2_grpc,
)
from berth.wire.channel import open_channel
from berth.wire.convert import to_proto
from berth.wire.tls import Role, TlsSettings
from tests.builders import a_description, a_spec
from tests.unit.scheduler.control.harness import leading, serving

PORTS = {"clock": SystemClock(), "entropy": SystemEntropy()}
DENIED = grpc.StatusCode.PERMISSION_DENIED
CONTROL = control_pb2.DESCRIPTOR.services_by_name["Control"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """One of each role; "stranger" is a client of another authority that trusts ours."""
    folder, elsewhere = (tmp_path_factory.mktemp(name) for name in ("pki", "elsewhere"))
    authority = create_authority(folder, **PORTS)
    issued = {role.value: issue(authority, role, f"a-{role}", [], folder, **PORTS) for role in Role}
    for role in UserRole:
        issued[role.value] = issue(
            authority, Role.CLIENT, f"a-{role}", [], folder, user_role=role, **PORTS
        )
    other = create_authority(elsewhere, **PORTS)
    for role in Role:
        theirs = issue(other, role, f"their-{role}", [], elsewhere, **PORTS)
        issued[f"stranger {role}"] = TlsSettings(
            authority.cert_file, theirs.cert_file, theirs.key_file
        )
    return issued


@asynccontextmanager
async def cluster(certificates):
    """A scheduler that leads, behind TLS."""
    async with (
        leading(SystemClock()) as led,
        serving("s1", tls=certificates["scheduler"]) as scheduler,
    ):
        scheduler.leads(led)
        yield scheduler, led


def unary_control(channel, method):
    return channel.unary_unary(
        f"/{CONTROL.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )


async def control_status(channel, method):
    """Call a method of Control with an empty request; return how that ended, and the words."""
    request = GetMessageClass(method.input_type)()
    try:
        if method.server_streaming:
            call = channel.unary_stream(
                f"/{CONTROL.full_name}/{method.name}",
                request_serializer=lambda message: message.SerializeToString(),
            )(request, timeout=30)
            async for _ in call:
                pass
        else:
            await unary_control(channel, method)(request, timeout=30)
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


@pytest.mark.parametrize("method", list(CONTROL.methods), ids=lambda method: method.name)
def test_an_agent_may_call_nothing_of_the_control_api(certificates, method):
    async def main():
        async with (
            cluster(certificates) as (scheduler, _),
            open_channel(scheduler.address, certificates["agent"]) as channel,
        ):
            return await control_status(channel, method)

    code, words = asyncio.run(main())
    assert code is DENIED
    assert "use one with the role client" in words


@pytest.mark.parametrize("role", ["client", "scheduler"])
def test_users_and_schedulers_may_use_the_control_api(certificates, role):
    async def main():
        async with (
            cluster(certificates) as (scheduler, _),
            open_channel(scheduler.address, certificates[role]) as channel,
        ):
            return await control_status(channel, CONTROL.methods_by_name["ListServices"])

    assert asyncio.run(main()) == (grpc.StatusCode.OK, "")


@pytest.mark.parametrize("role", ["scheduler", "agent", *UserRole])
def test_only_schedulers_ask_for_others(certificates, role):
    """On the line nobody's role is judged anew: a viewer would be taken for a scheduler there."""

    async def scenario():
        async with (
            serving("s1", tls=certificates["scheduler"], leader_wait_s=0.1) as scheduler,
            open_channel(scheduler.address, certificates[role]) as channel,
        ):
            line = line_pb2_grpc.LineStub(channel).Ask()
            question = line_pb2.Question(id=1, method="ServiceLogs")
            try:
                await line.write(line_pb2.Questions(questions=[question]))
                answers = await line.read()
            except grpc.aio.AioRpcError as error:
                return error.code(), error.details()
            line.cancel()
            return grpc.StatusCode.OK, answers.answers[0].ask_alone

    code, words = asyncio.run(scenario())
    if role == "scheduler":
        assert (code, words) == (grpc.StatusCode.OK, True)
    else:
        assert code is DENIED
        assert "only schedulers do" in words


@pytest.mark.parametrize("role", list(UserRole))
def test_a_user_may_make_the_calls_that_the_role_reaches_and_no_other(certificates, role):
    async def main():
        async with (
            cluster(certificates) as (scheduler, _),
            open_channel(scheduler.address, certificates[role]) as channel,
        ):
            return {
                method.name: await control_status(channel, method) for method in CONTROL.methods
            }

    for name, (code, words) in asyncio.run(main()).items():
        needed = CONTROL_CALLS[name]
        assert (code is not DENIED) is role.allows(needed), f"{role} {name}: {words}"
        if code is DENIED:
            assert words.startswith(f'"a-{role}" may not use the call {name}: ')
            assert f"needs the role {needed};" in words


@pytest.mark.parametrize(
    ("role", "code"), [("viewer", DENIED), ("deployer", grpc.StatusCode.OK)], ids=str
)
def test_a_standby_judges_a_user_as_the_leader_would(certificates, role, code):
    """What is forwarded comes to the leader as a scheduler's; so the standby's door decides."""
    request = control_pb2.CreateServiceRequest(spec=to_proto(a_spec("web")), no_resolve_image=True)

    async def main():
        async with (
            cluster(certificates) as (leader, led),
            serving("s2", tls=certificates["scheduler"]) as standby,
            open_channel(standby.address, certificates[role]) as channel,
        ):
            standby.knows(leader)
            method = CONTROL.methods_by_name["CreateService"]
            try:
                await unary_control(channel, method)(request, timeout=30)
            except grpc.aio.AioRpcError as error:
                return error.code(), len(led.leader.state.services)
            return grpc.StatusCode.OK, len(led.leader.state.services)

    assert asyncio.run(main()) == (code, 0 if code is DENIED else 1)


def nobody(address, certificates):
    """Call with TLS that trusts the authority, and no certificate at all."""
    authority = certificates["client"].ca_file.read_bytes()
    options = [("grpc.ssl_target_name_override", Role.SCHEDULER.tls_name)]
    credentials = grpc.ssl_channel_credentials(authority)
    return grpc.aio.secure_channel(address, credentials, options)


@pytest.mark.parametrize(
    "who", ["in the clear", "no certificate", *(f"stranger {role}" for role in Role)]
)
def test_who_has_no_certificate_of_this_cluster_gets_no_connection(certificates, who):
    async def main():
        async with cluster(certificates) as (scheduler, led):
            match who:
                case "in the clear":
                    channel = open_channel(scheduler.address, None)
                case "no certificate":
                    channel = nobody(scheduler.address, certificates)
                case _:
                    channel = open_channel(scheduler.address, certificates[who])
            async with channel:
                method = CONTROL.methods_by_name["ListServices"]
                code, _ = await control_status(channel, method)
                session = dispatcher_pb2_grpc.DispatcherStub(channel).Session(timeout=30)
                with pytest.raises(grpc.aio.AioRpcError):
                    await session.wait_for_connection()
                return code, dict(led.leader.state.nodes)

    assert asyncio.run(main()) == (grpc.StatusCode.UNAVAILABLE, {})


def a_hello():
    hello = dispatcher_pb2.Hello(description=to_proto(a_description("n1")), boot_id="boot")
    return dispatcher_pb2.AgentMessage(node_id="n1", hello=hello)


@pytest.mark.parametrize(
    ("role", "answer", "nodes"),
    [("agent", "welcome", ["n1"]), ("client", "refused", []), ("scheduler", "refused", [])],
)
def test_only_an_agent_becomes_a_node(certificates, role, answer, nodes):
    async def main():
        async with (
            cluster(certificates) as (scheduler, led),
            open_channel(scheduler.address, certificates[role]) as channel,
        ):
            session = dispatcher_pb2_grpc.DispatcherStub(channel).Session(timeout=30)
            await session.write(a_hello())
            first = await session.read()
            known = list(led.leader.state.nodes)
            session.cancel()
            return first, known

    first, known = asyncio.run(main())
    assert (first.WhichOneof("body"), known) == (answer, nodes)
    if answer == "refused":
        assert "issue one with the role agent" in first.refused.reason
        assert first.refused.retry_after_s == 30.0


@pytest.mark.parametrize(
    ("role", "code"), [("agent", grpc.StatusCode.OK), ("client", DENIED), ("scheduler", DENIED)]
)
def test_only_an_agent_may_publish_logs(certificates, role, code):
    async def main():
        async with (
            cluster(certificates) as (scheduler, _),
            open_channel(scheduler.address, certificates[role]) as channel,
        ):
            publish = streams_pb2_grpc.StreamsStub(channel).PublishLogs(timeout=30)
            if code is grpc.StatusCode.OK:
                await publish.write(streams_pb2.LogChunk(request_id="asked by nobody"))
                await publish.done_writing()
            # Others send nothing: grpc.aio calls a write to a refused stream a failure of its own.
            return await publish.code(), await publish.details()

    found, words = asyncio.run(main())
    assert found is code
    if code is DENIED:
        assert "issue one with the role agent" in words
