"""Jobs that ran already when their queue was taken up, or while entries of it were lost: their logs are followed too.

Redis lists the active jobs. One that no entry has told of, though every entry older than the list was read, began
before the first of them. The list counts only beside the stream that was read: after a failover jobs may run again that
were told to be removed, and how far their logs were told is forgotten. Of some the queue's memory knows no more than
what they did before a restart: their hashes tell whose lines these are, and of which attempt. Of others entries told,
and they belong to the memory alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import cast

from bridge.sources.bullmq import enrich, stream, translate, wire
from bridge.sources.bullmq.door import Command, Door, Refused, Reply
from bridge.sources.bullmq.memory import JobMemory
from bridge.sources.bullmq.stream import Entry
from bridge.sources.bullmq.watched import Queue

MOST_JOBS = 1000
"""Of one queue, those that began last."""

JOBS_A_READ = 100
QUEUES_A_READ = 20
"""Each brings some entries, which may be big."""


@dataclass(slots=True)
class _Listed:
    """A queue's active jobs at a moment. last_id: its last entry then."""

    queue: Queue
    last_id: str
    job_ids: list[str]


class Underway:
    """Finds them for one lane. Not for concurrent use."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._unlisted: dict[str, Queue] = {}
        self._listed: dict[str, _Listed] = {}
        self._jobs: dict[str, dict[str, JobMemory]] = {}

    def expect(self, queue: Queue) -> None:
        """Jobs of this queue may run that no entry tells of."""
        self.leave(queue)
        self._unlisted[queue.keys.events] = queue

    def leave(self, queue: Queue) -> None:
        """Nobody follows this queue's logs any more."""
        for known in (self._unlisted, self._listed, self._jobs):
            known.pop(queue.keys.events, None)

    def pass_by(self, queue: Queue, entries: Iterable[Entry]) -> None:
        """These were told. A job that was removed runs no more, and the memory has forgotten it."""
        if jobs := self._jobs.get(queue.keys.events):
            for entry in entries:
                if entry.event == "removed":
                    jobs.pop(entry.job_id, None)

    def of(self, queue: Queue) -> list[tuple[str, JobMemory]]:
        """Those of a queue that are known by now."""
        jobs = self._jobs.get(queue.keys.events)
        if not jobs:
            return []
        for job_id in [job_id for job_id in jobs if _is_told(queue, job_id)]:
            del jobs[job_id]
        return list(jobs.items())

    async def look(self) -> None:
        """Find what can be found by now. Raises SourceUnavailable."""
        queues = [queue for queue in self._unlisted.values() if queue.is_quick]
        for start in range(0, len(queues), QUEUES_A_READ):
            await self._list(queues[start : start + QUEUES_A_READ])
        for listed in list(self._listed.values()):
            if stream.order(listed.queue.position.last_id) >= stream.order(listed.last_id):
                await self._learn(listed)

    async def _list(self, queues: list[Queue]) -> None:
        asked = [_list_commands(queue) for queue in queues]
        replies = iter(await self._door.ask([*chain(*asked)]))
        for queue, mine in zip(queues, asked, strict=True):
            active, newest, *read = islice(replies, len(mine))
            if _is_another(queue, read):
                continue  # once it is read, or told to be another, jobs are listed again
            last = _texts(newest)
            self._listed[queue.keys.events] = _Listed(queue, last[0] if last else "0-0", _texts(active))
            del self._unlisted[queue.keys.events]

    async def _learn(self, listed: _Listed) -> None:
        """Read the hashes of those that the memory does not know."""
        queue, found = listed.queue, dict[str, JobMemory]()
        unknown = [job_id for job_id in listed.job_ids if not _is_told(queue, job_id)]
        for start in range(0, len(unknown), JOBS_A_READ):
            some = unknown[start : start + JOBS_A_READ]
            replies = await self._door.ask(
                [command for job_id in some for command in enrich.commands(queue.keys, job_id, with_data=False)]
            )
            for at, job_id in enumerate(some):
                mine = replies[at * enrich.COMMANDS_PER_JOB : (at + 1) * enrich.COMMANDS_PER_JOB]
                job = enrich.parse(mine)
                if job is not None and not job.finished_on:  # what ended since it was listed is followed no more
                    known = found[job_id] = JobMemory(attempts_made=job.attempts_made)
                    translate.learn(known, job)
        self._jobs[queue.keys.events] = found
        del self._listed[queue.keys.events]


def _list_commands(queue: Queue) -> list[Command]:
    """For a queue's active jobs, its last entry, and then whether its stream is the one that was read."""
    return [
        ("LRANGE", queue.keys.of("active"), 0, MOST_JOBS - 1),
        ("XREVRANGE", queue.keys.events, "+", "-", "COUNT", 1),
        *wire.read_commands(queue.keys.events, queue.position, 1),
    ]


def _is_another(queue: Queue, replies: Sequence[Reply]) -> bool:
    """Whether a queue's stream is, or may be, another than its position's, as its next read will tell."""
    try:
        info, entries = wire.parse(queue.position, replies)
    except wire.Unreadable:
        return True
    reading = stream.advance(queue.position, info, entries, 1)
    return bool(reading.is_reset or reading.is_miscounted or reading.lost)


def _is_told(queue: Queue, job_id: str) -> bool:
    """Whether entries told of a job with what its hash says of it, or that it runs no more; none were lost since."""
    known = queue.memory.known(job_id)
    return known is not None and not known.is_doubted and (known.is_learned or not known.is_active)


def _texts(reply: Reply) -> list[str]:
    """A list's texts, or the ids of a stream's entries."""
    if not reply or isinstance(reply, Refused):
        return []
    parts = cast(Iterable[bytes | list[bytes]], reply)
    return [(part[0] if isinstance(part, list) else part).decode(errors="replace") for part in parts]
