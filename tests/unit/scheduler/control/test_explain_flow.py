"""`berth explain` says when a task waits for the store, and for no other reason."""

import pytest

from berth.model.instant import Timestamp
from scheduler.control.explain_flow import explain_name
from scheduler.store.port import StoreHealth, StoreState
from tests.fakes.model_etcd import ModelEtcd
from tests.fakes.virtual_time import VirtualClock, run_virtually
from tests.unit.scheduler.control.harness import leading
from tests.unit.scheduler.test_leader_durability import Cluster

FULL = StoreHealth(StoreState.NO_SPACE, Timestamp(0.0), "etcd: database space exceeded")
WELL = StoreHealth(StoreState.OK, Timestamp(0.0))


def explained(name: str, *, is_stored: bool, health: StoreHealth) -> str:
    """Return what is said of a task that found its node, before or after that was stored."""

    async def main() -> str:
        clock = VirtualClock()
        model = ModelEtcd(clock)
        async with leading(clock, model) as led:
            cluster = Cluster(led, model, clock)
            await clock.sleep(1)
            if not is_stored:
                cluster.hold_store()
            creating = cluster.create()
            await clock.sleep(1)
            answer = await explain_name(led.leader, lambda: health, name)
            creating.cancel()
            return answer.tasks[0].summary

    return run_virtually(main())


@pytest.mark.parametrize("name", ["web", "web.1"])
def test_a_task_that_is_not_stored_waits_for_the_store(name: str) -> None:
    words = explained(name, is_stored=False, health=FULL)
    assert words.startswith("web.1 is assigned on n1 for ")
    assert words.endswith(
        "; it waits for the store, which takes no writes (no space: etcd: database space exceeded)"
        ": a node is told only of what is stored"
    )


@pytest.mark.parametrize("health", [FULL, WELL])
def test_a_task_that_is_stored_waits_for_its_agent_alone(health: StoreHealth) -> None:
    assert "store" not in explained("web", is_stored=True, health=health)
