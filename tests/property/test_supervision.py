"""Whatever happens in whatever order, supervision keeps its promises and converges in the end.

A state machine over the real core (tests.unit.scheduler.core.world): users, nodes, leaders do what
they like; after each step the invariants hold, and at the end, when all is healed, every service is
as its user wants it.
"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from berth.errors import ConflictError
from berth.model.node import Availability, NodeSpec, NodeState
from berth.model.service import FailureAction, UpdateOrder, UpdatePolicy
from berth.model.task import TaskState
from scheduler.core import commands, invariants
from scheduler.core.placement.place import why_not
from scheduler.core.service_state import slot_of
from tests.builders import a_spec, restart
from tests.unit.scheduler.core.world import World

S = TaskState
NAMES = ("web", "all")
IMAGES = ("app:1", "app:2", "app:3", "bad:1", "crash:1")
NODES = ("n1", "n2", "n3", "n4")


class Supervision(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World(nodes=4)
        self.desired_before: dict[str, TaskState] = {}

    # -- what users do

    @rule(
        name=st.sampled_from(NAMES),
        image=st.sampled_from(IMAGES),
        replicas=st.integers(0, 5),
        parallelism=st.integers(0, 3),
        delay_s=st.sampled_from((0.0, 2.0)),
        order=st.sampled_from(UpdateOrder),
        action=st.sampled_from(FailureAction),
        cpus=st.sampled_from((0.0, 1.5)),
        port=st.sampled_from((0, 80)),
        attempts=st.sampled_from((0, 2)),
    )
    def deploy(
        self, name, image, replicas, parallelism, delay_s, order, action, cpus, port, attempts
    ) -> None:
        policy = UpdatePolicy(parallelism, delay_s, 1.0, action, 0.0, order)
        spec = a_spec(
            name,
            replicas,
            image=image,
            is_global=name == "all",
            cpus=cpus,
            port=port,
            restart=restart(delay_s=1.0, attempts=attempts),
            update=policy,
            rollback=policy,
        )
        if name in self.world.state.names:
            self.world.update(name, spec)
        else:
            self.world.create(spec)

    @precondition(lambda self: self.world.state.names)
    @rule(data=st.data())
    def roll_back(self, data) -> None:
        name = data.draw(st.sampled_from(sorted(self.world.state.names)))
        service = self.world.service(name)
        if service.record.previous_spec is None:
            with pytest.raises(ConflictError):
                commands.roll_back_service(self.world.state, service, 0, self.world.now)
        else:
            commands.roll_back_service(self.world.state, service, 0, self.world.now)

    @precondition(lambda self: self.world.state.names)
    @rule(data=st.data())
    def remove(self, data) -> None:
        name = data.draw(st.sampled_from(sorted(self.world.state.names)))
        commands.remove_service(self.world.state, self.world.service(name))

    @rule(node=st.sampled_from(NODES), availability=st.sampled_from(Availability))
    def set_availability(self, node, availability) -> None:
        known = self.world.state.nodes.get(node)
        if known is not None:
            spec = NodeSpec(known.spec.labels, availability)
            commands.update_node(self.world.state, known, spec, 0, self.world.now)

    # -- what machines do

    @rule(node=st.sampled_from(NODES))
    def cut(self, node) -> None:
        self.world.cut(node)

    @rule(node=st.sampled_from(NODES))
    def join(self, node) -> None:
        self.world.join(node)

    @precondition(lambda self: self.world.state.tasks)
    @rule(data=st.data())
    def fail_a_task(self, data) -> None:
        running = [
            task
            for _, task in sorted(self.world.state.tasks.items())
            if task.observed == S.RUNNING and not self.world.nodes[str(task.node_id)].is_cut
        ]
        if running:
            self.world.fail(data.draw(st.sampled_from(running)), ran_s=3.0)

    @rule(turns=st.integers(1, 4))
    def act(self, turns) -> None:
        for _ in range(turns):
            self.world.turn()

    @rule(seconds=st.sampled_from((0.5, 3.0, 6.0, 20.0)))
    def wait(self, seconds) -> None:
        self.world.pass_time(seconds, step=1.0)

    @rule()
    def change_leader(self) -> None:
        self.world.turn()  # What was not yet durable would be lost, and its user told so.
        self.world.reload()
        self.desired_before.clear()

    # -- what must hold

    @invariant()
    def indexes_agree(self) -> None:
        invariants.check(self.world.state)

    @invariant()
    def a_slot_has_one_wanted_task_or_one_and_its_successor(self) -> None:
        for service in self.world.state.services.values():
            for slot, tasks in service.slots.items():
                wanted = [task for task in tasks if task.is_wanted and task.is_alive]
                assert len(wanted) <= 2, f"{slot}: {[task.id for task in wanted]}"
                attempts = [task.attempt for task in tasks]
                assert len(set(attempts)) == len(attempts)

    @invariant()
    def what_is_desired_only_rises(self) -> None:
        for task_id, task in self.world.state.tasks.items():
            before = self.desired_before.get(task_id)
            placed = task.node_id is not None
            assert not placed or before is None or task.desired >= before
            if placed:
                self.desired_before[task_id] = task.desired

    @invariant()
    def no_node_is_overcommitted_by_what_runs(self) -> None:
        cpus: dict[str, float] = {}
        for task in self.world.state.tasks.values():
            if task.observed == S.RUNNING and task.node_id is not None:
                record = self.world.state.services[task.service_id].record
                reserved = record.templates[task.template_version].task.reservation.nano_cpus
                cpus[task.node_id] = cpus.get(task.node_id, 0.0) + reserved / 1e9
        # In-place handover never runs both, so even then what runs fits (nodes have 4 CPUs).
        assert all(used <= 4.0 + 1.5 for used in cpus.values()), cpus

    def teardown(self) -> None:
        """Heal everything: all services must become as wanted, or say why they cannot."""
        for node in NODES:
            self.world.join(node)
            known = self.world.state.nodes[node]
            commands.update_node(self.world.state, known, NodeSpec(), 0, self.world.now)
        self.world.pass_time(400, step=2.0)
        for name in sorted(self.world.state.names):
            self._check_converged(name)
        assert all(node.state is NodeState.READY for node in self.world.state.nodes.values())
        removing = [s for s in self.world.state.services.values() if s.record.is_removing]
        assert not removing, "a removed service is gone once its tasks are"

    def _check_converged(self, name: str) -> None:
        service = self.world.service(name)
        record = service.record
        image = record.spec.task.container.image
        wanted = 4 if record.is_global else record.spec.mode.replicas
        slots = set(service.slots) | set(service.history)
        assert len(slots - service.closing) == wanted, (name, slots, service.closing)
        if record.is_paused or not image.startswith("app"):
            return
        waiting = {slot_of(task) for task in service.waiting.values()}
        for slot, tasks in service.slots.items():
            current = [task for task in tasks if task.is_wanted]
            assert len(current) == 1 or slot in waiting, (name, slot, tasks)
        running = self.world.running(name, image=image)
        # What waits fits nowhere, since a port or CPUs are taken by the other service; a rollout
        # may rightly stand still behind it.
        assert waiting or len(running) == wanted, (name, service.phases)
        for task in service.waiting.values():
            demand = service.demand(task.template_version)
            homes = [task.home] if task.home else list(NODES)
            assert all(why_not(self.world.state.table, node, demand) for node in homes)
        assert self.world.status(name) in {"", "completed", "rollback_completed"} or waiting


TestSupervision = Supervision.TestCase
TestSupervision.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
