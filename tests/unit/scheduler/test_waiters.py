"""Who waits is answered by what he waits for, once."""

import asyncio
from collections.abc import Callable

import pytest

from berth.errors import NotLeaderError
from berth.model.ids import Revision
from berth.model.instant import Instant
from scheduler.commit_pace import READ_PATIENCE_S
from scheduler.waiters import Waiters

NOW = Instant(100.0)
Answers = list[Callable[[Revision], None]]


def play(story: Callable[[Waiters], None]) -> None:
    async def main() -> None:
        story(Waiters())

    asyncio.run(main())


def answer(answers: Answers) -> int:
    for each in answers:
        each(Revision(7))
    return len(answers)


def test_changes_are_answered_by_their_records_and_others_are_not() -> None:
    def story(waiters: Waiters) -> None:
        change, whole = waiters.for_change(), waiters.for_all()
        assert waiters.has_changes
        assert answer(waiters.take_changes()) == 1
        assert change.result() == 7
        assert not whole.done()
        assert waiters.has_any
        assert answer(waiters.take_all()) == 1
        assert whole.result() == 7
        assert not waiters.has_any

    play(story)


def test_a_reader_presses_only_after_a_while() -> None:
    def story(waiters: Waiters) -> None:
        waiters.for_change()
        waiters.for_reading(NOW)
        waiters.for_reading(Instant(NOW + 1))
        assert not waiters.are_pressing(NOW)
        assert waiters.are_pressing(Instant(NOW + READ_PATIENCE_S))
        assert answer(waiters.take_all()) == 3
        assert not waiters.are_pressing(Instant(NOW + READ_PATIENCE_S))
        waiters.for_all()
        assert waiters.are_pressing(NOW)

    play(story)


def test_one_who_gave_up_is_left_alone() -> None:
    def story(waiters: Waiters) -> None:
        change = waiters.for_change()
        change.cancel()
        answer(waiters.take_changes())
        assert change.cancelled()

    play(story)


def test_who_waits_for_a_commit_hears_of_it_but_not_of_its_refusal() -> None:
    async def main() -> None:
        waiters, loop = Waiters(), asyncio.get_running_loop()
        durable, refused = loop.create_future(), loop.create_future()
        one, other = waiters.for_commit(durable), waiters.for_commit(refused)
        durable.set_result(Revision(9))
        refused.set_exception(RuntimeError("refused"))
        await asyncio.sleep(0)
        assert one.result() == 9
        assert not other.done()

    asyncio.run(main())


def test_the_end_is_told_to_all_who_were_not_answered() -> None:
    def story(waiters: Waiters) -> None:
        waiting = [waiters.for_change(), waiters.for_all(), waiters.for_reading(NOW)]
        taken = waiters.for_change()
        waiters.take_changes()
        waiters.end(NotLeaderError("over"))
        for each in (*waiting, taken):
            with pytest.raises(NotLeaderError, match="over"):
                each.result()

    play(story)
