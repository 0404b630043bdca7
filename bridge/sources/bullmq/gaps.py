"""Mends the gaps of a queue: when that may be done, and what is written then.

It waits until the queue is read to its end and the gap is well past: whatever ended near the gap and was not lost is
then in Kafka, and what Kafka holds is left out. Records go first, then the cursor without the gaps; a kill in between
begins again and finds in Kafka what was told already. So each end is told once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace

import structlog

from bridge.metrics import Metrics
from bridge.outbox import Outbox
from bridge.records import Records
from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.groups import cursor
from bridge.sources.bullmq.rebuild import SKEW_MS, Told, find_ends, rebuild
from bridge.sources.bullmq.stream import Gap
from bridge.sources.bullmq.translate import Place
from bridge.sources.bullmq.watched import Queue
from tocsin.events import JobEvent

log = structlog.get_logger("bridge.gaps")

TOLD_BEFORE_MS = 60_000
"""What was told so long before a gap may be found for it, when the clock of the app's host is that far ahead."""

ReadTold = Callable[[Place, int], Awaitable[Collection[Told] | None]]
"""Reads from Kafka which ends of a queue were told since a time (Redis clock, ms); None = that is too much to read."""


def are_past(gaps: Sequence[Gap], now_ms: int) -> bool:
    """Whether there are gaps and everything that could be taken for theirs has been added to the stream."""
    return bool(gaps) and now_ms > max(gap.end_ms for gap in gaps) + 2 * SKEW_MS


class Mender:
    """Mends for one lane. read_told: see ReadTold."""

    def __init__(
        self, site: str, door: Door, outbox: Outbox, records: Records, metrics: Metrics, read_told: ReadTold
    ) -> None:
        self._site = site
        self._door = door
        self._outbox = outbox
        self._records = records
        self._metrics = metrics
        self._read_told = read_told

    async def mend(self, queue: Queue) -> None:
        """Rebuild what the gaps of a queue swallowed. The queue must have been read to its end.

        Raises SourceUnavailable, after which it may be called again.
        """
        place, position = queue.place, queue.position
        gap = Gap(min(gap.start_ms for gap in position.gaps), max(gap.end_ms for gap in position.gaps))
        await self._flush(queue)
        ends = await find_ends(self._door, queue.keys, gap)
        told = await self._read_told(place, gap.start_ms - TOLD_BEFORE_MS) if ends else ()
        if told is None:
            log.error("gap_not_rebuilt", source=place.source, queue=place.queue, ends=len(ends))
            await self._forget_gaps(queue)
            return
        count = 0
        async for events in rebuild(self._door, place, queue.keys, position.epoch, ends, told):
            count += len(events)
            await self._outbox.put(
                [self._records.job(event) for event in events], lambda events=events: self._count(queue, events)
            )
            for event in events:
                self._settle(queue, event)
        await self._forget_gaps(queue)
        log.info("gap_rebuilt", source=place.source, queue=place.queue, ends=len(ends), rebuilt=count)

    async def _forget_gaps(self, queue: Queue) -> None:
        queue.position = replace(queue.position, gaps=())
        await self._outbox.put([cursor(self._site, self._records, queue.place, queue.position, self._door.now_ms())])

    async def _flush(self, queue: Queue) -> None:
        """Wait until everything read so far is committed."""
        done = asyncio.Event()
        record = cursor(self._site, self._records, queue.place, queue.position, self._door.now_ms())
        await self._outbox.put([record], done.set)
        await done.wait()

    def _settle(self, queue: Queue, event: JobEvent) -> None:
        """A job that has ended runs no more, as far as its last start is known."""
        known = queue.memory.known(event.job_id)
        if known is not None and known.is_active and known.active_since <= event.ts + SKEW_MS:
            queue.memory.finish(event.job_id)

    def _count(self, queue: Queue, events: Sequence[JobEvent]) -> None:
        self._metrics.events_rebuilt.labels(queue.place.source, queue.place.queue).inc(len(events))
        queue.tally.count(events)
