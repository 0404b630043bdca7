"""Rebuilds what a gap swallowed from what Redis still says of the jobs that ended in it (of others: present.py).

The events are gone, but a job that ended stands in `completed` or `failed`, scored by its end, until it is removed.
That time is the app host's clock, which may differ from Redis's: the search is SKEW_MS wider on both sides, and what
was told already (as Kafka holds it) is left out. Rebuilt records carry `rebuilt=true` and an identity of their own.
"""

from collections.abc import AsyncIterator, Sequence
from typing import cast

from bridge.redaction import redact
from bridge.sources.bullmq import enrich
from bridge.sources.bullmq.attempts import failure
from bridge.sources.bullmq.door import Command, Door, Refused, Reply
from bridge.sources.bullmq.enrich import SKEW_MS, JobHash, whole
from bridge.sources.bullmq.gaps.told import ENDS, Ended, Told
from bridge.sources.bullmq.jobs import MOST_JOBS, PIPELINE_BYTES, size_of
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.portions import Portion
from bridge.sources.bullmq.stream import Gap
from bridge.sources.bullmq.translate import LEVELS, STATES, Place, add_failure
from tocsin.events import JobEvent, Level, State

ENDS_A_READ = 5000


async def has_ends(door: Door, keys: Keys, gap: Gap) -> bool:
    """Whether any job of a queue may have ended in a gap: also if Redis refuses to count. Raises SourceUnavailable."""
    first, last = gap.start_ms - SKEW_MS, gap.end_ms + SKEW_MS
    commands: list[Command] = [("ZCOUNT", keys.of(event), first, last) for event in ENDS]
    counts = await door.ask(commands)
    door.say_any_refused(commands, counts, without="Kafka is read back for each gap, also where none ended")
    return any(isinstance(count, Refused) or count > 0 for count in counts)


async def ends_in(door: Door, keys: Keys, gap: Gap) -> AsyncIterator[list[Ended]]:
    """Yield the jobs of a queue that may have ended in a gap, page by page, oldest first of each final state.

    Raises SourceUnavailable.
    """
    last = gap.end_ms + SKEW_MS
    for event in ENDS:
        start, after = gap.start_ms - SKEW_MS, 0
        page: list[Ended] = []
        while after == 0 or len(page) == ENDS_A_READ:
            command = ("ZRANGEBYSCORE", keys.of(event), start, last, "WITHSCORES", "LIMIT", after, ENDS_A_READ)
            (reply,) = await door.ask([command])
            if isinstance(reply, Refused):
                door.say_refused("ZRANGEBYSCORE", reply, without=f"what {event} in a gap is not rebuilt")
                break
            page = _ends(event, cast(list[bytes], reply))
            if not page:
                break
            yield page
            # The next page begins at the last score seen, which several jobs may share.
            same = sum(ended.at == page[-1].at for ended in page)
            after = after + same if page[-1].at == start else same
            start = page[-1].at


async def rebuild(
    door: Door, place: Place, keys: Keys, epoch: int, ends: Sequence[Ended], told: Told, gap: Gap | None
) -> AsyncIterator[list[JobEvent]]:
    """Yield records of those ends nobody told of, page by page, in the order of `ends`. Raises SourceUnavailable.

    Before an end comes what of its job's life lay in the gap as well, as far as the hash tells: that it was added, and
    that its last run began.
    """
    portion = Portion(first=10, most=MOST_JOBS, wanted_bytes=PIPELINE_BYTES)
    done = 0
    while done < len(ends):
        page = ends[done : done + portion.count]
        replies = iter(await door.ask([command for ended in page for command in _commands(keys, ended.job_id)]))
        answers = [[next(replies) for _ in range(enrich.COMMANDS_PER_JOB + 1)] for _ in page]
        portion.learn([size_of(answer) for answer in answers])
        made: list[JobEvent] = []
        for ended, (*hashed, more) in zip(page, answers, strict=True):
            job = enrich.parse(hashed)
            if job is None:
                continue
            job_id = redact.identifier(ended.job_id)
            if gap is not None:
                made += _before(place, epoch, ended, job, more, told, gap)
            if not told.has_end(job_id, job.added_at, ended.event, ended.at):
                made.append(_event(place, epoch, ended, job, more))
            is_exhausted = ended.event == "failed" and job.attempts_made >= job.max_attempts
            if is_exhausted and not told.has_end(job_id, job.added_at, "retries-exhausted", ended.at):
                made.append(record(place, epoch, ended.job_id, job, "retries-exhausted", STATES["failed"], ended.at))
        yield made
        done += len(page)


