"""Which entries ended a run of a job, and as which attempt: pure.

One job id may have several lives in a few entries: it was removed and added again, or retried by hand with its attempts
reset. The hash tells of the last life only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from bridge.sources.bullmq.attempts import STALLED_TOO_OFTEN, Counted, End, count, is_the_next
from bridge.sources.bullmq.enrich import SKEW_MS, JobHash, whole
from bridge.sources.bullmq.memory import JobMemory, QueueMemory
from bridge.sources.bullmq.stream import Entry


class Run(msgspec.Struct, gc=False):
    """One run that ended. attempt: its number, or that of the attempt to come if it was none.

    made: attempts made after it. is_certain False: some of this is a guess. stacks_before: stacks in the hash before
    this attempt, when that is known and no other ended since.
    """

    end: End
    is_attempt: bool
    attempt: int
    made: int
    is_certain: bool = True
    stacks_before: int | None = None


MOVES = frozenset(
    {"added", "active", "waiting", "delayed", "waiting-children", "completed", "failed", "retries-exhausted"}
)
"""Events that a job's lives are told by."""

FROM_REST = frozenset({"delayed", "waiting-children"})
"""Where a job waited that is now in line: no run of it ended."""


@dataclass(slots=True)
class Runs:
    """By the entry's index: the runs that ended, and where a job's attempts were reset, those made so far.

    speaks_from: by job, the index from which its hash speaks, where that is not 0.
    """

    ended: dict[int, Run] = field(default_factory=dict[int, Run])
    reset: dict[int, Counted] = field(default_factory=dict[int, Counted])
    speaks_from: dict[str, int] = field(default_factory=dict[str, int])


class _Life(msgspec.Struct, gc=False):
    """A job from its first entry here, from `added`, or from a retry by hand; to the next of these.

    made: attempts made before it, began_before: runs that began before it; None = unknown. began: runs that began in
    it. goes_on: it counts on from the life before. was_open: a run that began before it ended in it. is_open: its last
    run did not end here. exhausted: attempts made as of its last end, which BullMQ itself told.
    """

    begins: int
    made: int | None
    began_before: int | None
    is_retry: bool = False
    goes_on: bool = False
    began: int = 0
    was_open: bool = False
    is_open: bool = False
    ends: list[tuple[int, End]] = []
    exhausted: int | None = None

    @property
    def is_blank(self) -> bool:
        """Whether nothing ended in it: when a job is added anew it needs no count."""
        return not self.ends and self.exhausted is None and not self.is_retry

    @property
    def ended_before(self) -> int | None:
        """Runs that ended before it; None = unknown."""
        return None if self.began_before is None else max(0, self.began_before - self.was_open)

    def end(self, at: int, end: End) -> None:
        """Its run ended at this entry."""
        self.was_open |= not self.began and not self.ends and end is not End.UNSTARTED
        self.ends.append((at, end))
        self.is_open, self.exhausted = False, None

    def join(self, later: "_Life") -> None:
        """Go on with the entries of a later life."""
        self.ends += later.ends
        self.began += later.began
        self.is_open, self.exhausted = later.is_open, later.exhausted


def find_runs(entries: Sequence[Entry], hashes: Mapping[str, JobHash | None], memory: QueueMemory) -> Runs:
    """Find the entries that end a run and count each job's attempts through them.

    Where the memory did not know what was made before the first of them, it does so afterwards.
    """
    runs = Runs()
    for job_id, lives in _lives(entries, hashes, memory).items():
        known, job = memory.known(job_id), hashes.get(job_id)
        if len(lives) > 1:
            lives = _join_retries(lives, job)
        elif lives[0].made == 0 and lives[0].is_blank:
            if lives[0].begins:
                runs.speaks_from[job_id] = lives[0].begins
            continue  # begun and not ended: there is nothing to count
        elif (found := _only_run(lives[0], entries, job, known)) is not None:
            runs.ended[lives[0].ends[0][0]] = found
            if lives[0].begins:
                runs.speaks_from[job_id] = lives[0].begins
            continue
        if begins := [life.begins for life in lives if not life.goes_on][-1]:
            runs.speaks_from[job_id] = begins
        for life in lives:
            counted = _count(life, entries, job if life is lives[-1] else None, known)
            if life is lives[0] and life.made != 0 and (life.ends or counted.is_before_known):
                _correct(memory.job(job_id), life, counted)
            if life.is_retry:
                runs.reset[life.begins] = counted
            runs.ended.update(_numbered(life, counted, known))
    return runs


