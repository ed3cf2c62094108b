"""Turn the call that a task needs into the effect that the shell carries out.

Duty: gather from the state what one call must be told.
Not here: which call (nodeagent.core.task_machine), when (nodeagent.core.step).
"""

from berth.model.defaults import STOP_GRACE_S, effective_stop_grace_s
from berth.model.files import FilePayload
from nodeagent.core.files import payloads_of
from nodeagent.core.messages import (
    Call,
    CallEffect,
    CreateContainer,
    InspectContainer,
    PullImage,
    RemoveContainer,
    StartContainer,
    StopContainer,
)
from nodeagent.core.state import AgentState, LocalTask
from nodeagent.runtime.port import RegistryCredentials, RuntimeTask


def effect_of(state: AgentState, task: LocalTask, call: Call, call_id: int) -> CallEffect | None:
    """Return the effect for a call; None when the template that it needs is not known."""
    match call:
        case Call.START:
            return StartContainer(task.id, call_id, task.container_id)
        case Call.CREATE:
            spec = runtime_task(state, task, payloads_of(state, task))
            assert task.image is not None
            return None if spec is None else CreateContainer(task.id, call_id, spec, task.image)
        case Call.PULL:
            spec = runtime_task(state, task)
            return None if spec is None else PullImage(task.id, call_id, spec)
        case Call.STOP:
            template = state.template_of(task)
            grace_s = effective_stop_grace_s(template.task.container) if template else STOP_GRACE_S
            return StopContainer(task.id, call_id, task.container_id, grace_s)
        case Call.REMOVE:
            return RemoveContainer(task.id, call_id, task.container_id)
        case Call.INSPECT:
            return InspectContainer(task.id, call_id)


def runtime_task(
    state: AgentState, task: LocalTask, files: tuple[FilePayload, ...] = ()
) -> RuntimeTask | None:
    """Return all that a runtime must know of a task; None when its template is not known."""
    template = state.template_of(task)
    if template is None:
        return None
    auth, assignment = template.registry_auth, task.assignment
    granted = assignment.granted
    return RuntimeTask(
        task_id=assignment.task_id,
        service_id=template.service_id,
        service_name=template.service_name,
        service_labels=template.service_labels,
        slot=assignment.slot,
        is_global=template.is_global,
        attempt=assignment.attempt,
        node_id=state.node_id,
        node_name=state.node_name,
        cluster_id=state.cluster_id,
        epoch=state.epoch,
        template_version=template.version,
        task=template.task,
        endpoint=template.endpoint,
        granted=tuple((item.kind, item.units) for item in granted) if granted else (),
        node_platform=state.node_platform,
        networks=template.networks,
        files=files,
        credentials=None
        if auth is None
        else RegistryCredentials(
            username=auth.username,
            password=auth.password,
            identity_token=auth.identity_token,
            registry_token=auth.registry_token,
            server_address=auth.server_address,
        ),
    )
