"""Requests become durable changes, or refusals that change nothing."""

import asyncio
from dataclasses import replace

import pytest

from berth.entropy import SeededEntropy
from berth.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    NotLeaderError,
    OutcomeUnknownError,
    OutOfSequenceError,
    StoreUnavailableError,
)
from berth.model.registry_auth import RegistryAuth
from berth.model.service import Platform, ServiceMode
from berth.model.task import TaskState, TaskStatus
from berth.v1 import control_pb2 as pb
from berth.wire.convert import to_proto
from scheduler.control.credentials import open_credentials
from scheduler.control.flows import SPEC_BYTES_MAX, ControlFlows
from scheduler.core import commands, invariants
from scheduler.store.port import StoreHealth, StoreState
from tests.builders import a_spec
from tests.fakes.virtual_time import VirtualClock, run_virtually
from tests.unit.scheduler.control.harness import (
    AMD64,
    DIGEST_A,
    DIGEST_B,
    FakeRegistry,
    a_sealer,
    create,
    leading,
    update,
)

ADA = RegistryAuth("ada", "s3cret")


def in_cluster(scenario, *, sealer=True):
    """Run `scenario(flows, led, registry)` against a real leader on virtual time."""

    async def run():
        async with leading(VirtualClock()) as led:
            registry = FakeRegistry()
            registry.push("app:1", DIGEST_A, AMD64)
            flows = ControlFlows(
                led.leader,
                registry,
                a_sealer() if sealer else None,
                SeededEntropy("ids"),
                led.store_health,
            )
            await scenario(flows, led, registry)
            invariants.check(led.leader.state)

    run_virtually(run())


def image_of(led, name="web"):
    return commands.find_service(led.leader.state, name).record.spec.task.container.image


def record_of(led, name="web"):
    return commands.find_service(led.leader.state, name).record


def test_a_created_service_is_pinned_and_durable_when_the_answer_comes():
    async def scenario(flows, led, registry):
        answer = await flows.create_service(create(a_spec()))
        assert image_of(led) == f"app:1@{DIGEST_A}"
        assert record_of(led).spec.task.placement.platforms == (AMD64,)
        assert record_of(led).id == answer.id
        stored = [key for key in led.client.model._keys if b"services/" in key]
        assert stored == [f"/berth/services/{answer.id}".encode()]

    in_cluster(scenario)


def test_all_faults_are_told_at_once_and_nothing_is_asked_or_changed():
    async def scenario(flows, led, registry):
        bad = a_spec(name="no good", cpus=0.0001, constraints=("nonsense",))
        with pytest.raises(InvalidRequestError) as caught:
            await flows.create_service(create(bad))
        paths = {fault.path for fault in caught.value.faults}
        assert "name" in paths
        assert len(paths) >= 3
        assert registry.asked == []
        assert not led.leader.state.services

    in_cluster(scenario)


def test_a_word_that_no_enumeration_has_is_the_users_fault():
    async def scenario(flows, led, registry):
        request = create(a_spec())
        request.spec.mode.kind = "sometimes"
        with pytest.raises(InvalidRequestError, match="sometimes"):
            await flows.create_service(request)

    in_cluster(scenario)


def test_a_spec_that_is_too_large_is_refused_with_its_size():
    async def scenario(flows, led, registry):
        spec = a_spec(labels={"blob": "x" * SPEC_BYTES_MAX})
        with pytest.raises(InvalidRequestError, match="at most 262144"):
            await flows.create_service(create(spec))

    in_cluster(scenario)


def test_a_second_create_of_a_name_is_refused_before_and_after_the_registry():
    async def scenario(flows, led, registry):
        await flows.create_service(create(a_spec()))
        with pytest.raises(AlreadyExistsError):
            await flows.create_service(create(a_spec()))
        assert len(registry.asked) == 1

        def overtake():
            registry.before_answer = None
            commands.create_service(led.leader.state, "svc2", a_spec("db"), b"", led.leader.now())

        registry.before_answer = overtake
        with pytest.raises(AlreadyExistsError):
            await flows.create_service(create(a_spec("db")))

    in_cluster(scenario)


def test_an_unreachable_registry_refuses_a_tag_and_only_warns_of_a_digest():
    async def scenario(flows, led, registry):
        registry.is_down = True
        with pytest.raises(Exception, match="cannot resolve"):
            await flows.create_service(create(a_spec()))
        assert not led.leader.state.services
        answer = await flows.create_service(create(a_spec(), no_resolve_image=True))
        assert image_of(led) == "app:1"
        assert "different images" in answer.warnings[0]
        pinned = a_spec("db", image=f"app:1@{DIGEST_A}")
        answer = await flows.create_service(create(pinned))
        assert image_of(led, "db") == f"app:1@{DIGEST_A}"
        assert "platforms" in answer.warnings[0]

    in_cluster(scenario)


def test_platforms_that_the_user_chose_stay():
    async def scenario(flows, led, registry):
        arm = Platform("linux", "arm64")
        spec = a_spec()
        placement = replace(spec.task.placement, platforms=(arm,))
        spec = replace(spec, task=replace(spec.task, placement=placement))
        await flows.create_service(create(spec))
        assert record_of(led).spec.task.placement.platforms == (arm,)

    in_cluster(scenario)


