"""Which entries ended a run of a job, and as which attempt: pure.

One job id may have several lives in a few entries: it was removed and added again, or retried by hand with its attempts
reset. The hash tells of the last life only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge.sources.bullmq.attempts import Counted, End, count
from bridge.sources.bullmq.enrich import JobHash, whole
from bridge.sources.bullmq.memory import JobMemory, QueueMemory
from bridge.sources.bullmq.stream import Entry


@dataclass(frozen=True, slots=True)
class Run:
    """One run that ended. attempt: its number, or that of the attempt to come if it was none.

    stacks_before: stacks in the hash before this attempt, when that is known and no other ended since.
    """

    end: End
    is_attempt: bool
    attempt: int
    is_certain: bool = True
    stacks_before: int | None = None


@dataclass(slots=True)
class Runs:
    """By the entry's index: the runs that ended, and where a job's attempts were reset, those made so far.

    speaks_from: by job, the index from which its hash speaks, where that is not 0.
    """

    ended: dict[int, Run] = field(default_factory=dict[int, Run])
    reset: dict[int, int] = field(default_factory=dict[int, int])
    speaks_from: dict[str, int] = field(default_factory=dict[str, int])


@dataclass(slots=True)
class _Life:
    """A job from its first entry here, from `added`, or from a retry by hand; to the next of these."""

    begins: int
    made: int | None
    is_retry: bool = False
    ends: list[tuple[int, End]] = field(default_factory=list[tuple[int, End]])
    exhausted: int | None = None


def find_runs(entries: Sequence[Entry], hashes: Mapping[str, JobHash | None], memory: QueueMemory) -> Runs:
    """Find the entries that end a run and count each job's attempts through them.

    Where the memory did not know what was made before the first of them, it does so afterwards.
    """
    runs = Runs()
    for job_id, lives in _lives(entries, hashes, memory).items():
        known, job = memory.known(job_id), hashes.get(job_id)
        lives = _join_retries(lives, job)
        if lives[-1].begins:
            runs.speaks_from[job_id] = lives[-1].begins
        for life in lives:
            counted = _count(life, job if life is lives[-1] else None, known)
            if life is lives[0] and life.ends and life.made != 0:
                memory.job(job_id).attempts_made = counted.before
            if life.is_retry:
                runs.reset[life.begins] = counted.before
            runs.ended.update(_numbered(life, counted, known))
    return runs


def _lives(
    entries: Sequence[Entry], hashes: Mapping[str, JobHash | None], memory: QueueMemory
) -> dict[str, list[_Life]]:
    found: dict[str, list[_Life]] = {}
    active: dict[str, bool] = {}
    for at, entry in enumerate(entries):
        job_id, event, prev = entry.job_id, entry.event, entry.fields.get("prev")
        if not job_id:
            continue
        if is_stranger := job_id not in found:
            known = memory.known(job_id)
            is_stranger = known is None or known.is_doubted
            active[job_id] = known is not None and known.is_active
            found[job_id] = [_Life(0, known.attempts_made if known is not None else None)]
        lives = found[job_id]
        if event == "added":
            lives.append(_Life(at, 0))
            active[job_id] = False
        elif event == "active":
            active[job_id] = True
        elif event == "waiting" and prev in ("failed", "completed") and not active[job_id]:
            lives.append(_Life(at, None, is_retry=True))
        elif event == "retries-exhausted":
            lives[-1].exhausted = whole(entry.fields.get("attemptsMade")) or None
        elif end := _end(entries, at, is_active=active[job_id] or (is_stranger and _has_failed(hashes.get(job_id)))):
            lives[-1].ends.append((at, end))
            active[job_id] = False
    return found


def _end(entries: Sequence[Entry], at: int, *, is_active: bool) -> End | None:
    entry = entries[at]
    match entry.event:
        case "completed":
            return End.COMPLETED
        case "failed":
            return End.FAILED
        case "delayed" if is_active:
            return End.TO_DELAYED
        case "waiting" if is_active or entry.fields.get("prev") == "active":
            following = entries[at + 1] if at + 1 < len(entries) else None
            is_stall = following is not None and following.event == "stalled" and following.job_id == entry.job_id
            return End.STALLED if is_stall else End.TO_WAITING
        case _:
            return None


def _has_failed(job: JobHash | None) -> bool:
    """A job we know nothing of and whose first sign is a delay: after a failure it is that attempt's end."""
    return job is not None and job.attempts_made > 0 and bool(job.stacks)


def _join_retries(lives: list[_Life], job: JobHash | None) -> list[_Life]:
    """A retry by hand goes on counting: one life with the one before, unless the hash shows that it was reset."""
    joined: list[_Life] = []
    for life in lives:
        before = joined[-1] if joined else None
        if life.is_retry and before is not None and not _was_reset(before, life, job):
            before.ends += life.ends
            before.exhausted = life.exhausted
        elif before is not None and not before.ends and before.exhausted is None and life.made == 0:
            joined[-1] = life  # nothing ended in the life before: it needs no count
        else:
            joined.append(life)
    return joined


def _was_reset(before: _Life, retried: _Life, job: JobHash | None) -> bool:
    if job is None:
        return False
    surely = sum(end.is_final for _, end in before.ends)
    after = sum(end.may_be_attempt(job.waits_to_retry) for _, end in retried.ends)
    return (before.made or 0) + surely + after > job.attempts_made


def _count(life: _Life, job: JobHash | None, known: JobMemory | None) -> Counted:
    waits = job.waits_to_retry if job is not None else known.waits_to_retry if known is not None else None
    now = job.attempts_made if job is not None else life.exhausted
    return count([end for _, end in life.ends], before=life.made, now=now, waits_to_retry=waits)


def _numbered(life: _Life, counted: Counted, known: JobMemory | None) -> dict[int, Run]:
    number = counted.before
    is_alone = sum(counted.are_attempts) == 1
    stacks = known.stacks if known is not None and not life.begins else 0 if life.made == 0 else None
    numbered: dict[int, Run] = {}
    for (at, end), is_attempt in zip(life.ends, counted.are_attempts, strict=True):
        is_certain = counted.is_certain or end.is_final or not end.may_be_attempt(None)
        numbered[at] = Run(end, is_attempt, number + 1, is_certain, stacks if is_alone else None)
        number += is_attempt
    return numbered
