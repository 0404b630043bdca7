"""Mends the gaps of a queue: when that may be done, and what is written then.

It waits until the queue is read to its end and the gap is well past: whatever ended near the gap and was not lost is
then in Kafka, and what Kafka holds is left out. Records go first, then the cursor without the gaps; a kill in between
begins again and finds in Kafka what was told already. So each end is told once.

Meanwhile the lane reads on, this queue too: what comes then is later than the gap, and cannot be taken for it.
"""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import aclosing
from dataclasses import replace

import structlog

from bridge.metrics import Metrics
from bridge.outbox import Outbox
from bridge.records import Records
from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.groups import cursor, open_jobs
from bridge.sources.bullmq.present import JOBS_A_QUESTION, MOST_PRESENT, Unread, find_present, rebuild_present
from bridge.sources.bullmq.rebuild import SKEW_MS, Ended, ends_in, has_ends, rebuild
from bridge.sources.bullmq.stream import Gap
from bridge.sources.bullmq.told import TOLD_BEFORE_MS, ReadBack, Told
from bridge.sources.bullmq.watched import Queue
from tocsin.events import JobEvent, State

log = structlog.get_logger("bridge.gaps")

TELL_SECONDS = 10.0
UNREAD_TIMES, UNREAD_SECONDS = 100, 0.1
"""How often jobs are asked for once more, because entries that may speak of them must be read first."""


def are_past(gaps: Sequence[Gap], now_ms: int) -> bool:
    """Whether there are gaps and everything that could be taken for theirs has been added to the stream."""
    return bool(gaps) and now_ms > max(gap.end_ms for gap in gaps) + 2 * SKEW_MS


