"""Configs and secrets that this node was sent: which tasks have theirs, which must wait.

Duty: keep payloads in memory while the leader says so, say what a task lacks before its container
is made or started, say whose files may go.
Not here: files themselves (nodeagent.runtime.task_files). No payload is ever journalled: after its
own restart an agent has the files that it wrote into memory (tmpfs), and asks the leader for the
rest; after the machine's restart it has none.
Invariant (tests/unit/nodeagent/core/test_files.py): a container that needs files is neither made
nor started without them.
"""

from berth.model.files import FileId, FilePayload, references
from berth.model.ids import TaskId
from berth.model.service import ContainerSpec
from nodeagent.core.messages import Call, FilesCame
from nodeagent.core.state import AgentState, LocalTask, Phase

_WAITS = "preparing: waits for the leader to send"
_LOST = "waits for a leader: its configs and secrets were lost when this machine restarted"


def take_files(state: AgentState, came: FilesCame) -> None:
    """Take in what the leader sent, and drop what it withdrew."""
    for key in came.withdrawn:
        state.payloads.pop(key, None)
    for payload in came.payloads:
        state.payloads[payload.key] = payload


def payloads_of(state: AgentState, task: LocalTask) -> tuple[FilePayload, ...]:
    """Return all that the task's container needs and this node has."""
    template = state.template_of(task)
    if template is None or not needs_any(template.task.container):
        return ()
    keys = [(kind, FileId(ref.id)) for kind, ref in references(template.task.container)]
    return tuple(state.payloads[key] for key in dict.fromkeys(keys) if key in state.payloads)


def needs_any(container: ContainerSpec) -> bool:
    """Return whether a container needs configs or secrets; hardly any does."""
    return bool(container.configs or container.secrets)


def lack_of_files(state: AgentState, task: LocalTask, call: Call) -> str | None:
    """Return why `call` must wait for configs or secrets, None when it need not."""
    if call is Call.START:
        # With a leader at hand the start fails, and a new task gets its files.
        return _LOST if task.has_lost_files and not state.is_connected else None
    if call is not Call.CREATE:
        return None
    template = state.template_of(task)
    if template is None or not needs_any(template.task.container):
        return None
    for kind, reference in references(template.task.container):
        payload = state.payloads.get((kind, FileId(reference.id)))
        if payload is None:
            return f'{_WAITS} {kind.value} "{reference.name}"'
        if payload.problem:
            return f'preparing: {kind.value} "{reference.name}" cannot be had: {payload.problem}'
    return None


def note_lost_files(state: AgentState, with_files: frozenset[TaskId]) -> None:
    """Note whose files are gone though their containers are there."""
    for task in state.tasks.values():
        template = state.template_of(task)
        needs_some = template is not None and needs_any(template.task.container)
        is_made = task.phase is not Phase.ABSENT
        task.has_lost_files = needs_some and is_made and task.id not in with_files


def needs_files(state: AgentState, task_id: TaskId) -> bool:
    """Return whether a task's files must stay: its container may run, or run again."""
    task = state.tasks.get(task_id)
    if task is None:
        return not state.is_synced or task_id in state.strays
    return not task.observed.is_terminal or task.phase is Phase.UP
