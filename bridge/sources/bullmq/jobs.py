"""Reads what Redis knows of the jobs of some batches: their hashes, and the logs of those whose run may have ended.

A job may hold megabytes: how many are asked for at once, and how many may be held, follows their bytes.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import cast

from bridge.errors import SourceUnavailable
from bridge.sources.bullmq import enrich, logs, translate
from bridge.sources.bullmq.door import Command, Door, Reply
from bridge.sources.bullmq.groups import cut
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.memory import JobMemory
from bridge.sources.bullmq.portions import Portion
from bridge.sources.bullmq.watched import Queue, Read

MOST_JOBS = 250
MOST_LINES = 500
PIPELINE_BYTES = 8 * 1024 * 1024
LOG_BYTES = 1024 * 1024
HELD_BYTES = 16 * 1024 * 1024
"""What the hashes and log lines of some batches may hold together; entries behind that wait for the next read."""

FINAL = frozenset({"completed", "failed"})
HANDED_BACK = frozenset({"delayed", "waiting"})
"""Events that end a run of an active job, and mean something else for any other."""

Tell = Callable[[Queue, str, JobMemory, list[str]], Awaitable[None]]
"""Relays lines of a job's log at once."""


@dataclass(frozen=True, slots=True)
class _Ask:
    """What is asked of one job."""

    read: Read
    job_id: str
    hashed: list[Command]
    logged: list[Command]

    @property
    def commands(self) -> list[Command]:
        return self.hashed + self.logged


class JobReader:
    """Reads for one lane. tell: for logs too long to be kept until their batch is handed on."""

    def __init__(self, door: Door, tell: Tell) -> None:
        self._door = door
        self._tell = tell
        self._jobs = Portion(first=10, most=MOST_JOBS, wanted_bytes=PIPELINE_BYTES)
        self._logs = Portion(first=10, most=MOST_JOBS, wanted_bytes=PIPELINE_BYTES)
        self._lines = Portion(first=50, most=MOST_LINES, wanted_bytes=LOG_BYTES)

    async def read(self, reads: Sequence[Read]) -> list[Read]:
        """Read the hashes of the jobs, and the logs of those whose run may have ended.

        Returns the batches whose jobs were read, cut where they hold enough; the rest of them is to be read again.
        """
        lines = self._lines.count
        asks = [ask for read in reads for ask in _asks(read, lines)]
        held = done = 0
        while done < len(asks) and held < HELD_BYTES:
            some = self._next(asks, done)
            replies = iter(await self._ask([command for ask in some for command in ask.commands]))
            answers = [[next(replies) for _ in ask.commands] for ask in some]
            asked = list(zip(some, answers, strict=True))
            self._jobs.learn([size_of(answer[: len(ask.hashed)]) for ask, answer in asked])
            self._logs.learn([size_of(answer[len(ask.hashed) :]) for ask, answer in asked if ask.logged])
            held += sum(self._keep(ask, answer, lines) for ask, answer in asked)
            done += len(some)
        kept = _cut_unread(reads, asks[done:])
        for read in kept:
            _cut_before_long_logs(read)
        return kept

    async def tell_long_logs(self, read: Read) -> None:
        """Relay the logs that one read could not hold, part by part; their last lines stay with the batch."""
        for job_id in read.long_logs:
            lines, job = read.lines[job_id], read.queue.memory.known(job_id)
            if job is None:
                job = JobMemory()
                if (found := read.hashes.get(job_id)) is not None:
                    translate.learn(job, found)
            is_more = True
            while is_more:
                if job.keeps_logs:  # its lines are told once it has finished, all together
                    seen, kept = read.queue.tail.seen(job_id) + len(lines), lines
                else:
                    await self._tell(read.queue, job_id, job, lines)
                    seen, kept = read.queue.tail.seen(job_id), []
                count = self._lines.count
                more = await self._read_log(read.queue.keys, job_id, seen, count)
                lines, is_more = kept + more, len(more) == count
            read.lines[job_id] = lines

    async def follow(self, active: Sequence[tuple[Queue, str, JobMemory]]) -> bool:
        """Relay the new lines of jobs that run; return whether there are more."""
        is_more, done = False, 0
        while done < len(active):
            some, lines = active[done : done + self._logs.count], self._lines.count
            replies = await self._ask(
                [logs.read_command(queue.keys, job_id, queue.tail.seen(job_id), lines) for queue, job_id, _ in some]
            )
            self._logs.learn([size_of([reply]) for reply in replies])
            for (queue, job_id, job), reply in zip(some, replies, strict=True):
                if found := self._log(reply):
                    await self._tell(queue, job_id, job, found)
                    is_more |= len(found) == lines
            done += len(some)
        return is_more

    def _next(self, asks: Sequence[_Ask], start: int) -> list[_Ask]:
        """What the next pipeline asks: so many jobs, and so many logs among them."""
        some: list[_Ask] = []
        logs_left = self._logs.count
        for ask in asks[start : start + self._jobs.count]:
            logs_left -= bool(ask.logged)
            if logs_left < 0:
                break
            some.append(ask)
        return some

    def _keep(self, ask: _Ask, answer: list[Reply], lines: int) -> int:
        """Keep one job's answer; return how much it holds."""
        read, job_id = ask.read, ask.job_id
        job = read.hashes[job_id] = enrich.parse(answer[: len(ask.hashed)])
        held = 0 if job is None else len(job.data) + len(job.failed_reason or "") + sum(map(len, job.stacks))
        for reply in answer[len(ask.hashed) :]:
            if isinstance(reply, int):
                read.skipped[job_id] = reply
            elif found := self._log(reply):
                read.lines[job_id] = found
                held += sum(map(len, found))
                if len(found) == lines:
                    read.long_logs.append(job_id)
        return held

    async def _read_log(self, keys: Keys, job_id: str, seen: int, lines: int) -> list[str]:
        return self._log((await self._ask([logs.read_command(keys, job_id, seen, lines)]))[0])

    def _log(self, reply: Reply) -> list[str]:
        found = logs.parse(reply)
        if found:
            self._lines.learn([len(line) for line in found])
        return found

    async def _ask(self, commands: Sequence[Command]) -> list[Reply]:
        try:
            return await self._door.ask(commands)
        except SourceUnavailable:
            for portion in (self._jobs, self._logs, self._lines):
                portion.shrink()
            raise