class Mender:
    """Mends for one lane. read_back: see told.py."""

    def __init__(
        self, site: str, door: Door, outbox: Outbox, records: Records, metrics: Metrics, read_back: ReadBack
    ) -> None:
        self._site = site
        self._door = door
        self._outbox = outbox
        self._records = records
        self._metrics = metrics
        self._read_back = read_back

    async def mend(self, queue: Queue) -> tuple[Gap, ...]:
        """Rebuild what the gaps of a queue swallowed, and return those gaps: they are to be forgotten.

        The queue must have been read to its end. Raises SourceUnavailable, after which it may be called again.
        """
        gaps = queue.position.gaps
        gap = Gap(min(gap.start_ms for gap in gaps), max(gap.end_ms for gap in gaps))
        await self._flush(queue)
        if not await has_ends(self._door, queue.keys, gap) and not await self._find_present(queue):
            return gaps
        try:
            told = await self._told_since(queue, gap.start_ms)
        except TimeoutError:
            log.error("gap_not_rebuilt", source=queue.place.source, queue=queue.place.queue)
            return gaps
        count = rebuilt = 0
        async for ends in ends_in(self._door, queue.keys, gap):
            count, rebuilt = count + len(ends), rebuilt + await self._tell_ends(queue, ends, told)
        log.info("gap_rebuilt", source=queue.place.source, queue=queue.place.queue, ends=count, rebuilt=rebuilt)
        await self._tell_present(queue, gap, told)
        return gaps

    async def forget(self, queue: Queue, gaps: Collection[Gap]) -> None:
        """These gaps are mended, as far as they can be. Nobody may move the queue's position meanwhile."""
        left = tuple(gap for gap in queue.position.gaps if gap not in gaps)
        queue.position = replace(queue.position, gaps=left)
        await self._outbox.put([cursor(self._site, self._records, queue.place, queue.position, self._door.now_ms())])

    async def tell(self, queue: Queue, ends: Sequence[Ended]) -> None:
        """Tell of these ends as far as nobody has. The queue must have been read to its end.

        The lane waits for it: what takes longer than TELL_SECONDS to look up is not told.
        """
        await self._flush(queue)
        try:
            async with asyncio.timeout(TELL_SECONDS):
                told = await self._told_since(queue, min(ended.at for ended in ends))
        except TimeoutError:
            log.error("ends_not_told", source=queue.place.source, queue=queue.place.queue, ends=len(ends))
            return
        await self._tell_ends(queue, ends, told)

    async def _tell_ends(self, queue: Queue, ends: Sequence[Ended], told: Told) -> int:
        """Tell of those nobody told of; return how many records that was."""
        count = 0
        async for events in rebuild(self._door, queue.place, queue.keys, queue.position.epoch, ends, told):
            count += len(events)
            async with queue.moving:
                for event in events:
                    self._settle(queue, event)
                await self._put(queue, events)
        return count

    async def _tell_present(self, queue: Queue, gap: Gap, told: Told) -> None:
        """Tell of jobs that have not ended.

        What cannot be told, because the stream is never read up, is left to the reconciler: it corrects, but does not
        tell what came before.
        """
        place, count = queue.place, 0
        ids = await self._find_present(queue)
        if len(ids) > MOST_PRESENT:
            log.error("gap_rebuilt_in_part", source=place.source, queue=place.queue, jobs=len(ids), most=MOST_PRESENT)
        for done in range(0, min(len(ids), MOST_PRESENT), JOBS_A_QUESTION):
            some = ids[done : min(done + JOBS_A_QUESTION, MOST_PRESENT)]
            page = await self._tell_page(queue, gap, told, some)
            if page is None:
                log.error("gap_rebuilt_in_part", source=place.source, queue=place.queue, jobs=len(ids), most=done)
                return
            count += page
        if ids:
            log.info("present_rebuilt", source=place.source, queue=place.queue, jobs=len(ids), rebuilt=count)

    async def _tell_page(self, queue: Queue, gap: Gap, told: Told, ids: Sequence[str]) -> int | None:
        """Tell of some jobs and return how many records that took; None = there was always more to read first."""
        for _ in range(UNREAD_TIMES):
            async with queue.moving:
                try:
                    page = await rebuild_present(
                        self._door, queue.place, queue.keys, queue.position, gap, ids, queue.reconciling.jobs, told
                    )
                except Unread:
                    page = None
                if page is not None:
                    for job_id, event in page:
                        self._take_in(queue, job_id, event)
                    await self._put(queue, [event for _, event in page])
                    return len(page)
            await asyncio.sleep(UNREAD_SECONDS)
        return None

    def _take_in(self, queue: Queue, job_id: str, event: JobEvent) -> None:
        queue.reconciling.jobs.told(job_id, event)
        if event.state is State.ACTIVE:
            is_new = job_id not in queue.memory
            queue.memory.run(job_id, event.ts)
            if is_new:
                job = queue.memory.job(job_id)
                job.name, job.added_at, job.trace_id = event.job_name, event.added_at, event.trace_id
                job.attempts_made, job.is_doubted = event.attempt - 1, True

    async def _find_present(self, queue: Queue) -> list[str]:
        return await find_present(self._door, queue.keys, queue.reconciling.jobs)

    async def _put(self, queue: Queue, events: Sequence[JobEvent]) -> None:
        """Tell, and with it what is open then: the position alone does not say that these were told."""
        if events:
            jobs, now = queue.reconciling.jobs, self._door.now_ms()
            records = [self._records.job(event) for event in events]
            records.append(open_jobs(self._site, self._records, queue.place, queue.position, jobs, now))
            await self._outbox.put(records, lambda: self._count(queue, events))

    async def _told_since(self, queue: Queue, since_ms: int) -> Told:
        """What Kafka holds of a queue that could be rebuilt, from a while before a time by Redis's clock.

        Raises TimeoutError: that was too much to read.
        """
        told = Told(SKEW_MS)
        async with aclosing(self._read_back([queue.place], since_ms - TOLD_BEFORE_MS)) as records:
            async for _, record in records:
                told.learn(record)
        return told

    async def _flush(self, queue: Queue) -> None:
        """Wait until everything read so far is committed."""
        done = asyncio.Event()
        async with queue.moving:
            record = cursor(self._site, self._records, queue.place, queue.position, self._door.now_ms())
            await self._outbox.put([record], done.set)
        await done.wait()

    def _settle(self, queue: Queue, event: JobEvent) -> None:
        """A job that has ended runs no more, as far as its last start is known."""
        queue.reconciling.jobs.told(event.job_id, event)
        known = queue.memory.known(event.job_id)
        if known is not None and known.is_active and known.active_since <= event.ts + SKEW_MS:
            queue.memory.finish(event.job_id)

    def _count(self, queue: Queue, events: Sequence[JobEvent]) -> None:
        self._metrics.events_rebuilt.labels(queue.place.source, queue.place.queue).inc(len(events))
        queue.tally.count(events)
