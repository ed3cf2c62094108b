"""The output of containers on a real Engine: exact, in order, and over as soon as nobody reads."""

import asyncio
import threading
from contextlib import aclosing

import pytest

from berth.clock import SystemClock
from berth.errors import RetryRule
from berth.model.service import LogDriver, TaskSpec
from nodeagent.runtime.engine_options import EngineOptions
from nodeagent.runtime.port import LogOptions, RuntimeCallError
from tests.contract.docker_runtime import ground, texts, wait_until

pytestmark = pytest.mark.engine

COUNT = 10_000
# Fast numbered lines on both streams, then a last one without a line feed.
FLOOD = f"seq 1 {COUNT}; seq 1 {COUNT} >&2; printf end"


@pytest.fixture
def image(one_host):
    return str(one_host.images.busybox())


def run(one_engine, image, scenario, **options):
    async def main():
        async with ground(one_engine, image, options=EngineOptions(**options)) as it:
            async with asyncio.timeout(120.0):
                return await scenario(it)

    return asyncio.run(main())


def awaited(path):
    """Return what a script does until a test has made this file."""
    return f"while ! test -e {path}; do sleep 0.1; done"


async def read(it, container_id, **options):
    return [line async for line in it.runtime.logs(container_id, LogOptions(**options))]


NUMBERS = [str(number) for number in range(1, COUNT + 1)]


def test_following_fast_output_loses_and_doubles_nothing(one_engine, image):
    async def scenario(it):
        container_id = await it.start(it.task("sh", "-c", FLOOD))
        return await read(it, container_id, follow=True)

    lines = run(one_engine, image, scenario)
    out = [line for line in lines if not line.is_stderr]
    assert texts(out) == [*NUMBERS, "end"]
    assert texts([line for line in lines if line.is_stderr]) == NUMBERS
    assert [line.time_ns for line in out] == sorted(line.time_ns for line in out)


