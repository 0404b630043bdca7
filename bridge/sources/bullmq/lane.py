"""One reader of up to 200 queues of one source: wait for new entries, read them exactly, enrich, hand them on.

A blocking XREAD over all streams is only the wake-up; what is relayed comes from MULTI{XINFO, XREAD} of each woken one.
Positions and memory move only in step with what the outbox took, and are thrown away with the partition's writer. A
stream that Redis refuses (another type, or forbidden) is left out and tried again; the others go on.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import cast

import structlog

from bridge.cursors import Restored
from bridge.errors import SourceUnavailable
from bridge.lag import Lag
from bridge.metrics import Metrics
from bridge.outbox import Outbox
from bridge.record import Record
from bridge.records import Records
from bridge.sources.bullmq import stream, translate
from bridge.sources.bullmq.door import Command, Door, Refused, Reply
from bridge.sources.bullmq.gaps import Mender, ReadTold, are_past
from bridge.sources.bullmq.groups import cursor, cut_back, groups
from bridge.sources.bullmq.jobs import JobReader
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.logtail import LogTail
from bridge.sources.bullmq.memory import JobMemory, QueueMemory
from bridge.sources.bullmq.past import Past
from bridge.sources.bullmq.stream import Position, Reading, Unreadable
from bridge.sources.bullmq.translate import Place
from bridge.sources.bullmq.watched import MOST_ENTRIES, Queue, Read
from tocsin.events import JobEvent
from tocsin.lifecycle import pause

log = structlog.get_logger("bridge.lane")

MAX_QUEUES = 200
BLOCK_MS = 1000
PAUSE_SECONDS = 0.02
FOLLOW_SECONDS = 1.0
CHECK_SECONDS = 15.0
"""How often every stream is read although nothing woke us: one that was deleted, or is refused, wakes nobody."""

STREAMS_A_READ = 20
"""Streams read together; they share MOST_ENTRIES, so that one read keeps the loop for some 30 ms at most."""


class Lane:
    """Reads its queues for ever. Not for concurrent use but `add`.

    turns: shared by the source's lanes; held while its Redis is read, never while the outbox is full. tell_uncounted:
    called when Redis does not count a stream's entries. read_told: see gaps.py.
    """

    def __init__(
        self,
        site: str,
        source: str,
        door: Door,
        outbox: Outbox,
        records: Records,
        metrics: Metrics,
        turns: asyncio.Semaphore,
        tell_uncounted: Callable[[], None],
        read_told: ReadTold,
    ) -> None:
        self._mender = Mender(site, door, outbox, records, metrics, read_told)
        self._tell_uncounted = tell_uncounted
        self._site = site
        self._source = source
        self._turns = turns
        self._door = door
        self._outbox = outbox
        self._records = records
        self._metrics = metrics
        self._jobs = JobReader(door, self._tell)
        self._queues: dict[str, Queue] = {}
        self._unfinished: set[str] = set()
        self._next_follow = 0.0
        self._next_check = 0.0

    @property
    def has_room(self) -> bool:
        return len(self._queues) < MAX_QUEUES

    @property
    def has_met_all(self) -> bool:
        """Whether every queue has a cursor: a scan told after this misses none of them."""
        return all(queue.is_met for queue in self._queues.values())

    def add(self, place: Place, prefix: str, position: Position, restored: Restored, lag: Lag) -> None:
        """Read this queue from now on, from `position`."""
        keys, memory = Keys(prefix, place.queue), QueueMemory()
        tail = LogTail(self._site, place, self._records, memory, restored.log_lines.get(place.queue, {}))
        is_met = place.queue in restored.positions
        self._queues[keys.events] = Queue(place, keys, position, memory, tail, Past(position), lag, is_met=is_met)
        self._unfinished.add(keys.events)

    async def run(self, end: asyncio.Event) -> None:
        """Read until `end` is set. A source that fails is tried again from the same positions."""
        try:
            await self._run(end)
        finally:
            refused = sum(queue.is_refused for queue in self._queues.values())
            self._metrics.queues_refused.labels(self._source).dec(refused)

    async def _run(self, end: asyncio.Event) -> None:
        while not end.is_set():
            try:
                woken = [self._queues[key] for key in await self._wait()]
                for start in range(0, len(woken), STREAMS_A_READ):
                    some = woken[start : start + STREAMS_A_READ]
                    async with self._turns:
                        reads = await self._read(some)
                    await self._meet_refused(some)
                    for read in reads:
                        await self._jobs.tell_long_logs(read)
                        await self._hand_on(read)
                await self._mend()
                if time.monotonic() >= self._next_follow:
                    self._next_follow = time.monotonic() + FOLLOW_SECONDS
                    await self._follow_logs()
                await pause(end, 0 if self._unfinished else PAUSE_SECONDS)
            except SourceUnavailable as error:
                self._metrics.source_errors.labels(self._source).inc()
                log.warning("read_failed", source=self._source, error=str(error))
                await pause(end, 1.0)

    async def _mend(self) -> None:
        """Rebuild one queue's gaps, if that is due: one at a time, so that the others are read in between."""
        for key, queue in self._queues.items():
            if key not in self._unfinished and are_past(queue.position.gaps, self._door.now_ms()):
                await self._mender.mend(queue)
                return

    async def _wait(self) -> list[str]:
        """Return the streams to read: all when a check is due, else those with more to come and those that wake us."""
        if time.monotonic() >= self._next_check:
            self._next_check = time.monotonic() + CHECK_SECONDS
            return list(self._queues)
        readable = {key: queue for key, queue in self._queues.items() if not queue.is_refused}
        if not readable:
            await asyncio.sleep(BLOCK_MS / 1000)
            return []
        block = () if self._unfinished else ("BLOCK", BLOCK_MS)
        ids = [queue.position.last_id for queue in readable.values()]
        command: Command = ("XREAD", "COUNT", 1, *block, "STREAMS", *readable, *ids)
        reply = (await self._door.ask([command], timeout=BLOCK_MS / 1000 + 5))[0]
        if isinstance(reply, Refused):
            return list(readable)  # reading them one by one tells which is refused
        woken: set[str] = set()
        for name, entries in cast(list[tuple[bytes, list[Reply]]], reply or []):
            woken.add(name.decode())
            readable[name.decode()].portion.expect(sum(len(part) for part in cast(list[bytes], entries[0][1])))
        return [key for key in readable if key in woken or key in self._unfinished]

    async def _read(self, queues: Sequence[Queue]) -> list[Read]:
        """Read some streams once, exactly, with what Redis knows of their jobs."""
        counts = [min(queue.portion.count, MOST_ENTRIES // len(queues)) for queue in queues]
        try:
            replies = await self._door.ask(
                [
                    command
                    for queue, count in zip(queues, counts, strict=True)
                    for command in stream.read_commands(queue.keys.events, queue.position, count)
                ]
            )
        except SourceUnavailable:
            for queue in queues:
                queue.portion.shrink()
            raise
        reads: list[Read] = []
        for at, (queue, count) in enumerate(zip(queues, counts, strict=True)):
            mine = replies[at * stream.COMMANDS_PER_READ : (at + 1) * stream.COMMANDS_PER_READ]
            reading = self._parse(queue, mine, count)
            if reading is not None:
                reads.append(Read(*cut_back(reading), queue=queue))
        for read in reads:
            queue = read.queue
            await queue.past.recall(self._door, queue.keys.events, queue.position.last_id, read.entries, queue.memory)
        return await self._jobs.read(reads)

    def _parse(self, queue: Queue, replies: Sequence[Reply], count: int) -> Reading | None:
        """What one stream answered; None if it is refused."""
        try:
            info, entries = stream.parse(replies)
        except Unreadable as error:
            self._refuse(queue, str(error))
            return None
        if info is not None and info.added is None:
            self._tell_uncounted()
        if queue.is_refused:
            queue.is_refused = False
            self._metrics.queues_refused.labels(self._source).dec()
        queue.portion.learn([entry.size for entry in entries])
        return stream.advance(queue.position, info, entries, count)

    def _refuse(self, queue: Queue, reason: str) -> None:
        self._unfinished.discard(queue.keys.events)
        if not queue.is_refused:
            queue.is_refused = True
            self._metrics.queues_refused.labels(self._source).inc()
            log.error("queue_refused", source=self._source, queue=queue.place.queue, error=reason)

    async def _meet_refused(self, queues: Sequence[Queue]) -> None:
        """A queue refused at first contact gets a cursor too, or it would pass for one created after the next scan."""
        for queue in queues:
            if queue.is_refused and not queue.is_met:
                await self._outbox.put(
                    [cursor(self._site, self._records, queue.place, queue.position, self._door.now_ms())]
                )
                queue.is_met = True

    async def _hand_on(self, read: Read) -> None:
        """Put a batch and its cursor into the outbox, in groups of records that belong together, and move on."""
        queue, reading = read.queue, read.reading
        if reading.position == queue.position and not read.entries and queue.is_met:
            self._unfinished.discard(queue.keys.events)
            return
        now = self._door.now_ms()
        more: list[Record] = []
        if reading.lost:
            queue.memory.doubt()
        if reading.is_reset:
            queue.memory.clear()
            more += queue.tail.clear(now)
        translated = translate.translate(queue.place, reading, read.entries, read.hashes, queue.memory)
        more += self._log_records(read, translated.last, now)
        made = groups(self._site, self._records, queue.place, read, translated, now)
        made[-1].records.extend(more)
        for group in made:
            if group.events:
                queue.lag.put(group.events[0].ts)
            await self._outbox.put(
                group.records,
                lambda events=group.events, lost=group.lost, bad=group.bad: self._count(queue, events, lost, bad),
            )
            queue.is_met = True
        queue.position = reading.position
        (self._unfinished.add if reading.is_full else self._unfinished.discard)(queue.keys.events)

    def _log_records(self, read: Read, last: dict[str, JobEvent], now: int) -> list[Record]:
        """Log lines of the jobs whose run ended in this batch, and how far they were read."""
        tail, memory = read.queue.tail, read.queue.memory
        found: list[Record] = []
        for entry in read.entries:
            if entry.event == "added":
                found += tail.drop(entry.job_id, now)
        for job_id, lines in read.skipped.items():
            found += tail.move(job_id, lines, now)
        for job_id, lines in read.lines.items():
            event, job = last.get(job_id), memory.known(job_id) or JobMemory()
            if event is None or (job.keeps_logs and not job.is_finished):
                continue
            found += tail.tell(
                job_id, job, lines, epoch=event.epoch, ts=event.ts, attempt=event.attempt, backfill=event.backfill
            )
        for job_id, event in last.items():
            if event.event == "removed":
                found += tail.drop(job_id, now)
        return found

    async def _follow_logs(self) -> None:
        """Read the new lines of jobs that are active now: BullMQ announces none."""
        active = [
            (queue, job_id, job)
            for queue in self._queues.values()
            for job_id, job in queue.memory.active()
            if not job.keeps_logs
        ]
        if await self._jobs.follow(active):
            self._next_follow = 0

    async def _tell(self, queue: Queue, job_id: str, job: JobMemory, lines: list[str]) -> None:
        """Lines of the attempt that runs."""
        attempt = (job.attempts_made or 0) + 1
        epoch, now = queue.position.epoch, self._door.now_ms()
        told = queue.tail.tell(job_id, job, lines, epoch=epoch, ts=now, attempt=attempt, backfill=False)
        await self._outbox.put(told)

    def _count(self, queue: Queue, events: Sequence[JobEvent], lost: int, bad: int) -> None:
        """Once committed: metrics say only what is in Kafka."""
        labels = (queue.place.source, queue.place.queue)
        self._metrics.events_relayed.labels(*labels).inc(len(events))
        self._metrics.events_unenriched.labels(*labels).inc(sum(not event.enriched for event in events))
        if lost:
            self._metrics.events_lost.labels(*labels).inc(lost)
        if bad:
            self._metrics.dead_letters.labels(*labels).inc(bad)
        if events:
            queue.lag.committed(events[-1].ts)
