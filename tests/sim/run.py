"""One run: a seed, a safety phase with faults, a liveness phase without.

Duty: draw a run from its seed, let it happen, and give its outcome as plain data.
Not here: many seeds, the command line (__main__).
"""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from berth.model.ids import ServiceId
from scheduler.core import invariants
from tests.sim.checkers import Checkers
from tests.sim.cluster import Cluster
from tests.sim.convergence import broken_labels, broken_promises, unsettled
from tests.sim.faults import Faults, draw_profile
from tests.sim.job_checkers import told_wrong
from tests.sim.job_users import JobUsers
from tests.sim.loop import START_S, SimLoop, run_simulated
from tests.sim.store_checkers import forgotten_by_store
from tests.sim.workload import Promise, Users, program_images

WARM_UP_S = 3.0
LIVENESS_S = 720.0
STEADY_S = 15.0
"""Everything must have stood still for this long to count as settled."""
CALLBACKS_MAX = 500.0
"""A second, of a settled cluster: heartbeats, ticks, jobs and crash loops make up to 150."""


@dataclass(frozen=True)
class Outcome:
    """What became of a seed."""

    seed: int
    violations: tuple[str, ...]
    lines: tuple[str, ...]
    digest: str
    virtual_s: float
    callbacks: int


def simulate(seed: int, minutes: float = 3.0) -> Outcome:
    """Run one seed from its beginning to its end."""
    before = structlog.get_config()
    try:
        return run_simulated(lambda loop: _simulate(loop, seed, minutes))
    finally:
        structlog.configure(**before)


async def _simulate(loop: SimLoop, seed: int, minutes: float) -> Outcome:
    rng = random.Random(seed)
    cluster = Cluster(
        loop, seed, rng, schedulers=rng.choice((1, 2, 3, 3, 3)), nodes=rng.choice((2, 3, 4, 5, 6))
    )
    history = cluster.history
    structlog.configure(processors=[history.take_log], cache_logger_on_first_use=False)
    profile = draw_profile(rng)
    history.note("seed", f"{seed}: {profile}, {len(cluster.schedulers)} schedulers")
    checkers = Checkers(cluster, profile)
    for machine in cluster.machines:
        program_images(machine)
        history.note(machine.name, f"{machine.id} {machine.labels} {machine.resources}")
    users = Users(cluster, random.Random(rng.random()), rng.choice((2.0, 4.0, 8.0)))
    job_users = JobUsers(cluster, users)
    faults = Faults(cluster, random.Random(rng.random()), profile)
    try:
        await _live(loop, cluster, checkers, users, job_users, faults, minutes)
    except Exception as error:
        history.violate("nothing crashes", f"{type(error).__name__}: {error}\n{_where(error)}")
    history.is_closed = True
    return Outcome(
        seed,
        tuple(history.violations),
        tuple(history.lines()),
        history.digest(),
        loop.time() - START_S,
        loop.callbacks,
    )


async def _live(
    loop: SimLoop,
    cluster: Cluster,
    checkers: Checkers,
    users: Users,
    job_users: JobUsers,
    faults: Faults,
    minutes: float,
) -> None:
    cluster.start()
    await asyncio.sleep(WARM_UP_S)
    acting = [asyncio.ensure_future(act.run()) for act in (users, faults, job_users)]
    over_at = loop.time() + minutes * 60.0
    while loop.time() < over_at and not cluster.history.violations:
        await asyncio.sleep(0.5)
        checkers.look_around()
        for act in acting:
            if act.done():
                act.result()
    users.is_over = True
    for act in acting:
        act.cancel()
    await asyncio.wait(acting)
    if cluster.history.violations:
        return
    await faults.heal()
    await users.restore()
    await _settle(loop, cluster, checkers, {**users.promises, **job_users.promises}, users.zones)


async def _settle(
    loop: SimLoop,
    cluster: Cluster,
    checkers: Checkers,
    promises: Mapping[ServiceId, Promise],
    zones: Mapping[str, str],
) -> None:
    give_up_at = loop.time() + LIVENESS_S
    steady_since, callbacks = loop.time(), loop.callbacks
    found: list[str] = ["nothing was looked at"]
    while loop.time() < give_up_at and not cluster.history.violations:
        await asyncio.sleep(1.0)
        checkers.look_around()
        found = unsettled(cluster)
        if found:
            steady_since, callbacks = loop.time(), loop.callbacks
        elif loop.time() - steady_since >= STEADY_S:
            break
    for text in found if loop.time() >= give_up_at else ():
        cluster.history.violate("in the end, what is wanted runs", text)
    rate = (loop.callbacks - callbacks) / max(loop.time() - steady_since, STEADY_S)
    words = f"{rate:.0f} callbacks a second while nothing happens"
    cluster.history.check(rate <= CALLBACKS_MAX, "who has nothing to do is quiet", words)
    scheduler = cluster.leading()
    if cluster.history.violations or scheduler is None or scheduler.leader is None:
        return
    leader = scheduler.leader
    await leader_settled(scheduler)
    invariants.check(leader.state)
    for text in told_wrong(leader.state):
        cluster.history.violate("a run's record says what its slots say", text)
    for text in broken_promises(promises, leader):
        cluster.history.violate("what users were told holds", text)
    for text in broken_labels(zones, leader):
        cluster.history.violate("what users were told holds", text)
    for text in forgotten_by_store(cluster, leader):
        cluster.history.violate("a new leader finds everything as it was", text)


async def leader_settled(scheduler) -> None:  # type: ignore[no-untyped-def]
    """Wait until all that the leader knows is durable."""
    assert scheduler.process is not None
    assert scheduler.leader is not None
    await scheduler.process.spawn(scheduler.leader.settled(), "settle")


def _where(error: BaseException) -> str:
    import traceback

    return "".join(traceback.format_exception(error)[-4:])