def _ends(event: str, flat: Sequence[bytes]) -> list[Ended]:
    return [
        Ended(whole(score), job_id.decode(errors="replace"), event)
        for job_id, score in zip(flat[::2], flat[1::2], strict=True)
    ]


def _commands(keys: Keys, job_id: str) -> list[Command]:
    more: Command = ("HMGET", keys.job(job_id), "processedOn", "returnvalue", "progress")
    return [*enrich.commands(keys, job_id, with_data=True), more]


def record(
    place: Place,
    epoch: int,
    job_id: str,
    job: JobHash,
    event: str,
    state: State,
    at: int,
    *,
    attempt: int | None = None,
) -> JobEvent:
    """A rebuilt record of something that happened to a job at a time (ms), as far as its hash tells."""
    name = redact.identifier(job_id)
    attempt = job.attempts_made if attempt is None else attempt
    return place.record(
        event,
        epoch=epoch,
        tail=f"r:{name}:{job.added_at}:{event}:{at}:{attempt}",
        ts=at,
        level=LEVELS.get(state, Level.INFO),
        state=state,
        job_id=name,
        job_name=redact.name(job.name),
        added_at=job.added_at,
        attempt=attempt,
        max_attempts=job.max_attempts,
        parent=redact.identifier(job.parent),
        scheduler=redact.identifier(job.scheduler),
        trace_id=job.trace_id,
        rebuilt=True,
    )


def is_in(gap: Gap, ms: int) -> bool:
    """Whether a time by the app's clock may be in a gap."""
    return gap.start_ms - SKEW_MS <= ms <= gap.end_ms + SKEW_MS


def _before(place: Place, epoch: int, ended: Ended, job: JobHash, more: Reply, told: Told, gap: Gap) -> list[JobEvent]:
    made: list[JobEvent] = []
    name, started = redact.identifier(ended.job_id), _started(more)
    if is_in(gap, job.added_at) and not told.has(name, job.added_at, "added", 0):
        made.append(record(place, epoch, ended.job_id, job, "added", State.WAITING, job.added_at, attempt=0))
    if started and is_in(gap, started) and not told.has_end(name, job.added_at, "active", started):
        made.append(record(place, epoch, ended.job_id, job, "active", State.ACTIVE, started))
        made[-1].started_at, made[-1].worker = started, redact.text(job.worker, redact.NAME_BYTES)
    return made


def _started(more: Reply) -> int:
    return whole(values_of(more, 3)[0])


def values_of(reply: Reply, count: int) -> list[str]:
    """So many values of a hash; "" = it has none, or Redis refuses."""
    values = [None] * count if isinstance(reply, Refused) else cast(list[bytes | None], reply)
    return [(value or b"").decode(errors="replace") for value in values]


def stalls(job: JobHash) -> str:
    """How often a job's workers lost it, in words; "" = never. The times of it are gone."""
    return f"stalled {job.stalls} {'time' if job.stalls == 1 else 'times'} in all" if job.stalls else ""


def _event(place: Place, epoch: int, ended: Ended, job: JobHash, more: Reply) -> JobEvent:
    started, (_, result, progress) = _started(more), values_of(more, 3)
    made = record(place, epoch, ended.job_id, job, ended.event, STATES[ended.event], ended.at)
    made.prev = "active"
    made.data, made.progress = job.data, redact.json_text(progress)
    made.worker = redact.name(job.worker)
    made.started_at, made.ended_at = started or None, ended.at
    made.run_ms = max(0, ended.at - started) if started else None
    made.message = stalls(job)
    if ended.event == "completed":
        made.result = redact.json_text(result)
    else:
        add_failure(made, failure(job.attempts_made, job, job.failed_reason or ""))
    return made
