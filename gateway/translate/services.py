"""Services as Docker's clients read them. Pure.

Not here: the spec (spec_out).
"""

from dataclasses import replace
from typing import Any

from berth.model.service import ServiceSpec
from berth.views import JobStatus, ServiceView, UpdateStatusView
from gateway.translate.defaults import ENDPOINT_MODE, ISOLATION, with_defaults
from gateway.translate.networks import with_network_ids, write_virtual_ips
from gateway.translate.spec_out import write_endpoint, write_ports, write_service_spec
from gateway.translate.writing import time_text


def write_service(
    service: ServiceView, *, with_status: bool = False, insert_defaults: bool = False
) -> dict[str, Any]:
    """Return a service.

    Args:
        service: as the cluster tells it.
        with_status: count its tasks.
        insert_defaults: write into the spec what holds where it is silent.
    """
    spec = with_defaults(service.spec) if insert_defaults else service.spec
    written: dict[str, Any] = {
        "ID": service.id,
        "Version": {"Index": service.version},
        "CreatedAt": time_text(service.created_at),
        "UpdatedAt": time_text(service.updated_at),
        "Spec": _shown_spec(spec),
    }
    if service.previous_spec is not None:
        written["PreviousSpec"] = _shown_spec(service.previous_spec)
    written["Endpoint"] = _endpoint(service)
    if service.update_status is not None and service.update_status.state:
        written["UpdateStatus"] = _update_status(service.update_status)
    if service.job is not None:
        written["JobStatus"] = _job_status(service.job)
    if service.job is not None and service.job.awaits_schedule:
        written["UpdateStatus"] = _waits_for_clock(service)
    if with_status:
        written["ServiceStatus"] = {
            "RunningTasks": service.running_tasks,
            "DesiredTasks": service.desired_tasks,
            "CompletedTasks": service.completed_tasks,
        }
    return written


def _shown_spec(spec: ServiceSpec) -> dict[str, Any]:
    mode = spec.endpoint.mode or ENDPOINT_MODE
    shown = replace(with_network_ids(spec), endpoint=replace(spec.endpoint, mode=mode))
    written = write_service_spec(shown)
    # Swarm says these two defaults of each service, whether or not the client asks for defaults.
    written["TaskTemplate"]["ContainerSpec"].setdefault("Isolation", ISOLATION)
    return written


def _endpoint(service: ServiceView) -> dict[str, Any]:
    """Return how a service is reached; nothing is said of one that nobody outside can reach."""
    spec = service.spec
    if not spec.endpoint.ports and not spec.task.networks:
        return {"Spec": {}}
    with_mode = replace(spec.endpoint, mode=spec.endpoint.mode or ENDPOINT_MODE)
    endpoint: dict[str, Any] = {"Spec": write_endpoint(with_mode)}
    if spec.endpoint.ports:
        endpoint["Ports"] = write_ports(spec.endpoint.ports)
    if virtual_ips := write_virtual_ips(service.published_at):
        endpoint["VirtualIPs"] = virtual_ips
    return endpoint


def _update_status(status: UpdateStatusView) -> dict[str, Any]:
    written = {"State": status.state, "StartedAt": time_text(status.started_at)}
    if status.completed_at is not None:
        written["CompletedAt"] = time_text(status.completed_at)
    return {**written, "Message": status.message}


def _job_status(job: JobStatus) -> dict[str, Any]:
    written: dict[str, Any] = {"JobIteration": {"Index": job.iteration}}
    if job.last_execution:
        written["LastExecution"] = time_text(job.last_execution)
    return written


def _waits_for_clock(service: ServiceView) -> dict[str, Any]:
    """Return the status of a job that runs when it is due: nothing is left to wait for now.

    Without it a docker CLI that waits for its create or update would wait for the run, a year
    perhaps.
    """
    changed_at = time_text(service.updated_at)
    return {
        "State": "completed",
        "StartedAt": changed_at,
        "CompletedAt": changed_at,
        "Message": "accepted; the job runs when it is due",
    }
