"""A service as it is stored: specs, templates in use, how far its rollout is, or its job.

Duty: the pure changes of that record: create, update, roll back, finish a rollout. Not here: which
tasks follow from it (reconcile, rollout), validation (scheduler.control.validate).

Versions. `version` moves with every write of the spec by a user or by an automatic rollback, and
with nothing else. `template_version` names the template that tasks should have; it moves only when
the template changed in substance, so that scaling or labelling a service restarts nothing, and it
moves *back* when a rollback restores a template that some tasks still have. Each run of a job has
a template version of its own, the next one higher; a scheduled job's newest spec has that of the
run that is to come.

Invariants: `templates[template_version]` is the template of `spec`; every live task's
`template_version` is a key of `templates`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from berth.errors import ConflictError
from berth.model.fence import FENCE_LABEL
from berth.model.hot_value import hot_value
from berth.model.ids import ServiceId
from berth.model.instant import NO_TIME, Timestamp
from berth.model.job import RunCause
from berth.model.schedule import is_scheduled, schedule_text
from berth.model.service import EndpointSpec, ServiceSpec, TaskSpec
from scheduler.core.job_record import JobRecord

FORMER_IMAGES_KEPT: Final = 20
_ALL_BUT_PLACEMENT: Final = tuple(
    each.name for each in fields(TaskSpec) if each.name != "placement"
)
_NO_IMAGES: Final[Mapping[int, str]] = MappingProxyType({})


class UpdateState(StrEnum):
    """Swarm's names for what a rollout is doing."""

    UPDATING = "updating"
    PAUSED = "paused"
    COMPLETED = "completed"
    ROLLBACK_STARTED = "rollback_started"
    ROLLBACK_PAUSED = "rollback_paused"
    ROLLBACK_COMPLETED = "rollback_completed"

    @property
    def is_active(self) -> bool:
        """True while slots are being replaced."""
        return self in (UpdateState.UPDATING, UpdateState.ROLLBACK_STARTED)

    @property
    def is_paused(self) -> bool:
        """True when it waits for a user."""
        return self in (UpdateState.PAUSED, UpdateState.ROLLBACK_PAUSED)

    @property
    def is_rollback(self) -> bool:
        """True when it goes back to the previous spec."""
        return self in (
            UpdateState.ROLLBACK_STARTED,
            UpdateState.ROLLBACK_PAUSED,
            UpdateState.ROLLBACK_COMPLETED,
        )


@dataclass(frozen=True, slots=True)
class UpdateStatus:
    """What a rollout is doing, and the counts that decide whether it may go on.

    `slots_total` is the number of slots that had to be replaced when it began; `failed_tasks` the
    tasks of the new template that ended before or within the monitor period.
    """

    state: UpdateState
    message: str = ""
    started_at: Timestamp = NO_TIME
    completed_at: Timestamp | None = None
    slots_total: int = 0
    failed_tasks: int = 0


@hot_value
class Template:
    """What a task is made from: a change to it replaces tasks."""

    task: TaskSpec
    endpoint: EndpointSpec

    def runs_like(self, other: "Template") -> bool:
        """Return whether both make the same container, wherever it may be placed."""
        if self is other:
            return True
        # Field by field, for each slot of a rollout: to make copies without a placement cost more
        # than all else that is done for a slot.
        mine, others = self.task, other.task
        return self.endpoint == other.endpoint and all(
            getattr(mine, name) == getattr(others, name) for name in _ALL_BUT_PLACEMENT
        )


@hot_value
class ServiceRecord:
    """A service as it is stored; replaced whole, never changed in place."""

    id: ServiceId
    spec: ServiceSpec
    version: int = 1
    template_version: int = 1
    templates: Mapping[int, Template] = field(default_factory=dict)
    former_images: Mapping[int, str] = field(default_factory=dict)
    """Images of the newest templates that were let go; ended tasks in the history had them."""
    previous_spec: ServiceSpec | None = None
    update_status: UpdateStatus | None = None
    created_at: Timestamp = NO_TIME
    updated_at: Timestamp = NO_TIME
    is_removing: bool = False
    attempt_floor: int = 0
    """No slot ever again uses an attempt up to this: slots were closed that had used them."""
    sealed_auth: bytes = field(default=b"", repr=False)
    previous_sealed_auth: bytes = field(default=b"", repr=False)
    job: JobRecord | None = None
    """How far it is, exactly for a service that is a job."""

    @property
    def template(self) -> Template:
        """The template that tasks should have."""
        return self.templates[self.template_version]

    def image(self, template_version: int) -> str:
        """Return the image of a template, "" for one that was let go long ago."""
        template = self.templates.get(template_version)
        if template is None:
            return self.former_images.get(template_version, "")
        return template.task.container.image

    @property
    def is_global(self) -> bool:
        """True for one task per node."""
        return self.spec.mode.kind.is_global

    @property
    def is_paused(self) -> bool:
        """True while its rollout waits for a user."""
        return self.update_status is not None and self.update_status.state.is_paused

    @property
    def is_fenced(self) -> bool:
        """True when no two of a slot's tasks may ever run at once."""
        return FENCE_LABEL in self.spec.labels

    @property
    def live_version(self) -> int:
        """The template version of the tasks that may be made now: of a job, its newest run's."""
        return self.job.run_version if self.job and self.job.run_version else self.template_version

    def runs_current(self, template_version: int) -> bool:
        """Return whether a task of `template_version` needs no replacement but for its place."""
        if self.job is not None:
            return template_version == self.job.run_version
        if template_version == self.template_version:
            return True
        return self.templates[template_version].runs_like(self.template)


