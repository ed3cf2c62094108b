"""What must hold of real containers, checked at the moment at which one starts.

Duty: never the same task twice; a fenced service never two of a slot at once; no stale orders;
nothing without its configs and secrets.
Not here: what the leader believes (checkers).
"""

from collections.abc import Callable

from berth.model.fence import FENCE_LABEL, fence_after_s, replace_after_s
from berth.model.files import file_keys
from berth.model.ids import NodeId, TaskId
from nodeagent.core.state import Phase
from nodeagent.runtime.port import ContainerState
from tests.fakes.fake_engine_host import FakeContainer
from tests.sim.cluster import Cluster, SimMachine


class ContainerChecks:
    """See the module."""

    def __init__(self, cluster: Cluster, was_stored: Callable[[NodeId, TaskId], bool]) -> None:
        self._cluster = cluster
        self._history = cluster.history
        self._was_stored = was_stored
        self._epochs: dict[str, int] = {}
        self._agent_impaired_at: dict[str, float] = {}
        self._journal_failed: dict[str, None] = {}
        self._obeyed: dict[str, int] = {}

    def look_around(self) -> None:
        """Check the agents' memories; note who cannot keep its promises now."""
        now = self._cluster.loop.time()
        for machine in self._cluster.machines:
            if machine.journal.fails:
                self._journal_failed[machine.name] = None
            process = machine.process
            if process is None or not process.is_running or not machine.host.is_engine_up:
                self._agent_impaired_at[machine.name] = now
                continue
            if machine.agent is None:
                continue
            state = machine.agent.state
            state.validate()
            before = self._obeyed.get(machine.name, 0)
            self._history.check(
                state.epoch >= before or machine.name in self._journal_failed,
                "an agent's epoch never falls",
                f"{machine.name}: {before} to {state.epoch}",
            )
            self._obeyed[machine.name] = state.epoch

    def starts(self, machine: SimMachine, container: FakeContainer) -> None:
        """Check a start just before it happens."""
        task = container.task
        words = f"{task.service_name}.{task.slot}.{task.attempt} on {machine.name}"
        self._history.check(
            self._was_stored(machine.id, task.task_id),
            "nothing runs that is not durable",
            f"{words}: {task.task_id}",
        )
        self._history.check(
            task.epoch >= self._epochs.get(machine.name, 0) or machine.name in self._journal_failed,
            "agents obey no stale epoch",
            f"{words}: epoch {task.epoch} after {self._epochs.get(machine.name, 0)}",
        )
        self._history.check(
            len(machine.host.files.get(task.task_id, ())) == len(file_keys(task.task.container)),
            "nothing starts without its configs and secrets",
            words,
        )
        self._check_once(machine, container, words)
        for other in self._cluster.machines:
            for running in other.host.running_tasks():
                if running is not container:
                    self._check_pair(words, container, other, running)

    def ended(self, machine: SimMachine, container: FakeContainer) -> None:
        """Nothing is wrong with an end."""

    def _check_once(self, machine: SimMachine, container: FakeContainer, words: str) -> None:
        """A container that has run is started again only by an agent that is on its own."""
        if container.started_at == 0.0:
            return
        agent = machine.agent
        local = agent.state.tasks.get(container.task.task_id) if agent is not None else None
        is_alone = agent is not None and not agent.state.is_connected
        was_planned_alone = local is not None and local.phase is Phase.ENDED
        self._history.check(
            is_alone or (was_planned_alone and local is not None and local.ended is not None),
            "no task is started twice, but by an agent that is cut off",
            words,
        )

    def _check_pair(
        self, words: str, new: FakeContainer, machine: SimMachine, running: FakeContainer
    ) -> None:
        self._history.check(
            running.task.task_id != new.task.task_id,
            "no task runs twice",
            f"{words} starts while it runs on {machine.name}",
        )
        task, other = new.task, running.task
        is_same_slot = (task.service_id, task.slot) == (other.service_id, other.slot)
        if task.is_global or not is_same_slot or FENCE_LABEL not in other.service_labels:
            return
        fence_s = fence_after_s(other.service_labels)
        assert fence_s is not None
        grace_s = other.task.container.stop_grace_s
        needed_s = replace_after_s(fence_s, 10.0 if grace_s is None else grace_s) + 20.0
        impaired_at = max(self._agent_impaired_at.get(machine.name, 0.0), machine.removed_at)
        if self._cluster.loop.time() - impaired_at < needed_s:
            return  # It did not run, had no Engine, or its node was removed: it fences nothing.
        self._history.check(
            running.state is not ContainerState.RUNNING,
            "a fenced service never runs two tasks of a slot",
            f"{words} starts while .{other.attempt} runs on {machine.name}",
        )
