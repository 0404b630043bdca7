"""Which jobs a request is about, and the state each is found in: plain reads by the reading connection."""

from collections.abc import AsyncIterator, Sequence
from typing import cast

from bridge.actions.claims import stamp_of
from bridge.actions.family import Objection, objection_to, parents_among
from bridge.actions.request import LONGEST_ID, MOST_MATCHING, ActionRefused, ActionRequest, Filter, QueueNow
from bridge.errors import SourceUnavailable
from bridge.redaction import redact
from bridge.sources.bullmq import enrich
from bridge.sources.bullmq.attempts import failure
from bridge.sources.bullmq.door import Command, Door, Refused, Reply
from bridge.sources.bullmq.enrich import JobHash
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.snapshots.waiting import is_marker
from bridge.sources.bullmq.translate import add_failure
from tocsin.events import VERSION, JobEvent, JobOutcome, Outcome, PlannedJob

JOBS_A_READ = 500
HASHES_A_READ = 50
"""A hash may hold megabytes of stacks."""
MOST_EXAMINED = 100_000

Failed = list[tuple[str, str]]
"""Job id, and the score it has among the failed."""


async def plan(door: Door, keys: Keys, request: ActionRequest, objects: Objection) -> list[PlannedJob]:
    """Every job the request is about, each with its stamp or with why it will not be acted on.

    objects: asked of the other queues that a removal would reach.
    Raises ActionRefused if there are too many, SourceUnavailable if Redis does not answer.
    """
    if request.filter is not None:
        return await _matching(door, keys, request.filter)
    job_ids = list(dict.fromkeys(request.job_ids or ()))
    planned: list[PlannedJob] = []
    for at in range(0, len(job_ids), JOBS_A_READ):
        found = await _found(door, keys, request.action, job_ids[at : at + JOBS_A_READ])
        planned += await _spared(door, keys, found, objects) if request.action == "remove" else found
    return planned


async def count(door: Door, keys: Keys, wanted: Filter) -> int:
    """How many failed jobs match, however many; of more than MOST_EXAMINED some may be gone, all but their ids."""
    if not wanted.needs_hash and (listed := await _listed(door, keys, wanted)) > MOST_EXAMINED:
        return listed
    await _refuse_too_many_to_examine(door, keys, wanted)
    return len({job_id async for page in _match_pages(door, keys, wanted) for job_id, _ in page})


async def queue_now(door: Door, keys: Keys) -> QueueNow:
    """The queue as it is at this moment. Raises SourceUnavailable."""
    lists: list[Command] = [("LLEN", keys.of(name)) for name in ("wait", "paused", "active")]
    ends: list[Command] = [("LINDEX", keys.of(name), -1) for name in ("wait", "paused")]
    replies = await door.ask([*lists, ("ZCARD", keys.of("prioritized")), *ends])
    if refused := [reply for reply in replies if isinstance(reply, Refused)]:
        raise SourceUnavailable(f"counting the jobs of {keys.queue} was refused: {refused[0]}")
    waiting, paused, active, prioritized = cast(list[int], replies[:4])
    return QueueNow(waiting=waiting + paused + prioritized - sum(map(is_marker, replies[4:])), active=active)


async def _matching(door: Door, keys: Keys, wanted: Filter) -> list[PlannedJob]:
    await _refuse_too_many_to_examine(door, keys, wanted)
    planned: dict[str, PlannedJob] = {}
    async for page in _match_pages(door, keys, wanted):
        planned |= {job_id: _stamped(job_id, stamp_of(score)) for job_id, score in page}
        if len(planned) > MOST_MATCHING:
            total = await count(door, keys, wanted)
            raise ActionRefused(
                422,
                "too_many",
                f"{total} failed jobs match, and one request acts on {MOST_MATCHING} at most",
                mend="narrow the filter by from and to, or send several requests one after another",
            )
    return list(planned.values())


async def _refuse_too_many_to_examine(door: Door, keys: Keys, wanted: Filter) -> None:
    """Reading the hashes of a million jobs to find ten is no answer at 3 a.m."""
    if not wanted.needs_hash:
        return
    if (examined := await _listed(door, keys, wanted)) > MOST_EXAMINED:
        raise ActionRefused(
            422,
            "too_many",
            f"{examined} failed jobs would have to be looked at, {MOST_EXAMINED} at most are",
            mend="narrow the filter by from and to",
        )


async def _listed(door: Door, keys: Keys, wanted: Filter) -> int:
    """How many ids the failed jobs of the filter's time are."""
    return cast(int, await door.one("ZCOUNT", keys.of("failed"), *_range(wanted)))


async def _match_pages(door: Door, keys: Keys, wanted: Filter) -> AsyncIterator[Failed]:
    async for page in _failed(door, keys, wanted):
        if not wanted.needs_hash:
            exist = await door.ask([("EXISTS", keys.job(job_id)) for job_id, _ in page])
            if refused := [reply for reply in exist if isinstance(reply, Refused)]:
                raise SourceUnavailable(f"looking at the jobs of {keys.queue} was refused: {refused[0]}")
            yield [one for one, exists in zip(page, exist, strict=True) if exists]
            continue
        for at in range(0, len(page), HASHES_A_READ):
            some = page[at : at + HASHES_A_READ]
            commands = [enrich.commands(keys, job_id, with_data=False) for job_id, _ in some]
            replies = await door.ask([command for both in commands for command in both])
            hashes = [enrich.parse(list(pair)) for pair in zip(replies[::2], replies[1::2], strict=True)]
            yield [one for one, job in zip(some, hashes, strict=True) if job and _matches(keys.queue, job, wanted)]


