"""A journal in memory: what survives an agent's crash, for the simulator and for tests.

It keeps bytes, not objects, so that whatever the real form would lose is lost here too.
"""

from nodeagent.core.record import JournalRecord
from nodeagent.journal import decode, encode


class FakeJournal:
    """Keeps the last record saved; `fails` makes every save fail, as a full disk does."""

    def __init__(self) -> None:
        self.content: bytes | None = None
        self.saves = 0
        self.fails = False

    def load(self) -> JournalRecord | None:
        return None if self.content is None else decode(self.content)

    async def save(self, record: JournalRecord) -> None:
        if self.fails:
            raise OSError("No space left on device")
        self.content = encode(record)
        self.saves += 1
