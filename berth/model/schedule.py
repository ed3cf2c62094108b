"""When a job is due: cron expressions in labels.

``berth.schedule="*/5 * * * *"`` on a job service has it run at each due time. Further labels:
``berth.schedule.timezone`` (an IANA name, default UTC), ``berth.schedule.overlap`` (skip, replace)
and ``berth.schedule.missed`` (skip, once).

Duty: read the labels, say what is wrong with them, and when the next due time is. Cron's own rules,
those for days on which clocks are changed among them, are `cronsim`'s, which follows Debian's cron:
a time that such a day does not have is due when the clock has jumped over it, a time that it has
twice is due once; schedules of every hour or minute go on as if nothing had happened.
Not here: what follows from being due (scheduler.core.job_schedule).
Invariant (tests/property/test_schedule.py): a due time is always later than what it was asked for.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from berth.errors import InvalidRequestError
from berth.model.instant import Timestamp

SCHEDULE_LABEL = "berth.schedule"
TIMEZONE_LABEL = "berth.schedule.timezone"
OVERLAP_LABEL = "berth.schedule.overlap"
MISSED_LABEL = "berth.schedule.missed"

_PREFIX = f"{SCHEDULE_LABEL}."
_EXAMPLE = f'write for example {SCHEDULE_LABEL}="*/5 * * * *"'


class Overlap(StrEnum):
    """What happens when the job is due while its last run is under way."""

    SKIP = "skip"
    REPLACE = "replace"


class Missed(StrEnum):
    """What happens to due times at which no leader was at hand."""

    SKIP = "skip"
    ONCE = "once"


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a job is due, and what is done about due times that get in each other's way."""

    expression: str
    timezone: str = "UTC"
    overlap: Overlap = Overlap.SKIP
    missed: Missed = Missed.SKIP

    def next_after(self, moment: Timestamp) -> Timestamp | None:
        """Return the first due time later than `moment`; None when there is none for 50 years."""
        start = datetime.fromtimestamp(moment, _zone(self.timezone))
        for due in _Times(self.expression, start):
            # Within an hour that a day has twice, the first answer may lie before `start`.
            if due.timestamp() > moment:
                return Timestamp(due.timestamp())
        return None


class _Times(CronSim):
    """The library's times, and right where clocks change by half an hour (Lord Howe Island).

    It looks for an hour in steps of one hour from a full one. Behind such a change all steps end at
    half past, and what was due in the first half of the hour that it finds would be passed over.
    """

    def advance_hour(self) -> bool:
        """Roll forward to the hour, and to its very beginning."""
        was_rolled = super().advance_hour()
        if was_rolled and self.dt.minute:
            full = self.dt.replace(minute=0)
            if full.astimezone(UTC).astimezone(full.tzinfo) == full:  # Else the day lacks it.
                self.dt = full
        return was_rolled


def is_scheduled(labels: Mapping[str, str]) -> bool:
    """Return whether a service asks to be run by the clock."""
    return SCHEDULE_LABEL in labels


def schedule_text(labels: Mapping[str, str]) -> tuple[str, str]:
    """Return what says when a job is due: with another text, other times are meant."""
    return labels.get(SCHEDULE_LABEL, ""), labels.get(TIMEZONE_LABEL, "UTC")


def schedule_of(labels: Mapping[str, str]) -> Schedule | None:
    """Return the schedule that a service asks for, None when it asks for none.

    Raises:
        InvalidRequestError: a label cannot be read; mend it as the message says.
    """
    faults = list(schedule_faults(labels))
    if faults:
        raise InvalidRequestError("; ".join(f"{label}: {problem}" for label, problem in faults))
    if not is_scheduled(labels):
        return None
    return Schedule(
        expression=labels[SCHEDULE_LABEL],
        timezone=labels.get(TIMEZONE_LABEL, "UTC"),
        overlap=Overlap(labels.get(OVERLAP_LABEL, Overlap.SKIP)),
        missed=Missed(labels.get(MISSED_LABEL, Missed.SKIP)),
    )


def schedule_faults(labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield each label of a schedule that is wrong, with what is wrong about it."""
    known = {TIMEZONE_LABEL: "", OVERLAP_LABEL: Overlap, MISSED_LABEL: Missed}
    for label in labels:
        if label.startswith(_PREFIX) and label not in known:
            yield label, f"does not exist; there are {', '.join(sorted(known))}"
        elif label.startswith(_PREFIX) and not is_scheduled(labels):
            yield label, f"means nothing without {SCHEDULE_LABEL}; {_EXAMPLE}"
    for label, words in ((OVERLAP_LABEL, tuple(Overlap)), (MISSED_LABEL, tuple(Missed))):
        value = labels.get(label)
        if value is not None and value not in words:
            yield label, f'"{value}" does not exist; use {" or ".join(words)}'
    zone = labels.get(TIMEZONE_LABEL, "UTC")
    if not _is_zone(zone):
        yield TIMEZONE_LABEL, f'"{zone}" is not a time zone; write for example Europe/Berlin'
        zone = "UTC"
    if is_scheduled(labels) and (problem := _expression_problem(labels[SCHEDULE_LABEL], zone)):
        yield SCHEDULE_LABEL, problem


def _expression_problem(expression: str, zone: str) -> str:
    quoted = f'"{expression}"'
    try:
        due = Schedule(expression, zone).next_after(Timestamp(0.0))
    except CronSimError as error:
        words = str(error)
        reason = words[:1].lower() + words[1:]
        return f"{quoted} is not a cron expression: {reason}; {_EXAMPLE}"
    return "" if due is not None else f"{quoted} is never due; {_EXAMPLE}"


def _is_zone(name: str) -> bool:
    try:
        _zone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return bool(name)


def _zone(name: str) -> tzinfo:
    # The library spares UTC its rules for changes of the clock; it knows it by identity.
    return UTC if name == "UTC" else ZoneInfo(name)
