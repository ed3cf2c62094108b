"""What a commit lets out: each node's part of it, frozen as memory was at the commit.

Duty: the leader's memory -> for each session concerned one delivery, to be made once the commit is
durable. Not here: the single messages' form (messages, files), when (scheduler.leader).
"""

from collections.abc import Callable, Collection, Mapping

from berth.model.ids import NodeId, Revision, ServiceId, TaskId
from berth.model.task import Task
from scheduler.core.state import LeaderState
from scheduler.dispatch.desk import AgentSession
from scheduler.dispatch.files import FilePost
from scheduler.dispatch.messages import template_key
from scheduler.dispatch.told_tasks import told_task
from scheduler.dispatch.told_templates import ToldTemplates, Unsealer

Delivery = Callable[[Revision], None]


class Packing:
    """Packs for all sessions of one leadership."""

    def __init__(
        self,
        state: LeaderState,
        sessions: Mapping[NodeId, AgentSession],
        files: FilePost,
        unseal: Unsealer,
        note_sent: Callable[[int], None],
    ) -> None:
        self._state = state
        self._sessions = sessions
        self._files = files
        self._templates = ToldTemplates(state, unseal)
        self._note_sent = note_sent

    def pack(
        self,
        untold: dict[NodeId, list[Task]],
        forgotten: dict[NodeId, list[TaskId]],
        joining: list[AgentSession],
        purged: dict[NodeId, list[TaskId]],
    ) -> list[Delivery]:
        """Freeze what nodes are to be told, as memory is now, for after the commit.

        Args:
            untold: by node, the tasks that it must be told of.
            forgotten: by node, the tasks that it may forget.
            joining: sessions that get their complete set; not in the two above.
            purged: by node, the ended tasks whose containers may go.
        """
        deliveries: list[Delivery] = []
        for session in joining:
            tasks = list(self._state.node_tasks.get(session.node, ()))
            deliveries.append(self._parcel_for(session, tasks, [], complete=True))
        for node in sorted({*untold, *forgotten}):
            told = self._sessions.get(node)
            if told is not None:
                tasks = untold.get(node, [])
                gone = forgotten.get(node, [])
                deliveries.append(self._parcel_for(told, tasks, gone, complete=False))
        self._files.forget_opened()
        self._templates.forget_credentials()
        deliveries += [self._purge(node, task_ids) for node, task_ids in sorted(purged.items())]
        return deliveries

    def _parcel_for(
        self,
        session: AgentSession,
        tasks: Collection[Task],
        forgotten: Collection[TaskId],
        *,
        complete: bool,
    ) -> Delivery:
        """Freeze one session's part."""
        assignments: dict[TaskId, bytes] = {}
        templates: dict[tuple[ServiceId, int], bytes] = {}
        for task in tasks:
            record = self._state.services[task.service_id].record
            assignments[task.id] = task.told or told_task(task, record)
            key = template_key(record, task)
            if key not in session.outbox.seen_templates:
                session.outbox.seen_templates.note(key, self._state.services)
                templates[task.service_id, task.template_version] = self._templates.entry(task)
        gone = list(forgotten)
        files = self._files.batches(session.outbox.files, self._state.services, tasks, forgotten)

        def deliver(revision: Revision) -> None:
            for batch in files:  # Before the assignments that need them.
                session.outbox.put_message(batch)
            session.outbox.put(revision, assignments, templates, gone, complete=complete)
            self._note_sent(len(assignments))

        return deliver

    def _purge(self, node: NodeId, task_ids: list[TaskId]) -> Delivery:
        def deliver(revision: Revision) -> None:
            session = self._sessions.get(node)
            if session is not None:  # Else the agent's own sweep gets them when they are old.
                session.outbox.purge(revision, [str(task_id) for task_id in task_ids])

        return deliver
