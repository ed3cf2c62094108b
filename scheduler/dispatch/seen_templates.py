"""Which templates a session's node was told.

Duty: remember it, and let go of what nobody will ask about again. A session may last for months, in
which a job by the clock has a template of its own for each of its runs, and users update services
thousands of times.
"""

from collections.abc import Mapping
from typing import Final

from berth.model.ids import ServiceId
from scheduler.core.service_state import ServiceState
from scheduler.dispatch.messages import TemplateKey

KEPT_MIN: Final = 64
"""Fewer are not worth a sweep."""


class SeenTemplates(set[TemplateKey]):
    """A set, since a burst looks something up for each task; what comes in comes by `note`."""

    def __init__(self) -> None:
        super().__init__()
        self._sweep_above = KEPT_MIN

    def note(self, key: TemplateKey, services: Mapping[ServiceId, ServiceState]) -> None:
        """Note that a template is told.

        Args:
            key: by what it is known.
            services: all that there are now, by ID.
        """
        self.add(key)
        if len(self) > self._sweep_above:
            self.difference_update([each for each in self if not _may_be_told(each, services)])
            self._sweep_above = max(KEPT_MIN, 2 * len(self))


def _may_be_told(key: TemplateKey, services: Mapping[ServiceId, ServiceState]) -> bool:
    service_id, template_version, spec_version = key
    service = services.get(service_id)
    if service is None:
        return False
    record = service.record
    return spec_version == record.version and template_version in record.templates
