"""What an answer must wait for."""

import asyncio

from berth.errors import StaleEpochError
from berth.model.ids import Epoch, Revision, ServiceId
from scheduler.commits_under_way import CommitsUnderWay
from scheduler.core.unsaved import Unsaved

WEB, DB = ServiceId("web"), ServiceId("db")


def of(*services: ServiceId) -> Unsaved:
    return Unsaved(services=dict.fromkeys(services))


def with_commits(story) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        story(CommitsUnderWay(), [loop.create_future() for _ in range(3)])

    asyncio.run(main())


def test_the_newest_commit_that_holds_it_is_waited_for() -> None:
    def story(commits, futures) -> None:
        assert commits.last is None
        for services, future in zip(((WEB,), (WEB, DB), (DB,)), futures, strict=True):
            commits.add(of(*services), future)
        assert commits.last is futures[2]
        assert commits.newest_with([WEB]) is futures[1]
        assert commits.newest_with(None) is futures[2]
        assert commits.newest_with(["other"]) is None

    with_commits(story)


def test_what_is_durable_is_waited_for_no_more() -> None:
    def story(commits, futures) -> None:
        for future in futures:
            commits.add(of(WEB), future)
        for number, future in enumerate(futures):
            assert commits.newest_with([WEB]) is futures[2]
            future.set_result(Revision(number))
        assert commits.newest_with([WEB]) is None
        assert commits.newest_with(None) is None

    with_commits(story)


def test_what_is_durable_is_kept_no_longer_though_nobody_reads() -> None:
    async def main() -> None:
        commits = CommitsUnderWay()
        for number in range(100):
            durable: asyncio.Future[Revision] = asyncio.get_running_loop().create_future()
            commits.add(of(WEB), durable)
            durable.set_result(Revision(number))
        assert len(commits) == 1

    asyncio.run(main())


def test_a_refused_commit_holds_everything_back() -> None:
    def story(commits, futures) -> None:
        commits.add(of(WEB), futures[0])
        commits.add(of(WEB), futures[1])
        futures[0].set_exception(StaleEpochError(ours=Epoch(1), current=Epoch(2)))
        futures[1].cancel()
        assert commits.newest_with([DB]) is not None
        assert commits.newest_with(None) is not None

    with_commits(story)
