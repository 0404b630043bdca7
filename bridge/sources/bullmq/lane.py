"""One reader of up to 200 queues of one source: wait for new entries, read them exactly, enrich, hand them on.

The wake-up only tells which streams have something; what is relayed comes from an exact read of each woken one.
Positions and memory move only in step with what the outbox took, and are thrown away with the partition's writer. A
stream that Redis refuses (another type, or forbidden) is left out and tried again; the others go on.
"""

import asyncio
import time
from collections import deque
from collections.abc import Coroutine, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import cast

import structlog

from bridge.errors import SourceUnavailable
from bridge.lag import Lag
from bridge.sources.bullmq.cursors import Restored
from bridge.sources.bullmq.discovery import Missed
from bridge.sources.bullmq.door import Refused
from bridge.sources.bullmq.enrich import whole
from bridge.sources.bullmq.entryreader import EntryReader
from bridge.sources.bullmq.gaps.mender import Mender
from bridge.sources.bullmq.gaps.mending import Mending
from bridge.sources.bullmq.gone import Farewell
from bridge.sources.bullmq.groups import cursor
from bridge.sources.bullmq.handover import Handover
from bridge.sources.bullmq.jobs import JobReader
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.logs.follower import Follower
from bridge.sources.bullmq.logs.last import LastLines
from bridge.sources.bullmq.logs.reader import LogReader
from bridge.sources.bullmq.logs.tail import LogTail
from bridge.sources.bullmq.memory import JobMemory, QueueMemory
from bridge.sources.bullmq.past import Past
from bridge.sources.bullmq.reconcile.open_jobs import OpenJobs
from bridge.sources.bullmq.reconcile.reconciler import Reconciler
from bridge.sources.bullmq.reconcile.reconciling import Reconciling
from bridge.sources.bullmq.reconcile.takeup import TakeUp
from bridge.sources.bullmq.stream import Position
from bridge.sources.bullmq.surroundings import Surroundings
from bridge.sources.bullmq.tally import Tally
from bridge.sources.bullmq.translate import Place
from bridge.sources.bullmq.wakeup import BLOCK_MS, Wakeup
from bridge.sources.bullmq.watched import Queue, Read
from bridge.window import DEFAULT_MAX_LEN
from tocsin.lifecycle import pause

log = structlog.get_logger("bridge.lane")

MAX_QUEUES = 200
PAUSE_SECONDS = 0.02
"""All lanes of a process go on at the same moments: what they ask then is asked together."""

TEND_SECONDS = 0.1
"""How often all queues of a lane are gone through at most: an event of one wakes it."""

CHECK_SECONDS = 15.0
"""How often every stream is read although nothing woke us: one that was deleted, or is refused, wakes nobody."""

CHECKED_A_SECOND = 200
"""Of all queues of a source, that is: 10,000 are read so every 50 s."""

LEAVE_AGAIN_SECONDS = 15.0
"""After a primary did not say whether a queue is there: where replicas are read, reading goes on without it."""

LITTLE_BYTES = 1024 * 1024
"""What is sure to bring no more needs no turn: most reads of a source under usual load."""

STREAMS_A_READ = 20
"""Streams read together; they share MOST_ENTRIES. The loop has its turn after each stream, so that what they bring
keeps it for some 100 ms at most: where one alone brings all."""


