"""The flags that say how many tasks a service has, and what they mean to jobs.

Not here: the other flags of a spec (cli.spec_flags).
"""

from collections.abc import Iterator
from dataclasses import replace

from berth.model.service import ModeKind, ServiceMode
from cli import spec_values as read
from cli.flags import Flag, Scope, one_of, scalar


def mode_flags() -> Iterator[Flag]:
    """Yield the flags."""
    yield scalar(
        "--mode",
        "mode.kind",
        one_of(ModeKind),
        "Tasks that stay up or that end, a number or one per node (replicated)",
        metavar="replicated|global|replicated-job|global-job",
        scope=Scope.CREATE,
    )
    yield scalar(
        "--replicas",
        "mode.replicas",
        read.parse_count,
        "Number of tasks; of a job, how many must complete (1)",
        metavar="N",
    )
    yield scalar(
        "--max-concurrent",
        "mode.max_concurrent",
        read.parse_count,
        "Tasks of a job at once (as many as must complete)",
        metavar="N",
    )


def with_job_numbers(mode: ServiceMode) -> ServiceMode:
    """Return `mode` with the number of tasks where a job has it: replicas are its completions."""
    if mode.kind is not ModeKind.REPLICATED_JOB or mode.replicas is None:
        return mode
    at_once = mode.replicas if mode.max_concurrent is None else mode.max_concurrent
    return replace(mode, replicas=None, total_completions=mode.replicas, max_concurrent=at_once)
