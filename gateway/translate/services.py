"""Services as Docker's clients read them. Pure.

Not here: the spec (spec_out).
"""

from typing import Any

from berth.views import ServiceView, UpdateStatusView
from gateway.translate.defaults import with_defaults
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
        "Spec": write_service_spec(spec),
    }
    if service.previous_spec is not None:
        written["PreviousSpec"] = write_service_spec(service.previous_spec)
    endpoint: dict[str, Any] = {"Spec": write_endpoint(service.spec.endpoint)}
    if service.spec.endpoint.ports:
        endpoint["Ports"] = write_ports(service.spec.endpoint.ports)
    written["Endpoint"] = endpoint
    if service.update_status is not None and service.update_status.state:
        written["UpdateStatus"] = _update_status(service.update_status)
    if with_status:
        written["ServiceStatus"] = {
            "RunningTasks": service.running_tasks,
            "DesiredTasks": service.desired_tasks,
            "CompletedTasks": service.completed_tasks,
        }
    return written


def _update_status(status: UpdateStatusView) -> dict[str, Any]:
    written = {"State": status.state, "StartedAt": time_text(status.started_at)}
    if status.completed_at is not None:
        written["CompletedAt"] = time_text(status.completed_at)
    return {**written, "Message": status.message}
