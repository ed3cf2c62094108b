"""Each rule of jobs and schedules refuses what it is for, and nothing else."""

from dataclasses import replace

import pytest

from berth.model.schedule import MISSED_LABEL, OVERLAP_LABEL, SCHEDULE_LABEL, TIMEZONE_LABEL
from berth.model.service import ModeKind, ServiceMode, ServiceSpec, UpdatePolicy
from scheduler.control.validate import validate_spec
from scheduler.control.validate_job import job_faults
from tests.builders import a_global_job, a_job, a_spec, restart


def numbered(at_once: int | None, total: int | None) -> ServiceSpec:
    mode = ServiceMode(ModeKind.REPLICATED_JOB, max_concurrent=at_once, total_completions=total)
    return replace(a_job(), mode=mode)


def labelled(**labels: str) -> ServiceSpec:
    found = {f"{SCHEDULE_LABEL}.{key}": value for key, value in labels.items()}
    return a_job(labels={SCHEDULE_LABEL: "0 3 * * *", **found})


def scheduled(text: str) -> ServiceSpec:
    return a_job(labels={SCHEDULE_LABEL: text})


RULES = [
    (replace(a_spec(), mode=ServiceMode(max_concurrent=1)), "mode.max_concurrent", "only for"),
    (
        replace(a_spec(), mode=ServiceMode(total_completions=1)),
        "mode.total_completions",
        "only for",
    ),
    (replace(a_job(), mode=ServiceMode(ModeKind.REPLICATED_JOB, 3)), "mode.replicas", "only for"),
    (numbered(-1, 5), "mode.max_concurrent", "-1 is not within 0..1000000"),
    (numbered(1, 1_000_001), "mode.total_completions", "1000001 is not within"),
    (numbered(0, 5), "mode.max_concurrent", "0 lets no task ever start"),
    (replace(a_job(), update=UpdatePolicy()), "update", "is not for jobs"),
    (replace(a_global_job(), rollback=UpdatePolicy()), "rollback", "is not for jobs"),
    (a_spec(labels={SCHEDULE_LABEL: "0 3 * * *"}), f"labels[{SCHEDULE_LABEL}]", "only for jobs"),
    (scheduled("x"), f"labels[{SCHEDULE_LABEL}]", '"x" is not a cron expression'),
    (scheduled("0 0 30 2 *"), f"labels[{SCHEDULE_LABEL}]", "is not a cron expression"),
    (labelled(timezone="Mars"), f"labels[{TIMEZONE_LABEL}]", '"Mars" is not a time zone'),
    (labelled(overlap="both"), f"labels[{OVERLAP_LABEL}]", "use skip or replace"),
    (labelled(missed="all"), f"labels[{MISSED_LABEL}]", "use skip or once"),
    (labelled(zone="UTC"), f"labels[{SCHEDULE_LABEL}.zone]", "does not exist; there are"),
    (a_job(labels={MISSED_LABEL: "once"}), f"labels[{MISSED_LABEL}]", "means nothing without"),
]


@pytest.mark.parametrize(("spec", "path", "words"), RULES, ids=[f"{p}: {w}" for _, p, w in RULES])
def test_each_rule_names_its_path_and_alone(spec, path, words):
    faults, _ = validate_spec(spec, previous=None)
    (fault,) = faults
    assert fault.path == path
    assert words in fault.problem


def test_all_faults_are_told_at_once():
    spec = replace(labelled(timezone="Mars", overlap="both"), update=UpdatePolicy())
    assert len(list(job_faults(spec))) == 3


@pytest.mark.parametrize(
    "spec",
    [
        a_job(),
        a_global_job(),
        numbered(None, None),
        numbered(0, 0),
        a_job(restart=restart("none")),
        # The docker CLI says so wherever it is told anything of restarts.
        a_job(restart=restart("any")),
        labelled(timezone="Europe/Berlin", overlap="replace", missed="once"),
        scheduled("*/10 * * * * *"),
        scheduled("0 0 29 2 *"),
    ],
    ids=str,
)
def test_what_makes_sense_is_accepted(spec):
    assert validate_spec(spec, previous=None) == ([], [])
