"""Reads what Redis knows of the jobs of some batches: their hashes, and the logs of those whose run may have ended.

A job may hold megabytes: how many are asked for at once, and how many may be held, follows their bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import msgspec

from bridge.errors import SourceUnavailable
from bridge.sources.bullmq import enrich, translate
from bridge.sources.bullmq.door import Command, Door, Reply
from bridge.sources.bullmq.enrich import SKEW_MS, JobHash
from bridge.sources.bullmq.gaps.told import ENDS
from bridge.sources.bullmq.groups import cut
from bridge.sources.bullmq.logs.place import LogPlace, Look
from bridge.sources.bullmq.logs.reader import LogReader, end, end_commands, read_command
from bridge.sources.bullmq.memory import JobMemory
from bridge.sources.bullmq.portions import Portion
from bridge.sources.bullmq.translate import NEEDS_HASH
from bridge.sources.bullmq.watched import Read, Tell

MOST_JOBS = 250
PIPELINE_BYTES = 8 * 1024 * 1024
HELD_BYTES = 16 * 1024 * 1024
"""What the hashes and log lines of some batches may hold together; entries behind that wait for the next read."""

_NOT_TOLD = LogPlace()

FINAL = frozenset(ENDS)
HANDED_BACK = frozenset({"delayed", "waiting"})
"""Events that end a run of an active job, and mean something else for any other."""


class _Ask(msgspec.Struct, gc=False):
    """What is asked of one job. look: at its log; logged: what that takes, or the end of the log alone.

    if_first: a look besides that end, if this may be the job's first run, of which nothing was told. since: as in
    _Jobs.asked. added_at: as was told before the batch, 0 = unknown, or perhaps of one that ended in a gap.
    is_anothers: what is there now is a later job's.
    """

    read: Read
    job_id: str
    hashed: list[Command]
    logged: list[Command]
    look: Look | None = None
    if_first: Look | None = None
    since: int = 0
    added_at: int = 0
    is_anothers: bool = False


class JobReader:
    """Reads for one lane. tell: for logs too long to be kept until their batch is handed on."""

    def __init__(self, door: Door, reader: LogReader, tell: Tell) -> None:
        self._door = door
        self._reader = reader
        self._tell = tell
        self._jobs = Portion(first=10, most=MOST_JOBS, wanted_bytes=PIPELINE_BYTES)
        self._logs = Portion(first=10, most=MOST_JOBS, wanted_bytes=PIPELINE_BYTES)

    @property
    def biggest(self) -> int:
        """Bytes of the biggest hash seen lately, and of the biggest log."""
        return self._jobs.biggest + self._logs.biggest

    async def read(self, reads: Sequence[Read]) -> list[Read]:
        """Read the hashes of the jobs, and the logs of those whose run may have ended.

        Returns the batches whose jobs were read, cut where they hold enough; the rest of them is to be read again.
        """
        asks = [ask for read in reads for ask in _asks(read, self._reader)]
        held = done = 0
        while done < len(asks) and held < HELD_BYTES:
            some = self._next(asks, done)
            replies = await self._ask(some)
            hashes, logs = self._part(some, replies)
            now = self._door.now_ms()
            held += sum(_keep_hash(ask, hashed, now) for ask, hashed in zip(some, hashes, strict=True))
            for ask, log in zip(some, logs, strict=True):
                if log:
                    held += await self._keep_log(ask, log)
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
                await self._tell(read.queue, job_id, job, lines)
                tail = read.queue.tail
                found = await self._reader.read(read.queue.keys, job_id, tail.place(job_id), is_cut=job.keeps_logs)
                tail.find(job_id, found)
                lines, is_more = found.lines, found.is_more
            read.lines[job_id] = lines

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

    def _part(self, some: Sequence[_Ask], replies: list[Reply]) -> tuple[list[list[Reply]], list[list[Reply]]]:
        """Each one's replies: to what was asked of its hash, and of its log."""
        hashes: list[list[Reply]] = []
        logs: list[list[Reply]] = []
        at = 0
        for ask in some:
            log_at = at + len(ask.hashed)
            hashes.append(replies[at:log_at])
            at = log_at + len(ask.logged)
            logs.append(replies[log_at:at])
        self._jobs.learn([size_of(hashed) for hashed in hashes])
        self._logs.learn([size_of(log) for log in logs if log])
        return hashes, logs

    async def _keep_log(self, ask: _Ask, log: list[Reply]) -> int:
        """Keep what is new of one job's log; return how much that holds."""
        read, job_id = ask.read, ask.job_id
        if ask.is_anothers:
            return 0
        if ask.if_first is not None and _is_first_run(read.hashes[job_id]):
            ask.look, log = ask.if_first, log[-1:]
        if ask.look is None:
            read.skipped[job_id] = end(log)
            return 0
        if not log[0] and (read.hashes[job_id] is None or not ask.look.place.lines):
            return 0  # removed, and its log with it; or it has none
        found = await self._reader.find(read.queue.keys, job_id, ask.look, log[0])
        if ask.look.place.lines:
            read.queue.tail.find(job_id, found)
        if not found.lines:
            return 0
        read.lines[job_id] = found.lines
        if found.is_more:
            read.long_logs.append(job_id)
        return sum(map(len, found.lines))

    async def _ask(self, some: Sequence[_Ask]) -> list[Reply]:
        commands = [command for ask in some for command in (*ask.hashed, *ask.logged)]
        keys = {ask.read.queue.keys.events for ask in some}
        try:
            return await self._door.ask_together(keys, commands)
        except SourceUnavailable:
            for portion in (self._jobs, self._logs, self._reader.portion):
                portion.shrink()
            raise


