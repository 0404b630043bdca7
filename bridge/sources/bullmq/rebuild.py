"""Rebuilds what a gap swallowed from what Redis still says of the jobs that ended in it (of others: present.py).

The events are gone, but a job that ended stands in `completed` or `failed`, scored by its end, until it is removed.
That time is the app host's clock, which may differ from Redis's: the search is SKEW_MS wider on both sides, and what
was told already (as Kafka holds it) is left out. Rebuilt records carry `rebuilt=true` and an identity of their own.
"""

from collections.abc import AsyncIterator, Collection, Sequence
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
from bridge.sources.bullmq.translate import LEVELS, STATES, Place, add_failure
from tocsin.events import VERSION, BadRecord, JobEvent, Level, State, decode

SKEW_MS = 2000
ENDS_A_READ = 5000
MOST_ENDS = 50_000

ENDS = ("completed", "failed")
Told = tuple[str, str, int]
"""Job id, event and attempt of a record that must not be told again."""

PRESENT = ("active", "delayed", "waiting", "waiting-children")
"""Events that are told again and again of a job: only those rebuilt once must not be rebuilt again."""

TELLING = (*ENDS, "retries-exhausted", "added")


@dataclass(frozen=True, slots=True)
class Ended:
    """A job found in a final state. at: finishedOn, ms."""

    at: int
    job_id: str
    event: str


_WORDS = [f'"event":"{event}"'.encode() for event in TELLING] + [b'"rebuilt":true']


def told_of(record: bytes) -> Told | None:
    """What a record of the jobs topic tells of, if that could be rebuilt."""
    if not any(word in record for word in _WORDS):
        return None  # most records, and quickly known
    try:
        event = decode(JobEvent, record)
    except BadRecord:
        return None  # another release's
    if event.event in TELLING or (event.rebuilt and event.event in PRESENT):
        return (event.job_id, event.event, event.attempt)
    return None


async def find_ends(door: Door, keys: Keys, gap: Gap) -> list[Ended]:
    """The jobs of a queue that may have ended in a gap, oldest first; of each state the newest MOST_ENDS.

    Raises SourceUnavailable.
    """
    found: set[Ended] = set()
    first, last = gap.start_ms - SKEW_MS, gap.end_ms + SKEW_MS
    for event in ENDS:
        count = cast(int, await door.one("ZCOUNT", keys.of(event), first, last))
        start, after = first, max(0, count - MOST_ENDS)
        while True:
            reply = await door.one(
                "ZRANGEBYSCORE", keys.of(event), start, last, "WITHSCORES", "LIMIT", after, ENDS_A_READ
            )
            page = _ends(event, cast(list[bytes], reply))
            found.update(page)
            if len(page) < ENDS_A_READ:
                break
            # The next page begins at the last score seen, which several jobs may share.
            start = page[-1].at
            after = sum(ended.at == start for ended in found if ended.event == event)
    return sorted(found, key=lambda ended: (ended.at, ended.job_id))


async def rebuild(
    door: Door, place: Place, keys: Keys, epoch: int, ends: Sequence[Ended], told: Collection[Told]
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
            if (job_id, ended.event, job.attempts_made) not in told:
                made.append(_event(place, epoch, ended, job, more))
            is_exhausted = ended.event == "failed" and job.attempts_made >= job.max_attempts
            if is_exhausted and (job_id, "retries-exhausted", job.attempts_made) not in told:
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
    return JobEvent(
        v=VERSION,
        id=place.identity(epoch, f"r:{name}:{job.added_at}:{event}:{at}:{attempt}"),
        ts=at,
        env=place.env,
        source=place.source,
        queue=place.queue,
        epoch=epoch,
        stream_id="",
        event=event,
        level=LEVELS.get(state, Level.INFO),
        state=state,
        job_id=name,
        job_name=redact.text(job.name, redact.NAME_BYTES),
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
    made.worker = redact.text(job.worker, redact.NAME_BYTES)
    made.started_at, made.ended_at = started or None, ended.at
    made.run_ms = max(0, ended.at - started) if started else None
    if ended.event == "completed":
        made.result = redact.json_text(result)
    else:
        add_failure(made, failure(job.attempts_made, job, job.failed_reason or ""))
    return made
