"""A new spec of a service, taken in, whoever wrote it: its user, or a rollout that rolls back.

Duty: what goes with a spec beside the slots, which are all looked at again: nodes are told of
labels and credentials that go with a template, tasks may be misplaced now or no longer, and what
failed under another template counts no more.
Not here: making the record (service_record), refusing it (commands).
"""

from scheduler.core.membership import check_places_of
from scheduler.core.service_record import ServiceRecord
from scheduler.core.service_state import ServiceState
from scheduler.core.state import LeaderState


def put_new_spec(state: LeaderState, service: ServiceState, record: ServiceRecord) -> None:
    """Replace a service's record by one with another spec."""
    before = service.record
    if record.template_version != before.template_version:
        service.forget_rollout()
        service.failures_by_node.clear()
        state.table.clear_penalties(record.id)
    state.put_service(record)
    state.prune_templates(service)  # A rollout that never ends would keep those of each update.
    if (record.spec.labels, record.sealed_auth) != (before.spec.labels, before.sealed_auth):
        state.tell_again(service)
    if record.spec.task.placement != before.spec.task.placement:
        check_places_of(state, service)
