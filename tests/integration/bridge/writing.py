"""Events that flow while a test moves Redis about: written one after another, and known to be in it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

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

    async def pause(self) -> None:
        """Return when nothing is being written."""
        self._may_write.clear()
        async with asyncio.timeout(30):
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