class Lane:
    """Reads its queues until the last of them is let go. Not for concurrent use but `add`. has_ended: that was so."""

    def __init__(self, around: Surroundings) -> None:
        self.has_ended = False
        site, door, outbox = around.site, around.door, around.outbox
        records, metrics, every = around.records, around.metrics, around.reconcile_seconds
        self._farewell = Farewell(site, door, records, around.let_go)
        reader = LogReader(door)
        self._logging = asyncio.Lock()
        last_lines = LastLines(door, reader, outbox)
        mender = Mender(site, door, outbox, records, around.read_back, last_lines, self._logging)
        self._mending = Mending(mender, door, around.source)
        self._reconciler = Reconciler(site, door, outbox, records, every_seconds=every)
        self._take_up = TakeUp(door, around.read_back)
        self._taking_up: asyncio.Task[None] | None = None
        self._reconcile_seconds = every
        self._is_asking = False
        self._room = around.room
        self._budget = around.budget
        self._site = site
        self._source = around.source
        self._turns = around.turns
        self._door = door
        news = asyncio.Event()
        self._tracked = door.tracked(news)
        self._wakeup = Wakeup(door, around.all_queues, self._tracked)
        self._all_queues = around.all_queues
        self._outbox = outbox
        self._records = records
        self._metrics = metrics
        self._entries = EntryReader(around, self._tracked)
        self._jobs = JobReader(door, reader, self._tell)
        self._follower = Follower(door, reader, self._tell, door.tracked(news))
        self._queues: dict[str, Queue] = {}
        self._unfinished: set[str] = set()
        self._handover = Handover(around, self._reconciler, self._follower.meet, self._mending.stop_of)
        self._next_check = 0.0
        self._next_tend = 0.0
        self._next_leave = 0.0

    @property
    def has_room(self) -> bool:
        return not self.has_ended and len(self._queues) < MAX_QUEUES

    @property
    def shard(self) -> str:
        """Of a cluster's processes, which one has its queues, as far as is known: it stalls itself if that is away."""
        return next((self._door.shard(key) for key in self._queues), "")

    @property
    def _has_more(self) -> bool:
        """Whether there is something to read right now."""
        return any(not self._queues[key].is_refused for key in self._unfinished)

    @property
    def has_met_all(self) -> bool:
        """Whether every queue has a cursor: a scan told after this misses none of them."""
        return all(queue.is_met for queue in self._queues.values())

    def add(
        self, place: Place, prefix: str, position: Position, restored: Restored, lag: Lag, tally: Tally
    ) -> QueueMemory:
        """Read this queue from now on, from `position`; return what will be remembered of its jobs, to look at."""
        keys, memory = Keys(prefix, place.queue), QueueMemory()
        is_met = place.queue in restored.positions
        past, reconciling = (
            Past(position),
            Reconciling(OpenJobs(room=self._room), restored.open_jobs.pop(place.queue, None), position),
        )
        reconciling.pages = restored.open_pages.get(place.queue, 0)
        places = restored.log_places.pop(place.queue, {})  # they may be many: held once
        tail = LogTail(self._site, place, self._records, memory, places, reconciling.may_go_on)
        reconciling.due_at = time.monotonic() + self._reconcile_seconds
        queue = Queue(place, keys, position, memory, tail, past, lag, tally, is_met=is_met, reconciling=reconciling)
        self._queues[keys.events] = queue
        self._unfinished.add(keys.events)
        self._follower.meet(queue)
        return memory

    def missed(self, place: Place, prefix: str, missed: Missed | None) -> None:
        """Say whether two complete scans did not find a queue: it is read to its end, and let go."""
        queue = self._queues[Keys(prefix, place.queue).events]
        if missed is not None and queue.missed is None:
            self._unfinished.add(queue.keys.events)
        queue.missed = missed

    async def run(self, end: asyncio.Event) -> None:
        """Read until `end` is set, or no queue is left. A source that fails is tried again from the same positions."""
        try:
            await self._run(end)
            self.has_ended = True
            for queue in self._queues.values():
                await self._reconciler.store_all(queue)
        finally:
            await self._mending.stop()
            await self._stop_taking_up()
            for queue in self._queues.values():
                self._leave(queue)
            self._follower.close()
            self._know_nothing()
            refused = sum(queue.is_refused for queue in self._queues.values())
            self._metrics.queues_refused.labels(self._source).dec(refused)

    def forget(self) -> None:
        """It has run: remember nothing of its queues' jobs."""
        for queue in self._queues.values():
            queue.leave()

    async def _run(self, end: asyncio.Event) -> None:
        while self._queues and not end.is_set():
            try:
                woken = [self._queues[key] for key in await self._wait()]
                for start in range(0, len(woken), STREAMS_A_READ):
                    async with self._logging:
                        await self._relay(woken[start : start + STREAMS_A_READ])
                    await self._follow_in_time()
                if self._is_asking or time.monotonic() >= self._next_tend:
                    await self._tend()
                await self._follow_in_time()
                await pause(end, 0 if self._has_more else _to_the_beat())
            except SourceUnavailable as error:
                self._metrics.source_errors.labels(self._source).inc()
                log.warning("read_failed", source=self._source, error=str(error))
                for queue in self._queues.values():
                    queue.following.check()  # whoever answers next may be another
                self._know_nothing()  # what was told of may not have been read
                await pause(end, 1.0)

    async def _tend(self) -> None:
        """Do what is to be done of all queues besides reading them."""
        self._next_tend = time.monotonic() + TEND_SECONDS
        self._take_up_open_jobs()
        await self._mending.step((queue, key not in self._unfinished) for key, queue in self._queues.items())
        await self._reconcile()
        await self._take_leave()

    async def _relay(self, queues: Sequence[Queue]) -> None:
        """Read some streams once, and hand on what they brought.

        That is done in the same turn, and forgotten queue by queue: what waits longer leaves the processor's cache,
        which cost a fifth of all. What must wait for others has its turn over first: they may wait for Kafka.
        """
        await self._outbox.room()
        self._unfinished.update(queue.keys.events for queue in queues)  # until it is handed on, also if reading fails
        late: list[Read] = []
        async with nullcontext() if self._brings_little(queues) else self._turns.of(self.shard):
            reads = deque(await self._read(queues))
            self._meet_refused(queues)
            while reads:
                if _must_wait(reads[0]):
                    late.append(reads.popleft())
                else:
                    await self._hand_on(reads.popleft())
        for read in late:
            await self._jobs.tell_long_logs(read)
            await self._hand_on(read)

    async def _hand_on(self, read: Read) -> None:
        async with read.queue.moving:
            is_more = await self._handover.hand_on(read)
            self._follower.pass_by(read.queue, read.entries)
            read.queue.following.hand_on()
            (self._unfinished.add if is_more else self._unfinished.discard)(read.queue.keys.events)
            self._keep_to_budget(read.queue)
        await asyncio.sleep(0)

    def _keep_to_budget(self, queue: Queue) -> None:
        """Forget the oldest of a queue that holds too much, while all queues together do."""
        held = queue.held_bytes
        may_hold = self._budget.hold(queue.memory, held)
        if held > may_hold:
            if given_up := queue.forget(may_hold, self._door.now_ms()):
                self._outbox.add(given_up)
            self._budget.hold(queue.memory, queue.held_bytes)

    def _take_up_open_jobs(self) -> None:
        """Know again, beside the reading, what was told of open jobs before a restart. Raises SourceUnavailable.

        What waited for that is read again.
        """
        for key, queue in self._queues.items():
            if queue.is_reset_due and queue.is_taken_up:
                self._unfinished.add(key)
        if self._taking_up is not None:
            if not self._taking_up.done():
                return
            task, self._taking_up = self._taking_up, None
            task.result()
        waiting = [queue for queue in self._queues.values() if not queue.is_taken_up and not queue.is_refused]
        if waiting:
            self._taking_up = asyncio.create_task(self._take_up.take_up(waiting), name=f"take-up-{self._source}")

    async def _stop_taking_up(self) -> None:
        if self._taking_up is not None:
            self._taking_up.cancel()
            await asyncio.gather(self._taking_up, return_exceptions=True)

    async def _reconcile(self) -> None:
        """Correct what no event corrects, of queues that were read to their ends."""
        mending = {queue.keys.events for queue in self._mending.queues}
        ready = [
            queue
            for key, queue in self._queues.items()
            if key not in self._unfinished and queue.is_settled and key not in mending
        ]
        self._is_asking = await self._reconciler.step(ready)

    async def _take_leave(self) -> None:
        """Let one queue go, if it is missing and was read to its end."""
        if time.monotonic() < self._next_leave:
            return
        for key, queue in self._queues.items():
            if queue.missed is None or key in self._unfinished or not queue.is_settled or queue.position.gaps:
                continue
            if queue.reconciling.jobs.has_orphans:
                continue
            self._next_leave = time.monotonic() + LEAVE_AGAIN_SECONDS  # if nobody answers
            if await self._farewell.say(queue):
                del self._queues[key]
                self._unfinished.discard(key)  # it may have been found and missed once more meanwhile
                self._leave(queue)
            else:
                queue.missed = None  # until the next look at what was found
            self._next_leave = 0.0
            return

    def _leave(self, queue: Queue) -> None:
        """Make room for others."""
        queue.reconciling.jobs.leave()
        self._budget.leave(queue.memory)
        self._follower.leave(queue)

    async def _wait(self) -> list[str]:
        """Return the streams to read: all when a check is due, else those with more to come and those that wake us."""
        if time.monotonic() >= self._next_check:
            self._next_check = time.monotonic() + max(CHECK_SECONDS, self._all_queues() / CHECKED_A_SECOND)
            with suppress(SourceUnavailable):  # the reading that follows says so
                await self._learn_bounds()
            for key, queue in self._queues.items():
                queue.following.check(is_quiet=key not in self._unfinished)
            return list(self._queues)
        readable = {key: queue for key, queue in self._queues.items() if not queue.is_refused}
        if not readable:
            await asyncio.sleep(BLOCK_MS / 1000)
            return []
        is_hurried = self._has_more or self._is_asking
        woken = await self._meanwhile(self._wakeup.wait(readable, is_hurried=is_hurried))
        return [key for key in readable if key in woken or key in self._unfinished]

    def _know_nothing(self) -> None:
        """Of no stream is known that it has not changed."""
        if self._tracked is not None:
            self._tracked.rest()

    async def _learn_bounds(self) -> None:
        """How many entries BullMQ keeps of each stream, which every Queue object of the app may change, how many jobs
        it counted, and whether the queue is paused, where nobody told that yet."""
        queues = list(self._queues.values())
        metas = await self._door.ask([("HMGET", queue.keys.meta, "opts.maxLenEvents", "paused") for queue in queues])
        counters = await self._door.ask([("GET", queue.keys.of("id")) for queue in queues])
        for queue, meta, counter in zip(queues, metas, counters, strict=True):
            bound, paused = (None, None) if isinstance(meta, Refused) else cast(list[bytes | None], meta)
            queue.lag.window.max_len = DEFAULT_MAX_LEN if bound is None else whole(bound)
            if isinstance(counter, bytes) and whole(counter) > queue.position.jobs_added:
                queue.position = replace(queue.position, jobs_added=whole(counter))
            if queue.position.is_paused is None and not isinstance(meta, Refused):
                queue.position = replace(queue.position, is_paused=paused is not None)

    async def _meanwhile(self, wait: Coroutine[None, None, set[str]]) -> set[str]:
        """Follow logs while we wait for entries."""
        waiting = asyncio.create_task(wait, name=f"wait-{self._source}")
        try:
            while not (await asyncio.wait({waiting}, timeout=self._follower.seconds_left))[0]:
                await self._follow()
            return waiting.result()
        finally:
            if waiting.cancel():
                await asyncio.wait({waiting})

    async def _follow_in_time(self) -> None:
        if not self._follower.seconds_left:
            await self._follow()

    async def _follow(self) -> None:
        async with self._logging:
            await self._follower.follow(self._queues.values())

    async def _read(self, queues: Sequence[Queue]) -> list[Read]:
        """Read some streams once, exactly, with what Redis knows of their jobs."""
        try:
            reads = await self._entries.read(queues)
        finally:
            self._unfinished -= {queue.keys.events for queue in queues if queue.is_refused}
        for read in reads:
            queue = read.queue
            await queue.past.recall(self._door, queue.keys.events, queue.position.last_id, read.entries, queue.memory)
        reads = await self._jobs.read(reads)
        for read in reads:
            if read.reading.is_full:
                read.queue.following.cut(read.reading)
        return reads

    def _brings_little(self, queues: Sequence[Queue]) -> bool:
        """Whether what a read of these may bring, with the hashes of its jobs, keeps nobody from a turn."""
        if not all(queue.following.is_on for queue in queues):
            return False
        entries = sum(queue.portion.count for queue in queues)
        return sum(queue.portion.may_bring for queue in queues) + entries * self._jobs.biggest <= LITTLE_BYTES

    def _meet_refused(self, queues: Sequence[Queue]) -> None:
        """A queue refused at first contact gets a cursor too, or it would pass for one created after the next scan."""
        for queue in queues:
            if queue.is_refused and not queue.is_met:
                record = cursor(self._site, self._records, queue.place, queue.position, self._door.now_ms())
                self._outbox.add([record])
                queue.is_met = True

    async def _tell(self, queue: Queue, job_id: str, job: JobMemory, lines: list[str]) -> None:
        """Lines of the attempt that runs."""
        attempt = (job.attempts_made or 0) + 1
        epoch, now = queue.position.epoch, self._door.now_ms()
        told = queue.tail.tell(job_id, job, lines, epoch=epoch, ts=now, attempt=attempt, backfill=False)
        await self._outbox.put(told)


def _to_the_beat() -> float:
    """Seconds until the lanes go on, half a pause at least."""
    left = PAUSE_SECONDS - time.monotonic() % PAUSE_SECONDS
    return left if left >= PAUSE_SECONDS / 2 else left + PAUSE_SECONDS


def _must_wait(read: Read) -> bool:
    """Whether handing it on waits: for the rest of a log, or for who rebuilds what its queue lost."""
    return bool(read.long_logs) or read.queue.moving.locked() or read.reading.is_reset
