"""What a failed test needs to be understood: programs, nodes, tasks and the ends of all logs.

Duty: one text about a cluster in trouble; it must come about whatever is broken.
"""

from collections.abc import Sequence

import grpc

from berth.model.task import TaskState
from tests.cluster.control import ControlClient
from tests.cluster.programs import Program
from tests.cluster.waiting import NotYetError, brief

_ASK_TIMEOUT_S = 3.0


def describe_cluster(programs: Sequence[Program], control: ControlClient) -> str:
    """Return the state of the cluster in words."""
    lines = ["--- programs"]
    lines += [f"{program.name}: {program.condition}" for program in programs]
    patience_s, control.timeout_s = control.timeout_s, _ASK_TIMEOUT_S
    try:
        lines += ["--- cluster", *_cluster_lines(control)]
    except (grpc.RpcError, NotYetError) as error:
        lines.append(f"it cannot be asked: {brief(error)}")
    finally:
        control.timeout_s = patience_s
    for program in programs:
        lines += [f"--- log of {program.name} ({program.log_path})", program.log_tail()]
    return "\n".join(lines)


def _cluster_lines(control: ControlClient) -> list[str]:
    found = control.cluster()
    lines = [f"leader {found.leader_name} epoch {found.epoch} store {found.store_state}"]
    for view in control.nodes():
        node = view.node
        lines.append(
            f"node {node.description.hostname}: {node.state}/{node.spec.availability} "
            f"tasks={view.tasks_running} connected={view.connected} {node.message}"
        )
    for service in control.services():
        update = service.update_status
        lines.append(
            f"service {service.spec.name}: {service.running_tasks}/{service.desired_tasks} "
            f"template {service.template_version} update {update.state} {update.message}"
        )
    lines += [describe_task(task) for task in control.tasks(only_wanted=False)]
    return lines


def describe_task(task: object) -> str:
    """Return one line about a task of the Control service."""
    status = task.status  # type: ignore[attr-defined]
    states = {state.value: state.name for state in TaskState}
    observed = states.get(status.state, str(status.state))
    desired = states.get(task.desired, str(task.desired))  # type: ignore[attr-defined]
    return (
        f"task {task.service_name}.{task.slot} attempt {task.attempt} "  # type: ignore[attr-defined]
        f"on {task.node_name or '-'}: {observed} (wanted {desired}) "  # type: ignore[attr-defined]
        f"{status.message} {status.error}"
    ).rstrip()
