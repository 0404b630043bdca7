"""Reads what Redis knows of the jobs of some batches: their hashes, and the logs of those whose run may have ended."""

from collections.abc import Awaitable, Callable, Sequence

from bridge.sources.bullmq import enrich, logs, translate
from bridge.sources.bullmq.door import Command, Door
from bridge.sources.bullmq.memory import JobMemory
from bridge.sources.bullmq.watched import Queue, Read

JOBS_A_PIPELINE = 250

FINAL = frozenset({"completed", "failed"})
HANDED_BACK = frozenset({"delayed", "waiting"})
"""Events that end a run of an active job, and mean something else for any other."""

Tell = Callable[[Queue, str, JobMemory, list[str]], Awaitable[None]]
"""Relays lines of a job's log at once."""


class JobReader:
    """Reads for one lane. tell: for logs too long to be kept until their batch is handed on."""

    def __init__(self, door: Door, tell: Tell) -> None:
        self._door = door
        self._tell = tell

    async def read(self, reads: Sequence[Read]) -> None:
        """Read the hashes of the jobs, and the logs of those whose run may have ended."""
        asked: list[tuple[Read, str, list[Command]]] = []
        for read in reads:
            ended, retried = _may_have_ended(read), _retried(read)
            added = {entry.job_id for entry in read.entries if entry.event == "added"}
            for job_id in {entry.job_id: None for entry in read.entries if translate.needs_hash(entry)}:
                with_data = job_id in added or job_id not in read.queue.memory
                commands = enrich.commands(read.queue.keys, job_id, with_data=with_data)
                if job_id in retried and job_id not in read.queue.tail:
                    commands.append(logs.count_command(read.queue.keys, job_id))
                elif job_id in ended:
                    seen = 0 if job_id in added else read.queue.tail.seen(job_id)
                    commands.append(logs.read_command(read.queue.keys, job_id, seen))
                asked.append((read, job_id, commands))
        for start in range(0, len(asked), JOBS_A_PIPELINE):
            some = asked[start : start + JOBS_A_PIPELINE]
            replies = iter(await self._door.ask([command for _, _, commands in some for command in commands]))
            for read, job_id, commands in some:
                read.hashes[job_id] = enrich.parse([next(replies) for _ in range(enrich.COMMANDS_PER_JOB)])
                reply = next(replies) if len(commands) > enrich.COMMANDS_PER_JOB else None
                if isinstance(reply, int):
                    read.skipped[job_id] = reply
                elif reply:
                    read.lines[job_id] = logs.parse(reply)

    async def tell_long_logs(self, read: Read) -> None:
        """Relay the logs that one read could not hold, part by part; their last lines stay with the batch."""
        for job_id, lines in read.lines.items():
            read.lines[job_id] = await self._rest_of_log(read, job_id, lines)

    async def _rest_of_log(self, read: Read, job_id: str, lines: list[str]) -> list[str]:
        queue, job = read.queue, read.queue.memory.known(job_id)
        if job is None:
            job = JobMemory()
            if (found := read.hashes.get(job_id)) is not None:
                translate.learn(job, found)
        while len(lines) == logs.MAX_LINES_A_READ and not job.keeps_logs:
            await self._tell(queue, job_id, job, lines)
            command = logs.read_command(queue.keys, job_id, queue.tail.seen(job_id))
            lines = logs.parse((await self._door.ask([command]))[0])
        return lines


def _may_have_ended(read: Read) -> set[str]:
    """Jobs of the batch whose run may have ended in it."""
    memory = read.queue.memory
    ran = {entry.job_id for entry in read.entries if entry.event == "active"}
    ended: set[str] = set()
    for entry in read.entries:
        known = memory.known(entry.job_id)
        was_active = entry.job_id in ran or (known is not None and known.is_active)
        if entry.event in FINAL or (entry.event in HANDED_BACK and was_active):
            ended.add(entry.job_id)
    return ended


def _retried(read: Read) -> set[str]:
    """Jobs whose first entry here is a retry by hand."""
    first = {entry.job_id: entry for entry in reversed(read.entries)}
    return {job_id for job_id, entry in first.items() if entry.event == "waiting" and entry.fields.get("prev") in FINAL}