async def _failed(door: Door, keys: Keys, wanted: Filter) -> AsyncIterator[Failed]:
    """The failed jobs of the filter's time, oldest first, page by page, although others leave the set.

    A job that is retried and fails again meanwhile is met twice, with two scores.
    """
    start, last = _range(wanted)
    known = set[str]()  # at the score the next page begins with, which several jobs may share
    while True:
        limit = JOBS_A_READ + len(known)
        reply = await door.one("ZRANGEBYSCORE", keys.of("failed"), start, last, "WITHSCORES", "LIMIT", 0, limit)
        flat = [part.decode(errors="replace") for part in cast(list[bytes], reply)]
        found = list(zip(flat[::2], flat[1::2], strict=True))
        yield [one for one in found if one[0] not in known]
        if len(found) < limit:
            return
        if found[-1][1] != start:
            start, known = found[-1][1], set[str]()
        known |= {job_id for job_id, score in found if score == start}


def _range(wanted: Filter) -> tuple[str, str]:
    first, last = wanted.first_ms, wanted.last_ms
    return "-inf" if first is None else str(first), "+inf" if last is None else str(last)


def _matches(queue: str, job: JobHash, wanted: Filter) -> bool:
    if wanted.name is not None and wanted.name not in (job.name, redact.name(job.name)):
        return False
    return wanted.fingerprint is None or fingerprint_of(queue, job) == wanted.fingerprint


def fingerprint_of(queue: str, job: JobHash) -> str:
    """The fingerprint that the job's `failed` record has in Kafka."""
    record = JobEvent(v=VERSION, id="", ts=0, env="", source="", queue=queue, epoch=0, stream_id="", event="failed")
    record.job_name = redact.name(job.name)
    add_failure(record, failure(max(1, job.attempts_made), job, job.failed_reason or ""))
    return record.fingerprint


async def _found(door: Door, keys: Keys, action: str, job_ids: Sequence[str]) -> list[PlannedJob]:
    """These jobs as they are now."""
    replies = await door.ask([command for job_id in job_ids for command in _commands(keys, action, job_id)])
    replies = [_unless_no_job(keys, reply) for reply in replies]
    each = [replies[at : at + 3] for at in range(0, len(replies), 3)]
    if action == "remove":
        return [_removable(job_id, *three) for job_id, three in zip(job_ids, each, strict=True)]
    wrong = Outcome.NOT_FAILED if action == "retry" else Outcome.NOT_DELAYED
    return [_in_state(job_id, wrong, *three) for job_id, three in zip(job_ids, each, strict=True)]


async def _spared(door: Door, keys: Keys, found: list[PlannedJob], objects: Objection) -> list[PlannedJob]:
    """The same, without those whose removal would reach where nothing may be removed."""
    with_children = await parents_among(door, keys, [job.job_id for job in found if job.outcome is None])
    whys = {job_id: await objection_to(door, keys, job_id, objects) for job_id in with_children}
    return [_decided(job.job_id, Outcome.REFUSED, why) if (why := whys.get(job.job_id)) else job for job in found]


def _unless_no_job(keys: Keys, reply: Reply) -> Reply:
    """A reply, nothing where the id is another key's of the queue: `wait` is a list. Raises SourceUnavailable."""
    if not isinstance(reply, Refused):
        return reply
    if str(reply).startswith("WRONGTYPE"):
        return None
    raise SourceUnavailable(f"reading the jobs of {keys.queue} was refused: {reply}")


def _commands(keys: Keys, action: str, job_id: str) -> list[Command]:
    key = keys.job(job_id)
    if action == "remove":
        scheduled = job_id.rpartition(":")[0].removeprefix("repeat:")
        return [("HMGET", key, "timestamp", "rjk"), ("EXISTS", f"{key}:lock"), ("ZSCORE", keys.of("repeat"), scheduled)]
    state = "failed" if action == "retry" else "delayed"
    return [("ZSCORE", keys.of(state), job_id), ("EXISTS", key), ("EXISTS", f"{key}:lock")]


def _in_state(job_id: str, wrong: Outcome, score: Reply, exists: Reply, _: Reply) -> PlannedJob:
    if not exists:
        return _decided(job_id, Outcome.GONE)
    return _decided(job_id, wrong) if score is None else _stamped(job_id, stamp_of(cast(bytes, score).decode()))


def _removable(job_id: str, fields: Reply, is_locked: Reply, next_run: Reply) -> PlannedJob:
    added, scheduler = cast(list[bytes | None], fields or [None, None])
    if added is None:
        return _decided(job_id, Outcome.GONE)
    if is_locked:
        return _decided(job_id, Outcome.REFUSED, "a worker is at it")
    if scheduler is not None and next_run is not None and job_id.endswith(f":{next_run.decode()}"):
        return _decided(job_id, Outcome.REFUSED, "it is the next run of a job scheduler")
    return _stamped(job_id, added.decode(errors="replace"))


def _stamped(job_id: str, stamp: str) -> PlannedJob:
    if len(job_id) > LONGEST_ID:
        return _decided(job_id[:LONGEST_ID], Outcome.REFUSED, "its id is too long")
    return PlannedJob(job_id=job_id, stamp=stamp)


def _decided(job_id: str, outcome: Outcome, message: str = "") -> PlannedJob:
    return PlannedJob(job_id=job_id, outcome=JobOutcome(job_id=job_id, outcome=outcome, message=message))
