"""What nodes are told of templates, as bytes: entries of `Assignments.templates`.

Duty: make the entry of a task's template, and give it again to the nodes that follow. Where each of
ten thousand nodes gets ten tasks of ten services, a template is told as often as a task.
Not here: which node knows which template already (seen_templates).
Invariant (tests/unit/scheduler/dispatch/test_told_templates.py): what is given again is what would
be made now. What holds credentials is not kept beyond the nodes that are packed for at once.
"""

from dataclasses import dataclass
from typing import Protocol

import structlog

from berth.errors import BerthError
from berth.model.network import Network
from berth.model.registry_auth import RegistryAuth
from berth.model.task import Task
from berth.v1 import dispatcher_pb2 as pb
from berth.wire.varints import delimited
from scheduler.core.networks import networks_for
from scheduler.core.service_record import ServiceRecord
from scheduler.core.state import LeaderState
from scheduler.dispatch.messages import TemplateKey, template_key, template_of

log = structlog.get_logger()

ROOM = 1024
"""Kept entries; a burst has fewer services, and who updates thousands finds most of them new."""

_TEMPLATES = pb.Assignments.TEMPLATES_FIELD_NUMBER


class Unsealer(Protocol):
    """Opens stored registry credentials."""

    def __call__(self, sealed: bytes, context: bytes) -> RegistryAuth | None:
        """Return the credentials, or None where there are none."""
        ...


@dataclass(slots=True)
class _Kept:
    """An entry, and what it was made of."""

    record: ServiceRecord
    networks: list[Network]
    entry: bytes


class ToldTemplates:
    """See the module."""

    def __init__(self, state: LeaderState, unseal: Unsealer, room: int = ROOM) -> None:
        self._state = state
        self._unseal = unseal
        self._room = room
        self._kept: dict[TemplateKey, _Kept] = {}
        self._with_credentials: dict[TemplateKey, bytes] = {}

    def entry(self, task: Task) -> bytes:
        """Return what a node must be told of a task's template."""
        record = self._state.services[task.service_id].record
        key = template_key(record, task)
        if (known := self._with_credentials.get(key)) is not None:
            return known
        all_networks = self._state.networks
        networks = networks_for(all_networks, record.templates[task.template_version].task.networks)
        kept = self._kept.get(key)
        if kept is not None and kept.record is record and kept.networks == networks:
            return kept.entry
        sealed = _sealed_credentials(record, task)
        auth = self._open(record, sealed)
        template = template_of(record, task.template_version, auth, all_networks)
        entry = delimited(_TEMPLATES, template.SerializeToString())
        if sealed:
            self._with_credentials[key] = entry
            return entry
        self._kept[key] = _Kept(record, networks, entry)
        if len(self._kept) > self._room:
            del self._kept[next(iter(self._kept))]
        return entry

    def forget_credentials(self) -> None:
        """Keep no entry with credentials any longer."""
        self._with_credentials.clear()

    def _open(self, record: ServiceRecord, sealed: bytes) -> RegistryAuth | None:
        try:
            return self._unseal(sealed, record.id.encode())
        except BerthError as error:
            # The pull will say what it lacks; one service's credentials must not end a leadership.
            log.error("credentials_unreadable", service=record.spec.name, why=error.message)
            return None


def _sealed_credentials(record: ServiceRecord, task: Task) -> bytes:
    # Whichever run of a job it is of: every run is to have the newest credentials.
    is_newest = record.job is not None or task.template_version == record.template_version
    return record.sealed_auth if is_newest else record.previous_sealed_auth
