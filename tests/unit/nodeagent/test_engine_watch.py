"""A node whose Docker Engine stays away withdraws, and is back with it."""

from structlog.testing import capture_logs

from nodeagent.engine_watch import AWAY_S
from tests.unit.nodeagent.bench import Bench, virtually


@virtually
async def test_a_node_whose_engine_stays_away_withdraws_until_it_is_back():
    bench = Bench()
    async with bench.agent() as agent:
        await bench.joined()
        bench.host.stop_engine()
        await bench.clock.sleep(AWAY_S - 0.5)
        assert bench.link.stream.is_open
        await bench.clock.sleep(1)
        assert not bench.link.stream.is_open
        goodbye = bench.link.stream.received[-1].goodbye
        assert (goodbye.reason, goodbye.engine_away) == ("the Docker Engine does not answer", True)
        await bench.clock.sleep(600)
        assert len(bench.link.streams) == 1
        bench.host.start_engine()
        await bench.joined()
        assert len(bench.link.streams) == 2
        assert agent.problems == {}


@virtually
async def test_a_session_that_opens_after_the_node_withdrew_ends_at_once():
    bench = Bench()
    bench.link.leader = ""
    async with bench.agent():
        await bench.clock.sleep(1)
        bench.host.stop_engine()
        await bench.clock.sleep(AWAY_S - 0.5)
        bench.link.leader = "s1:1"  # Found by an attempt that began before.
        await bench.clock.sleep(60)
        assert not any(stream.is_open for stream in bench.link.streams)


@virtually
async def test_an_engine_that_comes_late_and_goes_is_told_a_line_each():
    bench = Bench()
    bench.host.stop_engine()
    with capture_logs() as lines:
        async with bench.agent():
            await bench.clock.sleep(600)
            bench.host.start_engine()
            await bench.joined()
            bench.host.stop_engine()
            await bench.clock.sleep(60)
            bench.host.start_engine()
            await bench.clock.sleep(60)
    told = [it["event"] for it in lines if "engine" in it["event"] and it["log_level"] != "debug"]
    assert told == ["engine_unavailable", "engine_answers", "engine_away", "engine_answers"]