def template_of(spec: ServiceSpec) -> Template:
    """Return the part of `spec` that tasks are made from."""
    return Template(task=spec.task, endpoint=spec.endpoint)


def create_record(
    service: ServiceId, spec: ServiceSpec, now: Timestamp, sealed_auth: bytes = b""
) -> ServiceRecord:
    """Return the record of a new service; a job's first run begins, unless it has a schedule."""
    record = ServiceRecord(
        id=service,
        spec=spec,
        templates={1: template_of(spec)},
        former_images=_NO_IMAGES,
        created_at=now,
        updated_at=now,
        sealed_auth=sealed_auth,
    )
    if not spec.mode.kind.is_job:
        return record
    record = replace(record, job=JobRecord(schedule_from=now))
    return record if is_scheduled(spec.labels) else begin_run(record, now, RunCause.CREATED)


def begin_run(
    record: ServiceRecord, now: Timestamp, cause: RunCause, due_at: Timestamp | None = None
) -> ServiceRecord:
    """Return the record of a job with another run under way, made from its newest spec."""
    assert record.job is not None
    job = record.job.begun(now, cause, due_at)
    templates = {**record.templates, job.run_version: template_of(record.spec)}
    return replace(record, job=job, template_version=job.run_version, templates=templates)


def update_spec(
    record: ServiceRecord, spec: ServiceSpec, now: Timestamp, sealed_auth: bytes
) -> ServiceRecord:
    """Return the record after a user's update; a paused or finished rollout is forgotten.

    An update of a job runs it anew, as in Swarm; one with a schedule only if it is forced.
    """
    if record.job is not None:
        changed = _with_job_spec(record, spec, now)
    else:
        changed = _with_spec(record, spec, now)
    return replace(
        changed,
        previous_spec=record.spec,
        update_status=None,
        previous_sealed_auth=record.sealed_auth,
        sealed_auth=sealed_auth,
    )


def roll_back(record: ServiceRecord, now: Timestamp, message: str) -> ServiceRecord:
    """Return the record with spec and previous spec swapped, and a rollback begun.

    Raises:
        ConflictError: there is no previous spec; nothing can be done but another update.
    """
    if record.previous_spec is None:
        raise ConflictError(
            f'service "{record.spec.name}" has no previous spec to roll back to: '
            "it was never updated; use update instead"
        )
    if record.job is not None:
        changed = _with_job_spec(record, record.previous_spec, now)
    else:
        changed = _with_spec(record, record.previous_spec, now)
        status = UpdateStatus(UpdateState.ROLLBACK_STARTED, message, started_at=now)
        changed = replace(changed, update_status=status)
    return replace(
        changed,
        previous_spec=record.spec,
        sealed_auth=record.previous_sealed_auth,
        previous_sealed_auth=record.sealed_auth,
    )


def prune_templates(record: ServiceRecord, in_use: Collection[int]) -> ServiceRecord:
    """Return the record without templates that no live task has and no spec names."""
    keep = {
        version: template
        for version, template in record.templates.items()
        if version in (record.template_version, record.live_version) or version in in_use
    }
    if len(keep) == len(record.templates):
        return record
    images = {
        **record.former_images,
        **{version: record.image(version) for version in record.templates if version not in keep},
    }
    newest = sorted(images)[-FORMER_IMAGES_KEPT:]
    return replace(
        record, templates=keep, former_images={version: images[version] for version in newest}
    )


def _with_spec(record: ServiceRecord, spec: ServiceSpec, now: Timestamp) -> ServiceRecord:
    version = record.version + 1
    wanted = template_of(spec)
    # Tasks may still have this very template, from before an update that is now being undone.
    known = [number for number, template in record.templates.items() if template == wanted]
    template_version = record.template_version if record.template == wanted else 0
    template_version = template_version or (known[0] if known else version)
    return replace(
        record,
        spec=spec,
        version=version,
        template_version=template_version,
        templates={**record.templates, template_version: wanted},
        updated_at=now,
    )


def _with_job_spec(record: ServiceRecord, spec: ServiceSpec, now: Timestamp) -> ServiceRecord:
    assert record.job is not None
    is_forced = spec.task.force_update != record.spec.task.force_update
    job = record.job
    if schedule_text(spec.labels) != schedule_text(record.spec.labels):
        job = replace(job, schedule_from=now)  # What was due before was another schedule's.
    coming = job.run_version + 1
    changed = replace(
        record,
        spec=spec,
        version=record.version + 1,
        template_version=coming,
        templates={**record.templates, coming: template_of(spec)},
        updated_at=now,
        job=job,
    )
    if is_scheduled(spec.labels) and not is_forced:
        return changed
    return begin_run(changed, now, RunCause.FORCED if is_forced else RunCause.UPDATED)