def test_following_begins_before_the_output_and_comes_line_by_line(one_engine, image):
    async def scenario(it):
        task = it.task("sh", "-c", f"{awaited('/go')}; echo a; {awaited('/further')}; echo b")
        container_id = await it.start(task)

        async def let_go():
            await asyncio.sleep(0.3)
            await it.touch(container_id, "/go")

        async with (
            aclosing(it.runtime.logs(container_id, LogOptions(follow=True))) as lines,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(let_go())
            first = (await anext(lines)).data
            await it.touch(container_id, "/further")  # There is no second before the first came.
            return [first, *[line.data async for line in lines]]

    assert run(one_engine, image, scenario) == [b"a", b"b"]


def test_a_terminal_has_one_stream(one_engine, image):
    async def scenario(it):
        script = "echo out; echo err >&2; head -c 40000 /dev/zero | tr '\\0' x; echo"
        container_id = await it.start(it.task("sh", "-c", script, tty=True))
        return await read(it, container_id, follow=True)

    lines = run(one_engine, image, scenario)
    assert texts(lines) == ["out\r", "err\r", "x" * 40000 + "\r"]
    assert not any(line.is_stderr for line in lines)


def test_a_line_that_the_engine_cut_is_whole_again(one_engine, image):
    async def scenario(it):
        script = "head -c 100000 /dev/zero | tr '\\0' x; echo; echo short"
        container_id = await it.start(it.task("sh", "-c", script))
        return await read(it, container_id, follow=True)

    assert texts(run(one_engine, image, scenario)) == ["x" * 100000, "short"]


def test_tail_since_and_streams_are_chosen(one_engine, image):
    async def scenario(it):
        script = "echo 1; echo e1 >&2; sleep 1.2; echo 2; echo 3"
        task = it.task("sh", "-c", script)
        container_id = await it.start(task)
        await wait_until(it.runtime, task, lambda seen: seen.exit_code is not None)
        every = await read(it, container_id)
        later = every[-2].time_ns / 1e9 - 0.5
        return (
            len(every),
            texts(await read(it, container_id, tail=2)),
            texts(await read(it, container_id, tail=0)),
            texts(await read(it, container_id, since=later)),
            texts(await read(it, container_id, stdout=False)),
            texts(await read(it, container_id, stderr=False)),
            texts(await read(it, container_id, tail=2, follow=True)),
        )

    assert run(one_engine, image, scenario) == (
        4,
        ["2", "3"],
        [],
        ["2", "3"],
        ["e1"],
        ["1", "2", "3"],
        ["2", "3"],
    )


def test_only_what_comes_when_no_old_line_is_wanted(one_engine, image):
    async def scenario(it):
        script = f"echo old; {awaited('/go')}; while :; do echo new; sleep 0.1; done"
        container_id = await it.start(it.task("sh", "-c", script))
        while not await read(it, container_id):
            await asyncio.sleep(0.05)
        options = LogOptions(tail=0, follow=True)
        async with (
            aclosing(it.runtime.logs(container_id, options)) as lines,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(it.touch(container_id, "/go"))
            return texts([await anext(lines), await anext(lines)])

    assert run(one_engine, image, scenario) == ["new", "new"]


def test_who_stops_reading_is_served_no_longer(one_engine, image):
    async def scenario(it):
        container_id = await it.start(it.task("sh", "-c", "echo first; sleep 60"))
        async with aclosing(it.runtime.logs(container_id, LogOptions(follow=True))) as lines:
            assert (await anext(lines)).data == b"first"
        reading = [thread.name for thread in threading.enumerate() if "logs" in thread.name]
        for _ in range(1500):
            if not reading:
                break
            await asyncio.sleep(0.02)
            reading = [thread.name for thread in threading.enumerate() if "logs" in thread.name]
        return reading

    assert run(one_engine, image, scenario) == []


def test_a_cancelled_reader_goes_at_once(one_engine, image):
    async def scenario(it):
        container_id = await it.start(it.task("sleep", "60"))
        begun = SystemClock().instant()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await read(it, container_id, follow=True)
        return SystemClock().instant() - begun

    assert run(one_engine, image, scenario) < 30.0, "it did not wait for the container's end"


def test_a_slow_reader_is_waited_for(one_engine, image):
    async def scenario(it):
        # About 20 MB: more than is kept waiting between thread and loop.
        line = "head -c 1000000 /dev/zero | tr '\\0' x; echo"
        script = f"i=0; while [ $i -lt 20 ]; do {line}; i=$((i+1)); done"
        container_id = await it.start(it.task("sh", "-c", script))
        sizes = []
        async for line in it.runtime.logs(container_id, LogOptions(follow=True)):
            sizes.append(len(line.data))
            await asyncio.sleep(0.05)
        return sizes

    assert run(one_engine, image, scenario) == [1_000_000] * 20


def test_too_many_readers_are_refused_and_short_calls_go_on(one_engine, image):
    async def scenario(it):
        container_id = await it.start(it.task("sh", "-c", "echo first; sleep 60"))
        options = LogOptions(follow=True)
        async with (
            aclosing(it.runtime.logs(container_id, options)) as one,
            aclosing(it.runtime.logs(container_id, options)) as two,
        ):
            await asyncio.gather(anext(one), anext(two))
            with pytest.raises(RuntimeCallError, match="2 logs are being read") as refusal:
                await anext(it.runtime.logs(container_id, options))
            assert len(await it.runtime.list_containers()) == 1
        return refusal.value.retry

    retry = run(one_engine, image, scenario, log_streams=2, short_calls=1)
    assert retry is RetryRule.LATER


def test_details_are_what_the_log_driver_adds(one_engine, image):
    driver = LogDriver("json-file", {"labels": "team", "env": "WHO"})
    task = TaskSpec(log_driver=driver)
    fields = {"task": task, "env": ("WHO=a b",), "labels": {"team": "red"}}

    async def scenario(it):
        container_id = await it.start(it.task("sh", "-c", "echo one; printf two", **fields))
        plain = await read(it, container_id, follow=True)
        return plain, await read(it, container_id, follow=True, details=True)

    plain, detailed = run(one_engine, image, scenario)
    assert texts(plain) == texts(detailed) == ["one", "two"]
    assert {line.attributes for line in plain} == {""}
    assert {line.attributes for line in detailed} == {"WHO=a+b,team=red"}
