"""Rebuilds what a gap swallowed from what Redis still says of the jobs that ended in it (of others: present.py).

The events are gone, but a job that ended stands in `completed` or `failed`, scored by its end, until it is removed.
That time is the app host's clock, which may differ from Redis's: the search is SKEW_MS wider on both sides, and what
was told already (as Kafka holds it) is left out. Rebuilt records carry `rebuilt=true` and an identity of their own.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import cast

from bridge import redact
from bridge.sources.bullmq import enrich
from bridge.sources.bullmq.attempts import failure
from bridge.sources.bullmq.door import Command, Door, Refused, Reply
from bridge.sources.bullmq.enrich import JobHash, whole
from bridge.sources.bullmq.jobs import MOST_JOBS, PIPELINE_BYTES, size_of
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.portions import Portion
from bridge.sources.bullmq.stream import Gap
from bridge.sources.bullmq.told import ENDS, Told
from bridge.sources.bullmq.translate import LEVELS, STATES, Place, add_failure
from tocsin.events import JobEvent, Level, State

SKEW_MS = 2000
ENDS_A_READ = 5000


@dataclass(frozen=True, slots=True)
class Ended:
    """A job found in a final state. at: finishedOn, ms."""

    at: int
    job_id: str
    event: str


async def has_ends(door: Door, keys: Keys, gap: Gap) -> bool:
    """Whether any job of a queue may have ended in a gap. Raises SourceUnavailable."""
    first, last = gap.start_ms - SKEW_MS, gap.end_ms + SKEW_MS
    counts = await door.ask([("ZCOUNT", keys.of(event), first, last) for event in ENDS])
    return any(not isinstance(count, Refused) and count > 0 for count in counts)


async def ends_in(door: Door, keys: Keys, gap: Gap) -> AsyncIterator[list[Ended]]:
    """Yield the jobs of a queue that may have ended in a gap, page by page, oldest first of each final state.

    Raises SourceUnavailable.
    """
    last = gap.end_ms + SKEW_MS
    for event in ENDS:
        start, after = gap.start_ms - SKEW_MS, 0
        page: list[Ended] = []
        while after == 0 or len(page) == ENDS_A_READ:
            reply = await door.one(
                "ZRANGEBYSCORE", keys.of(event), start, last, "WITHSCORES", "LIMIT", after, ENDS_A_READ
            )
            page = _ends(event, cast(list[bytes], reply))
            if not page:
                break
            yield page
            # The next page begins at the last score seen, which several jobs may share.
            same = sum(ended.at == page[-1].at for ended in page)
            after = after + same if page[-1].at == start else same
            start = page[-1].at


async def rebuild(
    door: Door, place: Place, keys: Keys, epoch: int, ends: Sequence[Ended], told: Told
) -> AsyncIterator[list[JobEvent]]:
    """Yield records of those ends nobody told of, page by page, in the order of `ends`. Raises SourceUnavailable."""
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
            if not told.has(job_id, job.added_at, ended.event, job.attempts_made, ended.at):
                made.append(_event(place, epoch, ended, job, more))
            is_exhausted = ended.event == "failed" and job.attempts_made >= job.max_attempts
            if is_exhausted and not told.has(job_id, job.added_at, "retries-exhausted", job.attempts_made):
                made.append(record(place, epoch, ended.job_id, job, "retries-exhausted", STATES["failed"], ended.at))
        yield made
        done += len(page)


def _ends(event: str, flat: Sequence[bytes]) -> list[Ended]:
    return [
        Ended(whole(score), job_id.decode(errors="replace"), event)
        for job_id, score in zip(flat[::2], flat[1::2], strict=True)
    ]


def _commands(keys: Keys, job_id: str) -> list[Command]:
    more: Command = ("HMGET", keys.job(job_id), "processedOn", "returnvalue")
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


def _event(place: Place, epoch: int, ended: Ended, job: JobHash, more: Reply) -> JobEvent:
    values = [None, None] if isinstance(more, Refused) else cast(list[bytes | None], more)
    started, result = whole(values[0]), (values[1] or b"").decode(errors="replace")
    made = record(place, epoch, ended.job_id, job, ended.event, STATES[ended.event], ended.at)
    made.prev = "active"
    made.data = job.data
    made.worker = redact.name(job.worker)
    made.started_at, made.ended_at = started or None, ended.at
    made.run_ms = max(0, ended.at - started) if started else None
    if ended.event == "completed":
        made.result = redact.json_text(result)
    else:
        add_failure(made, failure(job.attempts_made, job, job.failed_reason or ""))
    return made