def test_scaling_asks_no_registry_and_keeps_the_digest_though_the_tag_moved():
    async def scenario(flows, led, registry):
        await flows.create_service(create(a_spec()))
        registry.push("app:1", DIGEST_B, AMD64)
        registry.asked.clear()
        await flows.update_service(update("web", a_spec(replicas=3)))
        pinned = replace(record_of(led).spec, mode=ServiceMode(replicas=4))
        await flows.update_service(update("web", pinned))
        assert registry.asked == []
        assert image_of(led) == f"app:1@{DIGEST_A}"
        assert record_of(led).template_version == 1
        assert record_of(led).spec.task.placement.platforms == (AMD64,)

    in_cluster(scenario)


def test_the_tag_is_asked_for_anew_when_the_user_says_so_or_changes_it():
    async def scenario(flows, led, registry):
        await flows.create_service(create(a_spec()))
        registry.push("app:1", DIGEST_B, AMD64)
        await flows.update_service(update("web", a_spec(), resolve_image=True))
        assert image_of(led) == f"app:1@{DIGEST_B}"
        arm = Platform("linux", "arm64")
        registry.push("app:2", DIGEST_A, arm)
        moved = record_of(led).spec
        container = replace(moved.task.container, image="app:2")
        moved = replace(moved, task=replace(moved.task, container=container))
        await flows.update_service(update("web", moved))
        assert image_of(led) == f"app:2@{DIGEST_A}"
        assert record_of(led).spec.task.placement.platforms == (arm,)

    in_cluster(scenario)


def test_an_update_of_an_old_reading_is_refused():
    async def scenario(flows, led, registry):
        await flows.create_service(create(a_spec()))
        await flows.update_service(update("web", a_spec(replicas=2), version=1))
        with pytest.raises(OutOfSequenceError):
            await flows.update_service(update("web", a_spec(replicas=3), version=1))
        assert record_of(led).version == 2

    in_cluster(scenario)


def test_an_update_that_was_overtaken_at_the_registry_begins_again():
    async def scenario(flows, led, registry):
        await flows.create_service(create(a_spec()))
        registry.push("app:2", DIGEST_B, AMD64)

        def overtake():
            registry.before_answer = None
            state = led.leader.state
            service = commands.find_service(state, "web")
            spec = replace(service.record.spec, labels={"by": "other"})
            commands.update_service(state, service, spec, 0, b"", led.leader.now())

        registry.before_answer = overtake
        answer = await flows.update_service(update("web", a_spec(image="app:2")))
        assert answer.version == 3
        assert record_of(led).previous_spec.labels == {"by": "other"}
        assert len([asked for asked, _ in registry.asked if asked == "app:2"]) == 2

    in_cluster(scenario)


def test_a_rollback_swaps_specs_and_is_refused_without_a_previous_one():
    async def scenario(flows, led, registry):
        await flows.create_service(create(a_spec()))
        rollback = pb.UpdateServiceRequest(name="web", rollback=True)
        with pytest.raises(ConflictError):
            await flows.update_service(rollback)
        await flows.update_service(update("web", a_spec(replicas=4)))
        assert (await flows.update_service(rollback)).version == 3
        assert record_of(led).spec.mode.replicas == 1

    in_cluster(scenario)


def test_credentials_are_sealed_used_for_resolving_and_kept_by_updates():
    async def scenario(flows, led, registry):
        await flows.create_service(create(a_spec(), registry_auth=to_proto(ADA)))
        assert registry.asked == [("app:1", ADA)]
        sealed = record_of(led).sealed_auth
        assert b"s3cret" not in sealed
        assert open_credentials(a_sealer(), sealed, record_of(led).id.encode()) == ADA
        registry.push("app:2", DIGEST_B, AMD64)
        await flows.update_service(update("web", a_spec(image="app:2")))
        assert registry.asked[-1] == ("app:2", ADA)
        bob = RegistryAuth("bob", "pw")
        await flows.update_service(update("web", a_spec(), registry_auth=to_proto(bob)))
        before = record_of(led)
        await flows.update_service(update("web", a_spec(), registry_auth_from="previous-spec"))
        assert record_of(led).sealed_auth == before.previous_sealed_auth == sealed
        with pytest.raises(InvalidRequestError, match="registry_auth_from"):
            await flows.update_service(update("web", a_spec(), registry_auth_from="elsewhere"))

    in_cluster(scenario)


def test_credentials_without_a_key_are_refused_with_the_way_out():
    async def scenario(flows, led, registry):
        with pytest.raises(ConflictError, match="key_file"):
            await flows.create_service(create(a_spec(), registry_auth=to_proto(ADA)))
        anonymous = to_proto(RegistryAuth(server_address="x"))
        await flows.create_service(create(a_spec(), registry_auth=anonymous))
        assert record_of(led).sealed_auth == b""

    in_cluster(scenario, sealer=False)


