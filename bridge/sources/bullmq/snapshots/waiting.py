"""Since when the job waits that has waited longest: of all that the lane remembers, and those at the lists' ends.

A job waits from the moment it became ready: not while it was delayed, ran, or waited for its children. That moment is
its `waiting` event's. Where the lane does not know of one (it came before a restart, or was lost), the hash of a job
that was never tried tells when it was added and due; any other counts from when it was first seen to wait, which is
never too long, and grows for as long as the job starves.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from bridge.sources.bullmq.door import Command, Refused, Reply
from bridge.sources.bullmq.enrich import SKEW_MS, delay_of, whole
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.memory import QueueMemory

TAILS = 2
COMMANDS_PER_JOB = 2
FIELDS = ("timestamp", "opts", "ats", "atm", "attemptsMade", "stc", "processedOn", "finishedOn")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A job that may have waited longest. since, runs, added_at: as the lane remembers, 0 or None = it does not.

    is_there: Redis shows that it waits; else only the lane says so.
    """

    job_id: str
    is_there: bool = True
    since: int = 0
    runs: int | None = None
    added_at: int = 0


@dataclass(frozen=True, slots=True)
class Hashed:
    """What a job's hash says of its waiting, ms by the clock of the app's host.

    due_at: when it was to be ready. runs: how many began, None = unknown. started_at: the last of them, 0 = unknown.
    is_untried: it never ran, and had no children.
    """

    added_at: int
    due_at: int
    runs: int | None
    started_at: int
    is_untried: bool


Mark = tuple[int, int | None, int]
"""What stays the same while a job waits: a run changes it, and so does a new life."""


def tail_commands(keys: Keys) -> list[Command]:
    """TAILS commands: where workers take from the lists."""
    return [("LINDEX", keys.of(name), -1) for name in ("wait", "paused")]


def end_commands(keys: Keys, *, wait: int, paused: int, prioritized: int) -> list[Command]:
    """What else the ends hold, where there are so many jobs: those of least priority, too."""
    heads: list[Command] = [
        ("LINDEX", keys.of(name), 0) for name, count in (("wait", wait), ("paused", paused)) if count > 1
    ]
    return [*heads, *(("ZRANGE", keys.of("prioritized"), at, at) for at in (0, -1)[:prioritized])]


def at_ends(replies: Sequence[Reply]) -> list[str]:
    """The ids of the jobs there, each once."""
    found: dict[str, None] = {}
    for reply in replies:
        for raw in cast(list[Reply], reply) if isinstance(reply, list) else [reply]:
            if isinstance(raw, bytes) and not is_marker(raw):
                found[raw.decode(errors="replace")] = None
    return list(found)


def is_marker(reply: Reply) -> bool:
    """What BullMQ before 5 leaves at the end of an idle queue's list: it is no job."""
    return isinstance(reply, bytes) and reply.startswith(b"0:")


def job_commands(keys: Keys, job_id: str) -> list[Command]:
    """COMMANDS_PER_JOB commands."""
    key = keys.job(job_id)
    return [("HMGET", key, *FIELDS), ("EXISTS", *(f"{key}:{of}" for of in ("processed", "failed", "unsuccessful")))]


def parse_job(job_id: str, replies: Sequence[Reply]) -> Hashed | None:
    """Replies to `job_commands`; None if the job is gone, or has ended, or Redis refuses to say."""
    hashed, children = replies
    if isinstance(hashed, Refused):
        return None
    values = cast(list[bytes | None], hashed)
    added, options, started, made_v5, made_v4, stalls, began, ended = values
    if added is None or ended is not None:
        return None
    is_tried = any(map(whole, (started, made_v5, made_v4, stalls, began)))
    added_at, planned = whole(added), planned_for(job_id)
    return Hashed(
        added_at=added_at,
        due_at=max(added_at, planned) if planned else added_at + delay_of(options or b""),
        runs=whole(started) if started is not None or not is_tried else None,
        started_at=whole(began),
        is_untried=not is_tried and children == 0,
    )


def planned_for(job_id: str) -> int:
    """When a scheduler's job is to be ready, ms: `repeat:<scheduler>:<ms>`. 0 = it is none's."""
    head, _, planned = job_id.rpartition(":")
    return whole(planned) if head.startswith("repeat:") and planned.isdecimal() else 0


def ready_at(candidate: Candidate, job: Hashed, now: int) -> int | None:
    """When the job became ready, ms; None = nobody knows. now: Redis's clock."""
    if candidate.since and not _is_outdated(candidate, job):
        return candidate.since
    if candidate.is_there and job.is_untried and job.due_at <= now:  # what is not due was promoted, nobody knows when
        return job.due_at
    return None


def _is_outdated(candidate: Candidate, job: Hashed) -> bool:
    """Whether the job ran, or began another life, since what the lane has read."""
    if candidate.added_at and candidate.added_at != job.added_at:
        return True
    if candidate.runs is not None and job.runs is not None:
        return candidate.runs < job.runs
    return job.started_at > candidate.since + SKEW_MS


class Waits:
    """Of one source's queues in one partition; not for concurrent use. memories: by queue, they come and go."""

    def __init__(self, memories: Mapping[str, QueueMemory]) -> None:
        self._memories = memories
        self._seen: dict[str, dict[str, tuple[Mark, int]]] = {}

    def keep_only(self, queues: Container[str]) -> None:
        """The others are polled no more."""
        for queue in [queue for queue in self._seen if queue not in queues]:
            del self._seen[queue]

    def candidates(self, queue: str, ends: Sequence[Reply]) -> list[Candidate]:
        """The jobs to ask for. ends: what the lists hold there."""
        ids, memory = at_ends(ends), self._memories.get(queue)
        if memory is None:
            return [Candidate(job_id) for job_id in ids]
        longest = memory.longest_waiting
        more = [longest] if ids and longest is not None and longest not in ids else []
        return [_remembered(memory, job_id, is_there=job_id in ids) for job_id in (*ids, *more)]

    def longest(
        self, queue: str, candidates: Sequence[Candidate], hashes: Sequence[Hashed | None], now: int
    ) -> int | None:
        """Since when the job waits that has waited longest, ms; None = none of these waits. now: Redis's clock."""
        before, seen, times = self._seen.pop(queue, {}), dict[str, tuple[Mark, int]](), list[int]()
        for candidate, job in zip(candidates, hashes, strict=True):
            at = None if job is None else ready_at(candidate, job, now)
            if at is not None:
                times.append(at)
            elif job is not None and candidate.is_there:
                mark = job.added_at, job.runs, job.started_at
                known = before.get(candidate.job_id)
                seen[candidate.job_id] = known if known is not None and known[0] == mark else (mark, now)
            elif job is None and not candidate.is_there and queue in self._memories:
                self._memories[queue].wait_no_more(candidate.job_id)
        if seen:
            self._seen[queue] = seen
        return min([*times, *(at for _, at in seen.values())], default=None)


def _remembered(memory: QueueMemory, job_id: str, *, is_there: bool) -> Candidate:
    known = memory.waiting(job_id)
    if known is None:
        return Candidate(job_id, is_there)
    return Candidate(job_id, is_there, known.waiting_since, known.runs, known.added_at)
