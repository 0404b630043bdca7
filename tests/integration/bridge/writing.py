"""Events that flow while a test moves Redis about: written one after another, and known to be in it."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.eventually import READY_SECONDS
from tests.kafka_reader import Records

Write = Callable[[str, int], Awaitable[None]]
"""Writes one `added` event of a queue's job; raises if Redis does not have it."""


class Writer:
    """Adds events to some queues in turn until it is stopped. count: those that Redis has."""

    def __init__(self, write: Write, queues: list[str]) -> None:
        self._write = write
        self._queues = queues
        self._may_write = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_over = False
        self.counts = dict.fromkeys(queues, 0)
        self._may_write.set()

    @property
    def count(self) -> int:
        """Events in all."""
        return sum(self.counts.values())

    def told_wrongly(self, records: Records) -> list[str]:
        """What was not told once each, in the order it was written; empty = all was."""
        found: list[str] = []
        for queue, count in self.counts.items():
            told = [event.job_id for event in records.of_queue(queue)]
            written = [f"job-{number}" for number in range(count)]
            if told != written:
                lost, more = (dict(one) for one in (Counter(written) - Counter(told), Counter(told) - Counter(written)))
                found.append(f"{queue}: of {count} not told {lost}, told too often {more}, or in another order")
        return found

    async def pause(self) -> None:
        """Return when nothing is being written."""
        self._may_write.clear()
        async with asyncio.timeout(READY_SECONDS):
            await self._is_idle.wait()

    def go_on(self) -> None:
        """Write again."""
        self._may_write.set()

    def end(self) -> None:
        """Write no more after this one: redis-py may forget that whoever writes is cancelled."""
        self._is_over = True

    async def run(self) -> None:
        """Write until the end."""
        while not self._is_over:
            for queue in self._queues:
                if not self._may_write.is_set():
                    self._is_idle.set()
                    await self._may_write.wait()
                    self._is_idle.clear()
                await self._write(queue, self.counts[queue])
                self.counts[queue] += 1
                await asyncio.sleep(0.002)


@asynccontextmanager
async def writing(write: Write, queues: list[str]) -> AsyncGenerator[Writer]:
    """Write in the background; a write that fails fails the test."""
    writer = Writer(write, queues)
    task = asyncio.create_task(writer.run())
    try:
        yield writer
        assert not task.done(), task.exception()
    finally:
        writer.end()
        task.cancel()
        await asyncio.wait([task])
