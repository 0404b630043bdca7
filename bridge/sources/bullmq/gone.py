"""Takes leave of a queue that two complete scans did not find: when that may be done, and what is written then.

Its stream is read to its end first. What is written says so to everybody at once: a `gone` record, and tombstones where
its counts, its position and its logs stood. Where the stream is there still, the position stays, marked: a queue that
is made again under the same name goes on in it.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from bridge.record import Record
from bridge.records import Records
from bridge.sources.bullmq import stream, wire
from bridge.sources.bullmq.cursors import no_queue_cursor
from bridge.sources.bullmq.discovery import Missed
from bridge.sources.bullmq.door import Door
from bridge.sources.bullmq.groups import cursor, no_pages, open_jobs
from bridge.sources.bullmq.translate import Place
from bridge.sources.bullmq.watched import Queue
from tocsin.events import JobEvent
from tocsin.times import rfc3339

LetGo = Callable[[Queue, Sequence[Record]], Awaitable[None]]
"""Puts these records into the outbox, behind whatever else is told of the queue, and forgets it. What becomes of the
epoch of one whose position is forgotten too (it is not marked gone) is the taker's business."""


def queue_gone(place: Place, epoch: int, missed: Missed, ts: int) -> JobEvent:
    """The record of a queue that is no more."""
    first, second = rfc3339(missed.first_ms), rfc3339(missed.second_ms)
    return place.record(
        "gone",
        epoch=epoch,
        tail=f"gone:{missed.second_ms}",
        ts=ts,
        message=f"its meta key was absent from two complete scans, at {first} and {second}",
    )


@dataclass(frozen=True, slots=True)
class Farewell:
    """Takes leave for one lane."""

    site: str
    door: Door
    records: Records
    let_go: LetGo

    async def say(self, queue: Queue) -> bool:
        """Let the queue go if nothing in its stream is unread and its meta key is still absent; return whether it was.

        The primary is asked: see reconcile/reconciler.py. Raises SourceUnavailable.
        """
        if queue.missed is None:
            return False
        commands = wire.read_commands(queue.keys.events, queue.position, 1)
        *replies, exists = await self.door.ask_primary([*commands, ("EXISTS", queue.keys.meta)])
        try:
            info, entries = wire.parse(queue.position, replies)
        except wire.Unreadable:
            return False
        reading = stream.advance(queue.position, info, entries, 1)
        if entries or reading.lost or reading.is_reset or exists != 0:
            return False
        now = self.door.now_ms()
        place = queue.place
        position = self.records.cursor(*no_queue_cursor(self.site, place.source, place.queue))
        if info is not None:
            queue.position = replace(queue.position, is_gone=True, is_paused=None)
            position = cursor(self.site, self.records, place, queue.position, now)
        await self.let_go(
            queue,
            [
                self.records.job(queue_gone(place, queue.position.epoch, queue.missed, now)),
                self.records.no_snapshot(place),
                *queue.tail.clear(now),
                open_jobs(self.site, self.records, place, queue.position, None, now),
                *no_pages(self.site, self.records, place, queue.reconciling.pages),
                position,
            ],
        )
        return True
