"""Rows 1 and 2: the leader's core alone, from a created service to records ready to commit.

    python -m bench.core [--nodes 10000] [--services 100] [--replicas 1000] [--save FILE]

Counted: supervising, making the tasks, constraints, ranking, taking the nodes, and encoding each
node's document and each node's assignments. Commits are made when the leader's own loop would make
them (`scheduler.commit_pace`) with a store that answers at once and a user who waits for his
services' records; its clock shows the CPU time used plus the loop's pauses. Not
counted: etcd, gRPC, agents. Every service has two constraints of its own and reserves CPU and
memory. Seconds are CPU time of this one process, so that other work on the machine does not count.
The collector is set and tended as a leader does it. `limit_us_per_task` is what the same tasks cost
with nothing around them (`bench.core_limit`), in the same run.
"""

import argparse
import random
import time
from pathlib import Path

from bench.core_limit import limit_us_per_task
from bench.figures import save
from berth.collector import LOOK_PERIOD_S, Tending, growing_memory
from berth.model.ids import ClusterId, NodeId, ServiceId, SessionId, new_service_id
from berth.model.instant import Instant, Timestamp
from berth.model.node import NodeDescription
from berth.model.resources import NodeResources
from berth.model.service import Platform, ServiceSpec
from berth.wire.convert import from_proto, to_proto
from scheduler.cohort_forms import make_forms
from scheduler.commit_pace import NODES_PER_SLICE, CommitPace, Due
from scheduler.core import commands, membership
from scheduler.core.cluster_record import ClusterRecord
from scheduler.core.costs import turns_in_a_row
from scheduler.core.now import Now
from scheduler.core.placement.demand import compile_demand
from scheduler.core.placement.place import could_fit
from scheduler.core.state import LeaderState
from scheduler.core.step import Timers, take_turn
from scheduler.dispatch.told_tasks import told_task
from scheduler.leader import TURN_PAUSE_S
from scheduler.store.records import encode_changes
from tests.builders import a_spec

LABELS, VALUES = 20, 10
GIB = 2**30


def a_cluster(nodes: int, rng: random.Random) -> LeaderState:
    """Join nodes of 64 CPUs and 256 GiB, with 20 labels of 10 values each."""
    state = LeaderState(ClusterRecord(ClusterId("bench")))
    for number in range(nodes):
        labels = {f"k{key}": f"v{rng.randrange(VALUES)}" for key in range(LABELS)}
        description = NodeDescription(
            hostname=f"host-{number}",
            platform=Platform("linux", "x86_64"),
            resources=NodeResources(64 * 10**9, 256 * GIB),
            agent_labels=labels,
        )
        node = NodeId(f"node-{number:06}")
        hello = membership.Joined(node, SessionId(f"s-{number}"), "boot", description, ())
        membership.join(state, hello, now_at(0.0))
    for key in range(LABELS):  # A label's column is made when first asked for, and then kept.
        spec = a_spec(constraints=(f"node.labels.k{key}==v0",))
        could_fit(state.table, compile_demand(ServiceId("warm-up"), spec.task, spec.endpoint))
    state.take_changes()
    return state


def as_received(spec: ServiceSpec) -> ServiceSpec:
    """Return `spec` as the Control API reads it from a request; row 5 counts reading it."""
    return from_proto(ServiceSpec, to_proto(spec))


def now_at(instant: float) -> Now:
    return Now(Instant(1000.0 + instant), Timestamp(1_700_000_000.0 + instant))


def constraints(rng: random.Random) -> tuple[str, ...]:
    one, two = rng.sample(range(LABELS), 2)
    return (
        f"node.labels.k{one}!=v{rng.randrange(VALUES)}",
        f"node.labels.k{two}!=v{rng.randrange(VALUES)}",
    )


