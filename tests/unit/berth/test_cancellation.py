"""A cancellation that came in the same moment as an error is not forgotten."""

import asyncio

import pytest

from berth.cancellation import check_cancelled


async def fails_while_it_is_cancelled() -> None:
    async def outlive() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(outlive())
            await asyncio.sleep(0)
            raise ValueError
    except* ValueError:
        pass
    check_cancelled()


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_it_goes_on(is_cancelled):
    async def scenario() -> None:
        running = asyncio.ensure_future(fails_while_it_is_cancelled())
        for _ in range(3):
            await asyncio.sleep(0)
        if is_cancelled:
            running.cancel()
        await asyncio.wait([running])
        assert running.cancelled() == is_cancelled

    asyncio.run(scenario())
