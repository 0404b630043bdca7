"""After a restart: knows again what was told of each queue's open jobs, beside the reading, which never waits for it.

What Kafka holds of them (`OpenCursor`) may be some seconds older than the queue's position. What was told between is
said by the stream's entries, and where these are trimmed by the records in Kafka: of all queues of the lane that need
it, in one reading. What the lane tells meanwhile is newer, and wins.
"""

from collections.abc import Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import cast

import structlog

from bridge.errors import TooSlow
from bridge.redaction import redact
from bridge.sources.bullmq import stream, wire
from bridge.sources.bullmq.door import Door, Refused, Reply
from bridge.sources.bullmq.gaps.told import TOLD_BEFORE_MS, ReadBack
from bridge.sources.bullmq.portions import Portion
from bridge.sources.bullmq.reconcile.open_jobs import OpenJobs
from bridge.sources.bullmq.stream import Entry
from bridge.sources.bullmq.translate import STATES
from bridge.sources.bullmq.watched import Queue
from tocsin.events import BadRecord, JobEvent, OpenCursor, State, decode

log = structlog.get_logger("bridge.takeup")

MOST_REPLAYED = 20_000


@dataclass(slots=True)
class _Late:
    """A queue's open jobs as they were told until its position at the restart.

    undated: records without a stream id: they were told after the jobs were stored, unless an older one follows.
    """

    queue: Queue
    stored: OpenCursor
    jobs: OpenJobs = field(default_factory=OpenJobs)
    undated: list[JobEvent] = field(default_factory=list[JobEvent])

    def __post_init__(self) -> None:
        self.jobs.restore(self.stored)

    def learn(self, record: bytes) -> None:
        """Take in the queue's next record, if it was told after the jobs were stored."""
        with suppress(BadRecord):  # another release's
            event = decode(JobEvent, record)
            if _is_older(event, self.stored):
                self.undated.clear()
                return
            self.undated.append(event)
            if event.stream_id or event.epoch > self.stored.epoch:
                self._take_in()

    def _take_in(self) -> None:
        for event in self.undated:
            self.jobs.told(event.job_id, event)
        self.undated.clear()

    def settle(self) -> None:
        """The queue goes on with this."""
        self._take_in()
        self.queue.reconciling.take_up(self.jobs)

    def give_up(self) -> None:
        """Nobody can say what became of them: they are learned from Redis again."""
        place = self.queue.place
        log.warning("open_jobs_forgotten", source=place.source, queue=place.queue, jobs=len(self.stored.jobs))
        self.queue.reconciling.take_up(OpenJobs())


class TakeUp:
    """Takes up the queues of one lane. read_back: see told.py."""

    def __init__(self, door: Door, read_back: ReadBack) -> None:
        self._door = door
        self._read_back = read_back

    async def take_up(self, queues: Sequence[Queue]) -> None:
        """Know again what was told of the open jobs of these queues. Raises SourceUnavailable."""
        trimmed: dict[str, _Late] = {}
        for queue in queues:
            if queue.reconciling.stored is None:
                continue
            late = _Late(queue, queue.reconciling.stored)
            if await self._replay_stream(late):
                late.settle()
            else:
                late = trimmed[queue.place.queue] = _Late(queue, late.stored)
        if trimmed:
            await self._replay_kafka(trimmed)

    async def _replay_stream(self, late: _Late) -> bool:
        """Tell the jobs what entries said since; return whether the stream holds all of these still."""
        queue, stored, start = late.queue, late.stored, late.queue.reconciling.start
        missing, after = start.pos - stored.pos, stored.last_id
        if stored.epoch != start.epoch or not 0 <= missing <= MOST_REPLAYED:
            return False
        portion = Portion(first=100, most=1000, wanted_bytes=1024 * 1024)
        while missing > 0:
            count = min(portion.count, missing)
            command = ("XRANGE", queue.keys.events, f"({after}", start.last_id, "COUNT", count)
            try:
                (reply,) = await self._door.ask([command])
            except TooSlow:
                return False  # its entries may be too big to arrive; what became of them is in Kafka
            if isinstance(reply, Refused):
                self._door.say_refused("XRANGE", reply, without="open jobs are taken up from Kafka after a restart")
                return False
            if not reply:
                return False
            page = wire.entries_of(cast(list[Reply], reply))
            portion.learn([entry.size for entry in page])
            for entry in page:
                late.jobs.told(entry.job_id, _told(queue, start.epoch, entry))
            after, missing = page[-1].id, missing - len(page)
        return after == start.last_id

    async def _replay_kafka(self, lates: dict[str, _Late]) -> None:
        """The same by what was told, of all these queues at once."""
        since_ms = min(late.stored.ts for late in lates.values()) - TOLD_BEFORE_MS
        try:
            async with aclosing(self._read_back([late.queue.place for late in lates.values()], since_ms)) as records:
                async for queue, record in records:
                    lates[queue].learn(record)
        except TimeoutError:
            for late in lates.values():
                late.give_up()
            return
        for late in lates.values():
            late.settle()


def _told(queue: Queue, epoch: int, entry: Entry) -> JobEvent:
    """As much of the record of an entry as matters here."""
    return queue.place.record(
        entry.event,
        epoch=epoch,
        tail=entry.id,
        ts=entry.ts,
        stream_id=entry.id,
        state=STATES.get(entry.event, State.UNKNOWN),
        job_id=redact.identifier(entry.job_id),
        job_name=redact.name(entry.fields.get("name", "")) if entry.event == "added" else "",
    )


def _is_older(event: JobEvent, stored: OpenCursor) -> bool:
    """Whether an event was certainly told before the open jobs were stored."""
    if event.epoch != stored.epoch:
        return event.epoch < stored.epoch
    return bool(event.stream_id) and stream.order(event.stream_id) <= stream.order(stored.last_id)