def test_a_dry_run_changes_nothing_and_tells_where_tasks_would_go():
    async def scenario(flows, led, registry):
        for node in ("n1", "n2"):
            led.join(node)
        await led.leader.settled()
        txns = led.client.model.txn_count
        answer = await flows.create_service(create(a_spec(replicas=3), dry_run=True))
        assert answer.id == ""
        assert "place 3 tasks: 2 on n1, n2" in answer.plan
        assert not led.leader.state.services
        assert led.client.model.txn_count == txns
        await flows.create_service(create(a_spec(replicas=3)))
        registry.push("app:2", DIGEST_B, AMD64)
        wanted = a_spec(replicas=4, image="app:2")
        answer = await flows.update_service(update("web", wanted, dry_run=True))
        assert answer.version == record_of(led).version == 1
        text = "\n".join(answer.plan)
        assert f"app:1@{DIGEST_A} -> app:2@{DIGEST_B}"[:40] in text
        assert "replace 3 tasks (slots 1, 2, 3): 1 at a time, stop-first" in text

    in_cluster(scenario)


def test_removing_frees_the_name_and_a_missing_one_is_told():
    async def scenario(flows, led, registry):
        created = await flows.create_service(create(a_spec()))
        removed = await flows.remove_service(pb.RemoveServiceRequest(name="web"))
        assert removed.id == created.id
        with pytest.raises(NotFoundError):
            await flows.remove_service(pb.RemoveServiceRequest(name="web"))
        await flows.create_service(create(a_spec()))

    in_cluster(scenario)


def test_a_node_changes_by_single_labels_or_whole_and_only_to_what_exists():
    async def scenario(flows, led, registry):
        led.join("n1")
        ask = pb.UpdateNodeRequest
        node = await flows.update_node(ask(name="n1", labels_add={"zone": "a", "x": "1"}))
        assert node.spec.labels == {"zone": "a", "x": "1"}
        node = await flows.update_node(
            ask(name="n1", labels_remove=["x"], availability="drain", version=node.version)
        )
        assert node.spec.labels == {"zone": "a"}
        assert node.spec.availability == "drain"
        with pytest.raises(InvalidRequestError, match="active, pause, drain"):
            await flows.update_node(ask(name="n1", availability="asleep"))
        with pytest.raises(OutOfSequenceError):
            await flows.update_node(ask(name="n1", availability="active", version=1))

    in_cluster(scenario)


def test_a_connected_node_leaves_by_force_only_and_its_session_ends():
    async def scenario(flows, led, registry):
        session = led.join("n1")
        await flows.create_service(create(a_spec()))
        await led.leader.settled()
        (task,) = led.leader.state.node_tasks["n1"]
        led.report(session, TaskStatus(task.id, TaskState.RUNNING))
        with pytest.raises(ConflictError):
            await flows.remove_node(pb.RemoveNodeRequest(name="n1"))
        assert not session.outbox.is_closed
        await flows.remove_node(pb.RemoveNodeRequest(name="n1", force=True))
        assert session.outbox.is_closed
        assert "n1" not in led.leader.state.nodes
        assert [t.node_id for t in led.leader.state.tasks.values()] == [None]

    in_cluster(scenario)


def test_settings_reach_every_connected_agent():
    async def scenario(flows, led, registry):
        session = led.join("n1")
        await led.leader.settled()
        session.outbox.take()
        settings = replace(led.leader.state.cluster.settings, lost_after_s=9.0)
        request = pb.UpdateClusterRequest(version=1, settings=to_proto(settings))
        await flows.update_cluster(request)
        (message,) = [m for m in session.outbox.take() if m.HasField("settings")]
        assert message.settings.lost_after_s == 9.0
        with pytest.raises(OutOfSequenceError):
            await flows.update_cluster(request)

    in_cluster(scenario)


def test_while_the_store_takes_no_writes_a_change_is_refused_untouched():
    async def scenario(flows, led, registry):
        led.health = StoreHealth(StoreState.NO_SPACE, 0.0, "quota")
        with pytest.raises(StoreUnavailableError, match=r"read-only.*no space: quota"):
            await flows.create_service(create(a_spec()))
        assert not led.leader.state.services

    in_cluster(scenario)


def test_a_change_whose_commit_is_never_confirmed_is_said_to_be_uncertain():
    async def scenario(flows, led, registry):
        led.client.model.has_space = False
        with pytest.raises(OutcomeUnknownError, match="may still take effect"):
            await flows.create_service(create(a_spec()))

    in_cluster(scenario)


def test_a_leadership_that_ends_before_the_commit_leaves_the_change_uncertain():
    async def scenario(flows, led, registry):
        led.client.faults.latency_s = lambda: 0.5

        def end_soon():
            registry.before_answer = None
            asyncio.get_running_loop().call_later(0.2, led.running.cancel)

        registry.before_answer = end_soon
        with pytest.raises(OutcomeUnknownError, match="look before you repeat"):
            await flows.create_service(create(a_spec()))
        with pytest.raises(NotLeaderError):
            await flows.create_service(create(a_spec("db")))

    in_cluster(scenario)
