"""Follows the logs of jobs that run: BullMQ announces no line.

Redis tells which logs have changed since they were read (tracked.py): one is looked at soon after it got a line, and a
job that logs nothing costs nothing. Where it does not tell, their lengths are asked for each time; a log of which only
the last lines are kept says nothing by its length, and is looked at itself.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from bridge.errors import SourceUnavailable
from bridge.sources.bullmq.door import Command, Door, Refused, Reply, Tracked
from bridge.sources.bullmq.jobs import PIPELINE_BYTES, size_of
from bridge.sources.bullmq.logs.reader import LogReader, read_command
from bridge.sources.bullmq.logs.underway import Underway
from bridge.sources.bullmq.memory import JobMemory
from bridge.sources.bullmq.portions import Portion
from bridge.sources.bullmq.stream import Entry
from bridge.sources.bullmq.watched import Queue, Tell

FOLLOW_SECONDS = 0.7
"""From one look to the next. With what a look takes, and the commit, a line is told within a second."""

REST_SECONDS = 0.1
RESTS = 20
"""After a look nobody looks for so long, though Redis tells of a line, nor for so many times as long as that look took,
up to when one is due anyhow: jobs that write much cost Redis, and us, no more than if Redis told nothing."""

MOST_LOGS = 250
MOST_LENGTHS = 1000

Running = Mapping[str, tuple[Queue, str, JobMemory]]
"""Jobs by the key of their log."""


class Follower:
    """Follows for one lane. Not for concurrent use. tracked: through which it reads; None = Redis tells nothing."""

    def __init__(self, door: Door, reader: LogReader, tell: Tell, tracked: Tracked | None) -> None:
        self._door = door
        self._reader = reader
        self._tell = tell
        self._tracked = tracked
        self._underway = Underway(door)
        self._portion = Portion(first=10, most=MOST_LOGS, wanted_bytes=PIPELINE_BYTES)
        self._unread: set[str] = set()
        self._next = 0.0
        self._rested_at = 0.0

    @property
    def seconds_left(self) -> float:
        """Until the next look is due, as far as Redis has told by now."""
        has_news = self._tracked is not None and self._tracked.has_news
        return max(0.0, (self._rested_at if has_news else self._next) - time.monotonic())

    def meet(self, queue: Queue) -> None:
        """Look for jobs that run, once the queue is read: no entry will tell of them."""
        self._underway.expect(queue)

    def pass_by(self, queue: Queue, entries: Iterable[Entry]) -> None:
        """These entries were told."""
        self._underway.pass_by(queue, entries)

    def leave(self, queue: Queue) -> None:
        """The queue is let go."""
        self._underway.leave(queue)

    async def follow(self, queues: Iterable[Queue]) -> None:
        """Relay the new lines of jobs that run. Raises SourceUnavailable."""
        begun = time.monotonic()
        self._next = self._rested_at = begun + FOLLOW_SECONDS
        await self._underway.look()
        running = {
            queue.keys.logs(job_id): (queue, job_id, job)
            for queue in queues
            for job_id, job in (*_learned(queue), *self._underway.of(queue))
        }
        due = await self._due(running)
        self._unread = set(due)
        done = 0
        while done < len(due):
            some = due[done : done + self._portion.count]
            await self._read({key: running[key] for key in some})
            done += len(some)
        ended = time.monotonic()
        self._rested_at = min(self._next, ended + max(REST_SECONDS, RESTS * (ended - begun)))
        if self._unread:
            self._next = self._rested_at = 0.0

    def close(self) -> None:
        """Nothing is followed any more."""
        if self._tracked is not None:
            self._tracked.rest()

    async def _due(self, running: Running) -> list[str]:
        """The logs that may have changed, and those of which not all was read."""
        if self._tracked is not None:
            if not running:
                self._tracked.rest()
                return []
            changed = set(await self._tracked.changed(list(running)))
            if self._tracked.is_on:
                return [key for key in running if key in changed or key in self._unread]
        return await self._by_length(running)

    async def _by_length(self, running: Running) -> list[str]:
        """The logs that are not as long as was read, and those whose length says nothing."""
        due = [key for key, (_, _, job) in running.items() if job.keeps_logs]
        asked = [key for key, (_, _, job) in running.items() if not job.keeps_logs]
        for start in range(0, len(asked), MOST_LENGTHS):
            some = asked[start : start + MOST_LENGTHS]
            lengths = await self._door.ask([("LLEN", key) for key in some])
            due += [key for key, length in zip(some, lengths, strict=True) if _has_moved(running[key], length)]
        return due

    async def _read(self, some: Running) -> None:
        asked = [
            (key, queue, job_id, job, self._reader.look(queue.tail.place(job_id), is_cut=job.keeps_logs))
            for key, (queue, job_id, job) in some.items()
        ]
        replies = await self._ask([read_command(queue.keys, job_id, look) for _, queue, job_id, _, look in asked])
        self._portion.learn([size_of([reply]) for reply in replies])
        for (key, queue, job_id, job, look), reply in zip(asked, replies, strict=True):
            found = await self._reader.find(queue.keys, job_id, look, reply)
            queue.tail.find(job_id, found)
            if found.lines:
                await self._tell(queue, job_id, job, found.lines)
            if not found.is_more:
                self._unread.discard(key)

    async def _ask(self, commands: Sequence[Command]) -> list[Reply]:
        try:
            if self._tracked is not None and self._tracked.is_on:
                with suppress(SourceUnavailable):  # who shares the connection may have ended it
                    return await self._tracked.ask(commands)
            return await self._door.ask(commands)
        except SourceUnavailable:
            for portion in (self._portion, self._reader.portion):
                portion.shrink()
            raise


def _learned(queue: Queue) -> Iterable[tuple[str, JobMemory]]:
    """Jobs that run, as entries told; a line of one whose hash was not read would be nobody's."""
    return ((job_id, job) for job_id, job in queue.memory.active() if job.is_learned)


def _has_moved(running: tuple[Queue, str, JobMemory], length: Reply) -> bool:
    queue, job_id, _ = running
    return not isinstance(length, Refused) and length != queue.tail.place(job_id).at