def _keep_hash(ask: _Ask, hashed: list[Reply], now: int) -> int:
    """Keep one job's hash; return how much it holds."""
    job = enrich.parse(hashed)
    ask.is_anothers = job is not None and _is_anothers(ask, job, now)
    job = ask.read.hashes[ask.job_id] = None if ask.is_anothers else job
    if job is None:
        return 0
    return len(job.data) + len(job.failed_reason or "") + (sum(map(len, job.stacks)) if job.stacks else 0)


def _is_anothers(ask: _Ask, job: JobHash, now: int) -> bool:
    """Whether the id was used again since: then the job of the batch is gone, and its log with it.

    Nothing is told of a job before it is added, but by clocks that differ; of a host that is ahead, less is certain.
    Numbers are BullMQ's own ids, and each is one job's.
    """
    if ask.added_at:
        return ask.added_at != job.added_at
    return not ask.job_id.isdecimal() and ask.since + SKEW_MS < job.added_at <= now


def _is_first_run(job: JobHash | None) -> bool:
    return job is not None and job.attempts_started == 1


def _asks(read: Read, reader: LogReader) -> list[_Ask]:
    """What to ask of each job of a batch that has more to tell, in the order of its entries."""
    queue, asks, jobs = read.queue, list[_Ask](), _look_at(read)
    is_lost = read.reading.lost > 0
    for job_id, since in jobs.asked.items():
        is_added = job_id in jobs.added
        with_data = is_added or job_id not in queue.memory
        # Of those whose beginning was not seen, each that moved back may have failed an attempt.
        with_lock = job_id in jobs.handed_back
        with_end = with_lock or job_id in jobs.failed or (not is_added and job_id in jobs.moved)
        hashed = enrich.commands(queue.keys, job_id, with_data=with_data, with_end=with_end, with_lock=with_lock)
        known = None if is_added or is_lost else queue.memory.known(job_id)
        added_at = known.added_at if known is not None and not known.is_doubted else 0
        ask = _Ask(read, job_id, hashed, [], since=since, added_at=added_at)
        has_begun = job_id in jobs.ran and not is_added
        is_again = job_id in jobs.retried or (has_begun and queue.tail.may_have_told(job_id))
        if is_again and job_id not in queue.tail:
            ask.logged = end_commands(queue.keys, job_id)
            if job_id not in jobs.retried:
                ask.if_first = reader.look(_NOT_TOLD, is_cut=True)
                ask.logged.append(read_command(queue.keys, job_id, ask.if_first))
        elif with_lock or job_id in jobs.ended:
            known = queue.memory.known(job_id)
            place = _NOT_TOLD if is_added else queue.tail.place(job_id)
            look = reader.look(place, is_cut=known is None or known.keeps_logs)
            ask.look, ask.logged = look, [read_command(queue.keys, job_id, look)]
        asks.append(ask)
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
    """Bytes, or characters, of some replies, none of them nested deeper than a list."""
    found = 0
    for reply in replies:
        if isinstance(reply, list):
            found += sum(map(len, filter(None, cast(list[bytes | str | None], reply))))
        elif isinstance(reply, bytes | str):
            found += len(reply)
    return found


@dataclass(slots=True)
class _Jobs:
    """The jobs of a batch by what its entries say of them.

    asked: those whose hash tells more, in the entries' order; with when the last that was added in the batch was, else
    its first entry, ms. ran: became active. ended: for good. moved: to a list where they wait, but not as what `added`
    began: so most jobs go. handed_back: those of them that may have run before. retried: by hand, in their first entry
    here.
    """

    asked: dict[str, int] = field(default_factory=dict[str, int])
    added: set[str] = field(default_factory=set[str])
    ran: set[str] = field(default_factory=set[str])
    ended: set[str] = field(default_factory=set[str])
    failed: set[str] = field(default_factory=set[str])
    moved: set[str] = field(default_factory=set[str])
    handed_back: set[str] = field(default_factory=set[str])
    retried: set[str] = field(default_factory=set[str])


def _look_at(read: Read) -> _Jobs:
    """One pass over a batch: most entries say little, and there are many."""
    jobs, seen = _Jobs(), set[str]()
    moved: list[str] = []
    for entry in read.entries:
        job_id, event = entry.job_id, entry.event
        if event in NEEDS_HASH and job_id:
            jobs.asked.setdefault(job_id, entry.ts)
            if event == "added":
                jobs.asked[job_id] = entry.ts
                jobs.added.add(job_id)
                jobs.retried.discard(job_id)
            elif event == "active":
                jobs.ran.add(job_id)
            elif event in FINAL:
                jobs.ended.add(job_id)
                if event == "failed":
                    jobs.failed.add(job_id)
            elif event in HANDED_BACK:
                if job_id in jobs.ran or job_id not in jobs.added:
                    moved.append(job_id)
                if event == "waiting" and job_id not in seen and entry.fields.get("prev") in FINAL:
                    jobs.retried.add(job_id)
        seen.add(job_id)
    for job_id in moved:
        was_active = _was_active(read, job_id)
        if was_active:
            jobs.retried.discard(job_id)
        if was_active or job_id in jobs.ran:
            jobs.handed_back.add(job_id)
    jobs.moved.update(moved)
    return jobs


def _was_active(read: Read, job_id: str) -> bool:
    known = read.queue.memory.known(job_id)
    return known is not None and known.is_active