class Commits:
    """What a leader's commits cost before anything leaves the process."""

    def __init__(self, state: LeaderState) -> None:
        self._state = state
        self.made = self.documents = self.assignments = 0

    def make(self, due: Due) -> None:
        """Encode what is due, in slices as `scheduler.leader` does."""
        if due is Due.ALL:
            self.made += 1
            self._make_slice(NODES_PER_SLICE)
            while self._state.unsaved.placements:
                self._make_slice(NODES_PER_SLICE)
        elif due is Due.RECORDS:
            self._make_slice(nodes_max=0)

    def _make_slice(self, nodes_max: int) -> None:
        services = self._state.services
        unsaved, untold, _ = self._state.take_changes(nodes_max)
        self.documents += len(encode_changes(self._state, unsaved))
        for tasks in untold.values():
            told = [
                task.told or told_task(task, services[task.service_id].record) for task in tasks
            ]
            self.assignments += len(told)


def fill(state: LeaderState, services: int, replicas: int, rng: random.Random) -> dict[str, float]:
    """Create the services, take turns until all is placed; return how it went."""
    total = services * replicas
    specs = [
        as_received(
            a_spec(
                f"svc-{n}", replicas, image="app:1", cpus=0.01, memory=2**22,
                constraints=constraints(rng),
            )
        )
        for n in range(services)
    ]  # fmt: skip
    timers, commits, tending = Timers(), Commits(state), Tending()
    turns: list[float] = []
    placed = 0
    take_turn(state, timers, now_at(0.0))
    state.take_changes()
    pace, tended, has_changes = CommitPace(now_at(0.0).instant), now_at(0.0).instant, True
    begun = time.process_time()
    for number, spec in enumerate(specs):
        service = new_service_id(f"{number:024}")
        commands.create_service(state, service, spec, b"", now_at(0.0))
    is_unfinished = True
    while is_unfinished:
        turn_began = time.process_time()
        pauses = len(turns) // turns_in_a_row(len(state.nodes))
        now = now_at(turn_began - begun + TURN_PAUSE_S * pauses)
        tending.begin_turn(is_burst=bool(turns))
        report = take_turn(state, timers, now)
        make_forms(state)
        tending.end_turn(report.placed)
        turns.append(time.process_time() - turn_began)
        placed, is_unfinished = placed + report.placed, report.is_unfinished
        due = pace.due(
            now.instant,
            placed=report.placed,
            is_unfinished=is_unfinished,
            undelivered=0,
            is_awaited=False,
            has_changes=has_changes,
            nodes=len(state.untold),
        )
        has_changes = has_changes and due is Due.NOTHING
        commits.make(due)
        if now.instant - tended >= LOOK_PERIOD_S:
            tended = now.instant
            tending.look()
    spent = time.process_time() - begun
    if placed < total:
        raise SystemExit(f"only {placed} of {total} tasks found a place")
    assert commits.assignments == total, f"{commits.assignments} assignments for {total} tasks"
    turns.sort()
    return {
        "nodes": len(state.nodes),
        "tasks": total,
        "services": services,
        "tasks_per_s": total / spent,
        "us_per_task": spent / total * 1e6,
        "turn_p50_ms": turns[len(turns) // 2] * 1000,
        "turn_p99_ms": turns[int(len(turns) * 0.99)] * 1000,
        "commits": commits.made,
        "documents": commits.documents,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--services", type=int, default=100)
    parser.add_argument("--replicas", type=int, default=1000)
    parser.add_argument("--save", type=Path, help="Append the figures to this file, as JSON.")
    args = parser.parse_args()
    rng = random.Random(args.nodes)
    with growing_memory():
        state = a_cluster(args.nodes, rng)
    limit_us = limit_us_per_task(args.nodes, args.services, args.replicas, random.Random(1))
    figures = fill(state, args.services, args.replicas, rng)
    figures["limit_us_per_task"] = limit_us
    figures["times_the_limit"] = figures["us_per_task"] / limit_us
    save("core", vars(args), figures, {}, args.save)


if __name__ == "__main__":
    main()
