"""After a restart: what jobs were doing that somebody relayed until our cursor, learned from the stream itself.

It is read backwards, from where we are, only until the jobs asked for have begun, and only so far: a job that began
earlier is told by its hash, and so are all where Redis refuses the reading, or entries are too big to arrive.
"""

from collections.abc import Sequence
from typing import cast

from bridge.errors import TooSlow
from bridge.sources.bullmq import translate, wire
from bridge.sources.bullmq.door import Command, Door, Refused, Reply
from bridge.sources.bullmq.memory import QueueMemory
from bridge.sources.bullmq.portions import Portion
from bridge.sources.bullmq.stream import Entry, Position

MOST_FAILURES = 2
"""So often one page is given time to arrive, the second time a smaller one: the whole lane waits for it."""

MOST_ENTRIES = 4000
"""Read back in all after one restart: some 35 ms of computing, a queue. Each time begins at the newest again, and what
is read twice counts twice."""


class Past:
    """One queue's stream before the position it was taken up at. A queue begun at its start has none.

    A page holds more than was asked for: jobs that began before it are known in part until they are asked for, too.
    """

    def __init__(self, position: Position) -> None:
        self._partly: set[str] = set()
        self._left = 0 if position.last_id == "0-0" else MOST_ENTRIES
        self._portion = Portion(first=100, most=1000, wanted_bytes=1024 * 1024)
        self._failures = 0

    async def recall(self, door: Door, key: str, last_id: str, entries: Sequence[Entry], memory: QueueMemory) -> None:
        """Teach the memory the jobs of these entries it does not know, from the entries up to last_id.

        Raises SourceUnavailable.
        """
        wanted = self._unknown(entries, memory) if self._left else set[str]()
        found: list[Entry] = []
        end = last_id
        while wanted and self._left > 0:
            count = min(self._portion.count, self._left)
            (reply,) = await self._ask(door, ("XREVRANGE", key, end, "-", "COUNT", count))
            if isinstance(reply, Refused):
                self._left = 0
                door.say_refused("XREVRANGE", reply, without="what jobs did before a restart is told by their hashes")
                break
            page = wire.entries_of(cast(list[Reply], reply or []))
            found += page
            wanted -= {entry.job_id for entry in page if entry.event == "added"}
            self._left = self._left - len(page) if len(page) == count else 0
            if page:
                self._portion.learn([entry.size for entry in page])
                end = f"({page[-1].id}"
        self._teach(found, memory)
        if not self._left:
            self._partly.clear()  # nobody will ask
        if self._partly:
            self._partly.difference_update([entry.job_id for entry in entries])  # what is read now tells of them

    def _teach(self, found: Sequence[Entry], memory: QueueMemory) -> None:
        """found: newest first."""
        begun = {entry.job_id for entry in found if entry.event == "added"}
        for job_id in self._partly & begun:
            memory.forget(job_id)
        taught = [entry for entry in reversed(found) if entry.job_id not in memory]
        self._partly |= {entry.job_id for entry in taught}
        self._partly -= begun
        translate.remember(taught, memory)

    def _unknown(self, entries: Sequence[Entry], memory: QueueMemory) -> set[str]:
        """Jobs whose life did not begin in these entries, and is not remembered, or not from its beginning."""
        added: set[str] = set()
        unknown: set[str] = set()
        for entry in entries:
            job_id = entry.job_id
            if entry.event == "added":
                added.add(job_id)
            elif job_id and job_id not in added and (job_id not in memory or job_id in self._partly):
                unknown.add(job_id)
        return unknown

    async def _ask(self, door: Door, command: Command) -> list[Reply]:
        """Redis's reply. After MOST_FAILURES that were too slow nothing is left to be asked for."""
        try:
            return await door.ask([command])
        except TooSlow:
            self._portion.shrink()
            self._failures += 1
            if self._failures >= MOST_FAILURES:
                self._left = 0
            raise
