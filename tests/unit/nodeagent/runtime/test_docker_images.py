"""How long a pull may be silent, on virtual time."""

import contextlib
import json

import docker.errors
import pytest
import requests.exceptions

from berth.errors import RetryRule
from nodeagent.runtime.docker_images import DockerImages
from nodeagent.runtime.observer import NoObserver
from nodeagent.runtime.port import RuntimeCallError
from nodeagent.runtime.pulled_images import MemoryPulledImages
from tests.fakes.virtual_time import VirtualClock, run_virtually


class StallingEngine:
    """The way to an Engine without images, whose pull tells of a layer now and then, then hangs."""

    def __init__(self, clock: VirtualClock, told_every_s: float) -> None:
        self.clock = clock
        self.told_every_s = told_every_s
        self.told_last_at = clock.instant()

    async def run(self, function):
        return function()

    async def call(self, name, what, function, **flags):
        response = requests.models.Response()
        response.status_code = 404
        raise docker.errors.NotFound("no such image", response=response)

    @contextlib.asynccontextmanager
    async def stream(self, name, method, path, *, params, headers, read_timeout_s):
        self.read_timeout_s = read_timeout_s
        yield self

    async def batches(self):
        """As a socket with this time-out reads: a silence as long as that ends it."""
        for _ in range(3):
            assert self.told_every_s < self.read_timeout_s
            await self.clock.sleep(self.told_every_s)
            self.told_last_at = self.clock.instant()
            yield json.dumps({"id": "layer1", "status": "Downloading"}).encode() + b"\n"
        await self.clock.sleep(self.read_timeout_s)
        raise requests.exceptions.ReadTimeout("Read timed out.")


@pytest.mark.parametrize("told_every_s", [1.0, 299.0])
def test_a_pull_is_given_up_after_five_minutes_without_progress(told_every_s):
    async def main():
        clock = VirtualClock()
        engine = StallingEngine(clock, told_every_s)
        images = DockerImages(
            engine,
            pulled=MemoryPulledImages(),
            clock=clock,
            observer=NoObserver(),
            parallel_pulls=1,
        )
        with pytest.raises(RuntimeCallError) as refusal:
            await images.pull("app:1", None, lambda progress: None)
        return clock.instant() - engine.told_last_at, refusal.value.retry

    assert run_virtually(main()) == (300.0, RetryRule.LATER)
