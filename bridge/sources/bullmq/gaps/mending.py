"""When a lane's queues are mended: beside their reading, one round of work at a time, each queue in its turn."""

import asyncio
import time
from collections.abc import Iterable

from bridge.sources.bullmq import stream
from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.gaps.mender import Mender
from bridge.sources.bullmq.gaps.work import Work, mendable
from bridge.sources.bullmq.watched import Queue

AGAIN_SECONDS = 5.0
"""After a queue's gaps were mended, or could not be: other queues have their turn."""


class Mending:
    """Gives the mender its work, and forgets what is done of it. source: its name."""

    def __init__(self, mender: Mender, door: Door, source: str) -> None:
        self._mender = mender
        self._door = door
        self._source = source
        self._works: list[Work] = []
        self._task: asyncio.Task[None] | None = None
        self._since = 0.0

    @property
    def queues(self) -> list[Queue]:
        """Those that are being mended."""
        return [work.queue for work in self._works]

    async def step(self, queues: Iterable[tuple[Queue, bool]]) -> None:
        """Begin a round of what is due, or look whether the one that runs is over. Raises SourceUnavailable.

        queues: each with whether it is read to its end.
        """
        if self._task is not None:
            if self._task.done():
                await self._end(self._task)
            return
        self._works = [work for work in (self._work(*each) for each in queues) if work is not None]
        if self._works:
            self._since = time.monotonic()
            self._task = asyncio.create_task(self._mender.mend(self._works), name=f"mend-{self._source}")

    async def stop(self) -> None:
        if self._task is not None:
            task, self._task, self._works = self._task, None, []
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def stop_of(self, queue: Queue) -> None:
        """Its stream is no more."""
        if any(each is queue for each in self.queues):
            await self.stop()

    def _work(self, queue: Queue, is_at_end: bool) -> Work | None:
        """What can be mended of a queue now."""
        if not queue.is_settled or time.monotonic() < queue.mend_at:
            return None
        now, read = self._door.now_ms(), stream.order(queue.position.last_id)[0]
        gap = mendable(queue.position.gaps, now if is_at_end else min(now, read))
        ends = list(queue.reconciling.ended.values())
        return Work(queue, gap, ends) if gap is not None or ends else None

    async def _end(self, task: asyncio.Task[None]) -> None:
        """Forget what is mended. It took its time: reading has four times as long now."""
        works, self._works, self._task = self._works, [], None
        now = time.monotonic()
        for work in works:
            work.queue.mend_at = now + max(AGAIN_SECONDS, 4 * (now - self._since))
            if work.is_done:
                work.queue.reconciling.mended(work.ends)
                if work.gap is not None:
                    await self._mender.forget(work.queue, work.gap)
        task.result()
