"""Reads the last lines of jobs whose ends are rebuilt: their logs were not read at their ends, as nobody saw these.

What was told of a log while its job ran is left out: it goes on from the place that was kept. Where none is kept though
there may have been one, in another life of the job, nothing is told twice: its log goes on from its end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.outbox import Outbox, Parcel
from bridge.record import Record
from bridge.sources.bullmq.door import Command, Door, Reply
from bridge.sources.bullmq.enrich import whole
from bridge.sources.bullmq.jobs import PIPELINE_BYTES, size_of
from bridge.sources.bullmq.logs.place import Found, LogPlace, Look
from bridge.sources.bullmq.logs.reader import LogReader, end, end_commands, read_command
from bridge.sources.bullmq.memory import JobMemory
from bridge.sources.bullmq.portions import Portion
from bridge.sources.bullmq.watched import Queue
from tocsin.events import JobEvent

MOST_LOGS = 250


@dataclass(slots=True)
class _Log:
    """One job's log. look: None = only where it ends is of interest. job_id: as Redis knows it."""

    event: JobEvent
    job_id: str
    look: Look | None
    commands: list[Command]
    found: Found | None = None
    ends_at: LogPlace | None = None


class LastLines:
    """Reads for one lane, while nobody else reads logs for it."""

    def __init__(self, door: Door, reader: LogReader, outbox: Outbox[Parcel]) -> None:
        self._door = door
        self._reader = reader
        self._outbox = outbox
        self._portion = Portion(first=10, most=MOST_LOGS, wanted_bytes=PIPELINE_BYTES)

    async def of(self, queue: Queue, ends: Sequence[JobEvent], ids: Mapping[str, str]) -> list[Record]:
        """The records of the lines that were not told, to be put with the ends.

        What one read does not hold is put at once, part by part. ids: the jobs' ids in Redis by those in records.
        Raises SourceUnavailable; places move only with what is told.
        """
        logs = [self._log(queue, event, ids[event.job_id]) for event in ends]
        done = 0
        while done < len(logs):
            some = logs[done : done + self._portion.count]
            replies = iter(await self._door.ask([command for log in some for command in log.commands]))
            answers = [[next(replies) for _ in log.commands] for log in some]
            self._portion.learn([size_of(answer) for answer in answers])
            for log, answer in zip(some, answers, strict=True):
                await self._keep(queue, log, answer)
            done += len(some)
        for log in logs:
            if log.found is not None and log.found.is_more:
                await self._tell_parts(queue, log)
        return [record for log in logs for record in self._records(queue, log)]

    def _log(self, queue: Queue, event: JobEvent, job_id: str) -> _Log:
        if job_id not in queue.tail and queue.tail.is_full:
            commands = [("HGET", queue.keys.job(job_id), "ats"), *end_commands(queue.keys, job_id)]
            return _Log(event, job_id, None, commands)
        return self._from_place(queue, event, job_id)

    def _from_place(self, queue: Queue, event: JobEvent, job_id: str) -> _Log:
        look = self._reader.look(queue.tail.place(job_id), is_cut=True)  # it may be: its options are not known
        return _Log(event, job_id, look, [read_command(queue.keys, job_id, look)])

    async def _keep(self, queue: Queue, log: _Log, replies: list[Reply]) -> None:
        if log.look is None:
            runs, *where = replies
            if whole(runs if isinstance(runs, bytes) else None) != 1 or _was_followed(queue, log.job_id):
                log.ends_at = end(where)
                return
            log.look = self._from_place(queue, log.event, log.job_id).look  # its first run: nothing was told before
            assert log.look is not None
            replies = await self._door.ask([read_command(queue.keys, log.job_id, log.look)])
        log.found = await self._reader.find(queue.keys, log.job_id, log.look, replies[0])

    async def _tell_parts(self, queue: Queue, log: _Log) -> None:
        found = log.found
        while found is not None and found.is_more:
            log.found = found
            await self._outbox.put(self._records(queue, log))
            found = await self._reader.read(queue.keys, log.job_id, queue.tail.place(log.job_id), is_cut=True)
        log.found = found

    def _records(self, queue: Queue, log: _Log) -> list[Record]:
        event, tail = log.event, queue.tail
        if log.ends_at is not None:
            return tail.move(log.job_id, log.ends_at, event.ts) if log.ends_at.lines else []
        if log.found is None:
            return []
        tail.find(log.job_id, log.found)
        job = JobMemory(name=event.job_name, added_at=event.added_at, trace_id=event.trace_id)
        return tail.tell(
            log.job_id,
            job,
            log.found.lines,
            epoch=event.epoch,
            ts=event.ts,
            attempt=event.attempt,
            backfill=False,
            rebuilt=True,
        )


def _was_followed(queue: Queue, job_id: str) -> bool:
    """Whether a job's first run is known from before the gap, and lines of it may have been told."""
    return queue.memory.known(job_id) is not None and queue.tail.may_have_told(job_id)