def _only_run(life: _Life, entries: Sequence[Entry], job: JobHash | None, known: JobMemory | None) -> Run | None:
    """The only run of a job's only life, if it surely was the attempt after those made before: most are such."""
    made = life.made
    if made is None or len(life.ends) != 1 or life.exhausted is not None or life.is_retry:
        return None
    _, end = life.ends[0]
    if job is None:
        is_next = is_the_next(end, made, None, 0)
    else:
        made = 0 if life.began_before == 0 else made
        is_next = is_the_next(end, made, job.attempts_made, _later(life, entries, job))
    if not is_next:
        return None
    if life.made and known is not None:
        known.attempts_made, known.is_guess, known.runs = made, False, life.began_before
    return Run(end, True, made + 1, made + 1, True, _stacks_before(life, known))


def _correct(known: JobMemory, life: _Life, counted: Counted) -> None:
    """What the hash says of the time before these entries."""
    known.attempts_made, known.is_guess = counted.before, not counted.is_before_known
    known.runs = life.began_before


def _lives(
    entries: Sequence[Entry], hashes: Mapping[str, JobHash | None], memory: QueueMemory
) -> dict[str, list[_Life]]:
    found: dict[str, list[_Life]] = {}
    seen: set[str] = set()
    for at, entry in enumerate(entries):
        job_id, event = entry.job_id, entry.event
        if event == "progress":
            continue
        if event not in MOVES or not job_id:
            seen.add(job_id)
            continue
        lives = found.get(job_id)
        if event == "added":
            life = _Life(at, made=0, began_before=0)
            if lives is None or lives[-1].is_blank:
                found[job_id] = [*(lives or ())[:-1], life]
            else:
                lives.append(life)
            continue
        is_stranger = lives is None
        if lives is None:
            known = memory.known(job_id)
            is_stranger = job_id not in seen and (known is None or known.is_doubted)
            lives = found[job_id] = [_first_life(known)]
        prev = entry.fields.get("prev")
        life = lives[-1]
        if event == "active":
            life.is_open = True
            life.began += 1
        elif event == "waiting-children":
            life.is_open = False
        elif event == "waiting" and prev in ("failed", "completed") and not life.is_open:
            lives.append(_Life(at, made=None, began_before=None, is_retry=True))
        elif event == "retries-exhausted":
            life.exhausted = whole(entry.fields.get("attemptsMade")) or None
        elif end := _end(entries, at, is_active=life.is_open or (is_stranger and _has_failed(hashes.get(job_id)))):
            life.end(at, end)
    return found


def _first_life(known: JobMemory | None) -> _Life:
    if known is None:
        return _Life(0, made=None, began_before=None)
    return _Life(0, made=known.attempts_known, began_before=known.runs, is_open=known.is_active)


def _end(entries: Sequence[Entry], at: int, *, is_active: bool) -> End | None:
    entry = entries[at]
    match entry.event:
        case "completed":
            return End.COMPLETED
        case "failed":
            return _failed(entry)
        case "delayed" if is_active:
            return End.TO_DELAYED
        case "waiting" if entry.fields.get("prev") in FROM_REST:
            return None
        case "waiting" if is_active or entry.fields.get("prev") == "active":
            return _to_waiting(entries, at)
        case _:
            return None


def _failed(entry: Entry) -> End:
    """BullMQ 5.40 and older: the stall checker writes `prev` before the reason, and nobody else writes active there."""
    prev, reason = entry.fields.get("prev"), entry.fields.get("failedReason")
    if prev == "waiting-children":
        return End.UNSTARTED
    names = list(entry.fields)
    if prev == "active" and reason == STALLED_TOO_OFTEN and names.index("prev") < names.index("failedReason"):
        return End.STALLED_OUT
    return End.FAILED


def _to_waiting(entries: Sequence[Entry], at: int) -> End:
    """BullMQ 5.40 and older: a retry says failed, what its processor handed back says nothing."""
    prev = entries[at].fields.get("prev")
    following = entries[at + 1] if at + 1 < len(entries) else None
    if following is not None and following.event == "stalled" and following.job_id == entries[at].job_id:
        return End.STALLED
    return {"failed": End.RETRIED, None: End.HANDED_BACK}.get(prev, End.TO_WAITING)


def _has_failed(job: JobHash | None) -> bool:
    """A job we know nothing of and whose first sign is a delay: after a failure it is that attempt's end."""
    return job is not None and job.attempts_made > 0 and bool(job.stacks)


