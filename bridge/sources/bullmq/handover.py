"""Hands a batch on: its events, what they bring of logs and its cursor go into the outbox, and the queue moves on.

Position and memory move only in step with what the outbox took. Metrics say only what was committed.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace

from bridge.record import Record
from bridge.sources.bullmq import translate
from bridge.sources.bullmq.groups import groups
from bridge.sources.bullmq.memory import JobMemory
from bridge.sources.bullmq.reconcile.reconciler import Reconciler
from bridge.sources.bullmq.stream import Reading
from bridge.sources.bullmq.surroundings import Surroundings
from bridge.sources.bullmq.tally import Sum
from bridge.sources.bullmq.translate import Translated
from bridge.sources.bullmq.watched import Queue, Read
from tocsin.events import JobEvent


class Handover:
    """For one lane. meet: jobs of a queue may run that no entry tells of. stop_mending: its stream is no more."""

    def __init__(
        self,
        around: Surroundings,
        reconciler: Reconciler,
        meet: Callable[[Queue], None],
        stop_mending: Callable[[Queue], Awaitable[None]],
    ) -> None:
        self._site = around.site
        self._door = around.door
        self._outbox = around.outbox
        self._records = around.records
        self._reconciler = reconciler
        self._meet = meet
        self._stop_mending = stop_mending

    async def hand_on(self, read: Read) -> bool:
        """Put a batch and its cursor into the outbox, in groups of records that belong together, and move on.

        Returns whether there may be more to read right now. Nobody else may move the queue's position meanwhile. Room
        in the outbox was waited for before the batch was read.
        """
        queue, reading = read.queue, _with_pause(read.reading, read.queue)
        read.reading = reading
        queue.is_reset_due = reading.is_reset and not queue.is_taken_up
        if reading.position == queue.position and not read.entries and queue.is_met:
            queue.lag.unread(None)
            return False
        if queue.is_reset_due:
            return False
        now = self._door.now_ms()
        more = await self._forget(queue, reading, now) if reading.lost or reading.is_reset else []
        translated = translate.translate(queue.place, reading, read.entries, read.hashes, queue.memory)
        self._reconciler.note(queue, read.entries, translated, read.hashes)
        logged = _log_records(read, translated, now)
        more += self._reconciler.store(queue, reading.position, now, is_urgent=reading.is_reset)
        made = groups(self._site, self._records, queue.place, read, translated, now, logged)
        made[-1].records.extend(more)
        for group in made:
            counted = Sum.of(group.events) if group.events else None
            if counted is not None:
                queue.lag.put(counted.first_ts)
            self._outbox.add(
                group.records,
                lambda counted=counted, lost=group.lost, bad=group.bad: self._count(queue, counted, lost, bad),
            )
            queue.is_met = True
        is_paused = reading.position.is_paused if translated.is_paused is None else translated.is_paused
        queue.position = replace(reading.position, is_paused=is_paused)
        queue.recent.pass_on(reading)
        queue.lag.unread(read.entries[-1].ts if reading.is_full and read.entries else None)
        return reading.is_full

    async def _forget(self, queue: Queue, reading: Reading, now: int) -> list[Record]:
        """Entries were lost, or all of the stream: what was known of its jobs may not hold any more."""
        self._meet(queue)
        if reading.is_reset:
            await self._stop_mending(queue)
            if reading.position.last_id == "0-0":
                queue.memory.clear()
                self._reconciler.begin_anew(queue)
                return queue.tail.clear(now)
            queue.reconciling.soon()  # only its last entries are lost: what its jobs did since is compared with Redis
        queue.memory.doubt()
        self._reconciler.lost(queue)
        return []

    def _count(self, queue: Queue, counted: Sum | None, lost: int, bad: int) -> None:
        """Once committed: metrics say only what is in Kafka."""
        counters = queue.tally.counters
        if lost:
            counters.lost.inc(lost)
        if bad:
            counters.dead_letters.inc(bad)
        if counted is not None:
            counters.relayed.inc(counted.events)
            counters.unenriched.inc(counted.unenriched)
            queue.tally.count(counted)
            queue.lag.committed(counted.last_ts)


def _with_pause(reading: Reading, queue: Queue) -> Reading:
    """With what was told of a pause by now: a gap may have been mended since this was read."""
    is_paused = queue.position.is_paused
    if reading.is_reset or reading.position.is_paused == is_paused:
        return reading
    return replace(reading, position=replace(reading.position, is_paused=is_paused))


def _log_records(read: Read, translated: Translated, now: int) -> dict[int, list[Record]]:
    """Log lines of the jobs whose run ended in this batch, and how far they were read: by the entry they go with."""
    tail = read.queue.tail
    found = defaultdict[int, list[Record]](list)
    is_removal = False
    for at, entry in enumerate(read.entries):
        if entry.event == "added":
            if dropped := tail.drop(entry.job_id, now):
                found[at] += dropped
        elif entry.event == "removed":
            is_removal = True
    if is_removal or read.lines or read.skipped:
        _tell_logs(read, translated, now, found)
    return found


def _tell_logs(read: Read, translated: Translated, now: int, found: dict[int, list[Record]]) -> None:
    """Add what was read of logs, each job's to its first entry in its last life here; forget the removed jobs'.

    Where only a part of the batch is committed, the log of a job whose end is not is read again, from that place; one
    whose end is committed is read no more.
    """
    tail, memory, told = read.queue.tail, read.queue.memory, translated.told
    first, last = dict[str, int](), dict[str, int]()
    for at, entry in enumerate(read.entries):
        if entry.event == "added" or entry.job_id not in first:
            first[entry.job_id] = at
        if entry.job_id and isinstance(told[at], JobEvent):
            last[entry.job_id] = at
    for job_id, place in read.skipped.items():
        found[first.get(job_id, 0)] += tail.move(job_id, place, now)  # its entries may be left for the next read
    for job_id, lines in read.lines.items():
        event, job = told[last[job_id]] if job_id in last else None, memory.known(job_id) or JobMemory()
        if isinstance(event, JobEvent):
            found[first[job_id]] += tail.tell(
                job_id, job, lines, epoch=event.epoch, ts=event.ts, attempt=event.attempt, backfill=event.backfill
            )
    for job_id, at in last.items():
        if read.entries[at].event == "removed":
            found[at] += tail.drop(job_id, now)