def _asks(read: Read, lines: int) -> list[_Ask]:
    """What to ask of each job of a batch that has more to tell, in the order of its entries."""
    queue, asks = read.queue, list[_Ask]()
    (ended, handed_back), retried = _may_have_ended(read), _retried(read)
    added = {entry.job_id for entry in read.entries if entry.event == "added"}
    for job_id in {entry.job_id: None for entry in read.entries if translate.needs_hash(entry)}:
        with_data = job_id in added or job_id not in queue.memory
        hashed = enrich.commands(queue.keys, job_id, with_data=with_data, with_lock=job_id in handed_back)
        logged: list[Command] = []
        if job_id in retried and job_id not in queue.tail:
            logged.append(logs.count_command(queue.keys, job_id))
        elif job_id in ended:
            seen = 0 if job_id in added else queue.tail.seen(job_id)
            logged.append(logs.read_command(queue.keys, job_id, seen, lines))
        asks.append(_Ask(read, job_id, hashed, logged))
    return asks


def _cut_unread(reads: Sequence[Read], unread: Sequence[_Ask]) -> list[Read]:
    """The batches up to the first entry of each whose job was not read; none that would be empty."""
    first: dict[int, str] = {}
    for ask in unread:
        first.setdefault(id(ask.read), ask.job_id)
    kept: list[Read] = []
    for read in reads:
        job_id = first.get(id(read))
        if job_id is None:
            kept.append(read)
            continue
        at = next(at for at, entry in enumerate(read.entries) if entry.job_id == job_id and translate.needs_hash(entry))
        _cut_at(read, at)
        if at:
            kept.append(read)
    return kept


def _cut_before_long_logs(read: Read) -> None:
    """End the batch before the end of a job that was also added in it, if its log is long.

    A long log is told before its batch: after a kill in between, `added` in the batch that is read again would say that
    none of it was told. With `added` in a batch before, the place tells.
    """
    for job_id in list(read.long_logs):
        mine = [(at, entry.event) for at, entry in enumerate(read.entries) if entry.job_id == job_id]
        added = max((at for at, event in mine if event == "added"), default=None)
        if added is None or job_id not in read.long_logs:
            continue
        read.long_logs.remove(job_id)
        if ends := [at for at, event in mine if at > added and event in FINAL | HANDED_BACK]:
            _cut_at(read, ends[0])


def _cut_at(read: Read, at: int) -> None:
    """Leave the entries from this one on for the next read, with the logs of jobs that are only added there."""
    before = read.entries
    read.reading, read.entries = cut(read.reading, at)
    for entry in before[len(read.entries) :]:
        if entry.event == "added":
            read.lines.pop(entry.job_id, None)
            read.skipped.pop(entry.job_id, None)
    read.long_logs = [job_id for job_id in read.long_logs if job_id in read.lines]


def size_of(replies: Sequence[Reply]) -> int:
    """Bytes of some replies, none of them nested deeper than a list."""
    lists = [cast(list[Reply], reply) if isinstance(reply, list) else [reply] for reply in replies]
    return sum(len(part) for parts in lists for part in parts if isinstance(part, bytes))


def _may_have_ended(read: Read) -> tuple[set[str], set[str]]:
    """Jobs of the batch whose run may have ended in it, and those of them of which one was handed back."""
    ran = {entry.job_id for entry in read.entries if entry.event == "active"}
    ended: set[str] = set()
    handed_back: set[str] = set()
    for entry in read.entries:
        if entry.event in HANDED_BACK and (entry.job_id in ran or _was_active(read, entry.job_id)):
            handed_back.add(entry.job_id)
        elif entry.event in FINAL:
            ended.add(entry.job_id)
    return ended | handed_back, handed_back


def _was_active(read: Read, job_id: str) -> bool:
    known = read.queue.memory.known(job_id)
    return known is not None and known.is_active


def _retried(read: Read) -> set[str]:
    """Jobs whose first entry here is a retry by hand."""
    first = {entry.job_id: entry for entry in reversed(read.entries)}
    return {
        job_id
        for job_id, entry in first.items()
        if entry.event == "waiting" and entry.fields.get("prev") in FINAL and not _was_active(read, job_id)
    }