def _join_retries(lives: list[_Life], job: JobHash | None) -> list[_Life]:
    """A retry by hand goes on counting: one life with the one before, unless the hash shows that it was reset."""
    joined: list[_Life] = []
    for life in lives:
        before = joined[-1] if joined else None
        if life.is_retry and before is not None and not _was_reset(before, life, job):
            if before.exhausted is None:
                before.join(life)
                continue
            life.made, life.goes_on = before.exhausted, True
            life.began_before = None if before.began_before is None else before.began_before + before.began
            joined.append(life)
        elif before is not None and not before.ends and before.exhausted is None and life.made == 0:
            joined[-1] = life  # nothing ended in the life before: it needs no count
        else:
            joined.append(life)
    return joined


def _was_reset(before: _Life, retried: _Life, job: JobHash | None) -> bool:
    if job is None:
        return False
    surely = sum(end.is_attempt for _, end in before.ends)
    after = sum(end.may_be_attempt(job.waits_to_retry) for _, end in retried.ends)
    return (before.made or 0) + surely + after > job.attempts_made


def _count(life: _Life, entries: Sequence[Entry], job: JobHash | None, known: JobMemory | None) -> Counted:
    ends = [end for _, end in life.ends]
    waits = job.waits_to_retry if job is not None else known.waits_to_retry if known is not None else None
    is_every_run_counted = job is not None and job.is_every_run_counted
    if life.exhausted is not None:
        return count(
            ends,
            before=life.made,
            now=life.exhausted,
            waits_to_retry=waits,
            is_every_run_counted=is_every_run_counted,
        )
    if job is None:
        counted = count(ends, before=life.made, now=None, waits_to_retry=waits)
        if life.made is None and known is not None and known.attempts_made is not None:
            counted.before = known.attempts_made  # a guess is the best that can be said
        return counted
    later = _later(life, entries, job)
    later_made = int(_was_ended_by_attempt(job) and not (ends and ends[-1].is_final))
    return count(
        ends,
        before=0 if life.ended_before == 0 else life.made,
        now=job.attempts_made,
        waits_to_retry=waits,
        later=later,
        later_made=later if later is not None and is_every_run_counted and not job.stalls else later_made,
        is_every_run_counted=is_every_run_counted,
    )


def _was_ended_by_attempt(job: JobHash) -> bool:
    """Whether BullMQ surely counted the run a job finished in: not the stall checker, nor a child, ended it."""
    if job.is_completed or not job.finished_on:
        return job.is_completed
    reason = job.failed_reason or "child"
    return reason != STALLED_TOO_OFTEN and not reason.startswith("child")


def _later(life: _Life, entries: Sequence[Entry], job: JobHash) -> int | None:
    """How many runs may have ended after this life's last entry and before its hash was read; None = unknown.

    Where it was unknown how many began before this life, that is known afterwards.
    """
    started = job.attempts_started
    if started is None:
        return 0 if _is_its_end(life, entries, job) else None
    if life.began_before is None:
        if life.began == started:
            life.began_before = 0
        elif _is_its_end(life, entries, job):
            life.began_before = max(0, started - life.began)
    if life.began_before is None:
        return None
    later = started - life.began_before - life.began + life.is_open - job.is_running
    return later if later >= 0 else None


def _is_its_end(life: _Life, entries: Sequence[Entry], job: JobHash) -> bool:
    """Whether the hash is of a job that finished at this life's last end, as far as two clocks tell."""
    if not life.ends or life.is_open or not life.ends[-1][1].is_final:
        return False
    return abs(job.finished_on - entries[life.ends[-1][0]].ts) <= SKEW_MS


def _numbered(life: _Life, counted: Counted, known: JobMemory | None) -> dict[int, Run]:
    made = counted.before
    is_alone = sum(counted.are_attempts) == 1
    stacks = _stacks_before(life, known)
    numbered: dict[int, Run] = {}
    for (at, end), is_attempt, is_certain in zip(life.ends, counted.are_attempts, counted.are_certain, strict=True):
        attempt = made if end is End.UNSTARTED else made + 1
        made += is_attempt
        numbered[at] = Run(end, is_attempt, attempt, made, is_certain, stacks if is_alone else None)
    return numbered


def _stacks_before(life: _Life, known: JobMemory | None) -> int | None:
    """How many stacks a job's hash held before this life; None = unknown."""
    return known.stacks if known is not None and not life.begins else 0 if life.made == 0 else None
