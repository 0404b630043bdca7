"""Mends the gaps of a queue: what is asked, and what is written then.

It waits until the stream is read well past the gap: whatever ended near it and was not lost is then in Kafka, and what
Kafka holds is left out; it is read once for all queues that are mended together. Records go first, then the cursor
without the gaps; a kill in between begins again and finds in Kafka what was told already. So each end is told once.
Ends that the reconciler found are told in the same way.

Meanwhile the lane reads on, this queue too: what comes then is later than the gap, and cannot be taken for it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial

import structlog

from bridge.outbox import Outbox, Parcel
from bridge.record import Record
from bridge.records import Records
from bridge.redaction import redact
from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.enrich import SKEW_MS
from bridge.sources.bullmq.gaps.pause import is_otherwise, rebuild_pause
from bridge.sources.bullmq.gaps.present import JOBS_A_QUESTION, MOST_PRESENT, find_present, rebuild_present
from bridge.sources.bullmq.gaps.rebuild import ends_in, has_ends, rebuild
from bridge.sources.bullmq.gaps.told import ENDS, TOLD_BEFORE_MS, Ended, ReadBack, Told
from bridge.sources.bullmq.gaps.work import Work, without
from bridge.sources.bullmq.groups import cursor, open_jobs
from bridge.sources.bullmq.logs.last import LastLines
from bridge.sources.bullmq.reconcile.standing import Unread
from bridge.sources.bullmq.stream import Gap
from bridge.sources.bullmq.tally import Sum
from bridge.sources.bullmq.translate import PAUSES
from bridge.sources.bullmq.watched import Queue
from tocsin.events import JobEvent

log = structlog.get_logger("bridge.gaps")

UNREAD_TIMES, UNREAD_SECONDS = 100, 0.1
"""How often jobs are asked for once more, because entries that may speak of them must be read first."""

MOST_FAILURES = 3
"""How often Kafka may fail to tell in time what was told, before failures are told without knowing that."""

DOUBTED = "what Kafka holds could not be read back in time: this may have been told before"


class Mender:
    """Mends for one lane. read_back: see told.py. logging: held by whoever reads logs until what it read is put."""

    def __init__(
        self,
        site: str,
        door: Door,
        outbox: Outbox[Parcel],
        records: Records,
        read_back: ReadBack,
        last_lines: LastLines,
        logging: asyncio.Lock,
    ) -> None:
        self._site = site
        self._door = door
        self._outbox = outbox
        self._records = records
        self._read_back = read_back
        self._last_lines = last_lines
        self._logging = logging

    async def mend(self, works: Sequence[Work]) -> None:
        """Rebuild what is missing of some queues. Raises SourceUnavailable, after which it may be called again.

        What Kafka cannot be asked for in time stays to be done; after MOST_FAILURES times, failures are told all the
        same, with a mark, and what surely was not told. Better twice than never.
        """
        for work in works:
            await self._flush(work.queue)
        asked: list[Work] = []
        for work in works:
            work.is_done = not await self._has_more(work)
            if not work.is_done:
                asked.append(work)
        if not asked:
            return
        try:
            told = await self._told_since(asked)
        except TimeoutError:
            for work in asked:
                await self._mend_blindly(work)
            return
        for work in asked:
            await self._mend_one(work, told[work.queue.place.queue])
            work.queue.mend_failures, work.is_done = 0, True

    async def forget(self, queue: Queue, gap: Gap) -> None:
        """This time is mended, as far as it can be. Nobody may move the queue's position meanwhile."""
        queue.position = replace(queue.position, gaps=without(queue.position.gaps, gap))
        await self._outbox.put([cursor(self._site, self._records, queue.place, queue.position, self._door.now_ms())])

    async def _has_more(self, work: Work) -> bool:
        if work.ends:
            return True
        if work.gap is None:
            return False
        queue = work.queue
        if await has_ends(self._door, queue.keys, work.gap) or await self._find_present(queue):
            return True
        return await is_otherwise(self._door, queue.keys, queue.position)

    async def _mend_one(self, work: Work, told: Told) -> None:
        queue, gap, found = work.queue, work.gap, set(work.ends)
        count, rebuilt = len(found), await self._tell_ends(queue, work.ends, told, gap)
        if gap is None:
            return
        async for page in ends_in(self._door, queue.keys, gap):
            ends = [ended for ended in page if ended not in found]
            count, rebuilt = count + len(ends), rebuilt + await self._tell_ends(queue, ends, told, gap)
        log.info("gap_rebuilt", source=queue.place.source, queue=queue.place.queue, ends=count, rebuilt=rebuilt)
        await self._tell_present(queue, gap, told)
        await self._tell_pause(queue, gap)

    async def _mend_blindly(self, work: Work) -> None:
        queue = work.queue
        queue.mend_failures += 1
        place, failures = queue.place, queue.mend_failures
        log.error("gap_not_rebuilt", source=place.source, queue=place.queue, times=failures, of=MOST_FAILURES)
        if failures < MOST_FAILURES:
            return
        ends = list(work.ends)
        if work.gap is not None:
            async for page in ends_in(self._door, queue.keys, work.gap):
                ends += [ended for ended in page if ended.event == "failed" or ended.job_id in queue.reconciling.jobs]
            await self._tell_pause(queue, work.gap)
        await self._tell_ends(queue, list(dict.fromkeys(ends)), Told(SKEW_MS), None, doubt=DOUBTED)
        queue.mend_failures, work.is_done = 0, True

    async def _tell_ends(
        self, queue: Queue, ends: Sequence[Ended], told: Told, gap: Gap | None, *, doubt: str = ""
    ) -> int:
        """Tell of those nobody told of, with what is left of their logs; return how many ends that was."""
        ids = {redact.identifier(ended.job_id): ended.job_id for ended in ends}
        count = 0
        async for events in rebuild(self._door, queue.place, queue.keys, queue.position.epoch, ends, told, gap):
            count += len(events)
            await self._outbox.room()
            async with self._logging, queue.moving:
                ended = [event for event in events if event.event in ENDS]
                lines = await self._last_lines.of(queue, ended, ids)  # may fail: until it is told, the job is open
                for event in events:
                    event.message = doubt or event.message
                    self._settle(queue, event)
                self._add(queue, events, lines)
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
            page = await self._once_read(queue, partial(self._tell_page, queue, gap, told, some))
            if page is None:
                log.error("gap_rebuilt_in_part", source=place.source, queue=place.queue, jobs=len(ids), most=done)
                return
            count += page
        if ids:
            log.info("present_rebuilt", source=place.source, queue=place.queue, jobs=len(ids), rebuilt=count)

    async def _tell_page(self, queue: Queue, gap: Gap, told: Told, ids: Sequence[str]) -> int:
        """Tell of some jobs and return how many records that took. Raises Unread."""
        place, keys, jobs = queue.place, queue.keys, queue.reconciling.jobs
        page = await rebuild_present(self._door, place, keys, queue.position, gap, ids, jobs, told)
        for job_id, event in page:
            self._take_in(queue, job_id, event)
        self._add(queue, [event for _, event in page])
        return len(page)

    async def _tell_pause(self, queue: Queue, gap: Gap) -> None:
        """Tell that the queue was paused or resumed, if no event says so."""
        if await self._once_read(queue, partial(self._tell_found_pause, queue, gap)) is None:
            log.error("pause_not_rebuilt", source=queue.place.source, queue=queue.place.queue)

    async def _tell_found_pause(self, queue: Queue, gap: Gap) -> int:
        """Tell of it with the position that knows it; return how many records that took. Raises Unread."""
        event = await rebuild_pause(self._door, queue.place, queue.keys, queue.position, gap)
        if event is None:
            return 0
        queue.position = replace(queue.position, is_paused=PAUSES[event.event])
        self._add(queue, [event], [cursor(self._site, self._records, queue.place, queue.position, self._door.now_ms())])
        return 1

    async def _once_read(self, queue: Queue, tell: Callable[[], Awaitable[int]]) -> int | None:
        """Do this when nothing has to be read before; None = there was always more to read."""
        for _ in range(UNREAD_TIMES):
            await self._outbox.room()
            with suppress(Unread):
                async with queue.moving:
                    return await tell()
            await asyncio.sleep(UNREAD_SECONDS)
        return None

    def _take_in(self, queue: Queue, job_id: str, event: JobEvent) -> None:
        queue.reconciling.jobs.told(job_id, event)
        if event.event == "active":
            is_new = job_id not in queue.memory
            queue.memory.run(job_id, event.ts)
            if is_new:
                job = queue.memory.job(job_id)
                job.name, job.added_at, job.trace_id = event.job_name, event.added_at, event.trace_id
                job.attempts_made, job.is_doubted = event.attempt - 1, True

    async def _find_present(self, queue: Queue) -> list[str]:
        return await find_present(self._door, queue.keys, queue.reconciling.jobs)

    def _add(self, queue: Queue, events: Sequence[JobEvent], more: Sequence[Record] = ()) -> None:
        """Tell, and with it what is open then: the position alone does not say that these were told.

        At once, so that nobody who is stopped takes for told what was not: room was waited for before.
        """
        if events:
            jobs, now = queue.reconciling.jobs, self._door.now_ms()
            records = [*more, *(self._records.job(event) for event in events)]
            records.append(open_jobs(self._site, self._records, queue.place, queue.position, jobs, now))
            self._outbox.add(records, lambda: self._count(queue, events))

    async def _told_since(self, works: Sequence[Work]) -> dict[str, Told]:
        """What Kafka holds of some queues that could be rebuilt, by queue, from a while before the first of it.

        Raises TimeoutError: that was too much to read.
        """
        told = {work.queue.place.queue: Told(SKEW_MS) for work in works}
        since_ms = min(work.since_ms for work in works) - TOLD_BEFORE_MS
        async with aclosing(self._read_back([work.queue.place for work in works], since_ms)) as records:
            async for queue, record in records:
                told[queue].learn(record)
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
        known = queue.memory.known(event.job_id) if event.event in ENDS else None
        if known is not None and known.is_active and known.active_since <= event.ts + SKEW_MS:
            queue.memory.finish(event.job_id)

    def _count(self, queue: Queue, events: Sequence[JobEvent]) -> None:
        queue.tally.counters.rebuilt.inc(len(events))
        queue.tally.count(Sum.of(events))
