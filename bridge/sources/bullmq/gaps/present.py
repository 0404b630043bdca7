"""Rebuilds what a gap swallowed of jobs that have not ended: that they were added, and where they are now.

What they passed through meanwhile is gone. They are found in the queue's lists, and asked for in one MULTI with the
stream: a job of which an unread entry speaks is left to that. What was told, as Kafka holds it, is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from bridge.redaction import redact
from bridge.sources.bullmq import enrich, wire
from bridge.sources.bullmq.door import Command, Door, Refused, Reply
from bridge.sources.bullmq.enrich import JobHash, whole
from bridge.sources.bullmq.gaps.rebuild import is_in, record, stalls, values_of
from bridge.sources.bullmq.gaps.told import Told
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.reconcile import standing
from bridge.sources.bullmq.reconcile.open_jobs import OpenJobs
from bridge.sources.bullmq.reconcile.standing import DUE_UNIT, PLACES, Standing
from bridge.sources.bullmq.stream import Gap, Position
from bridge.sources.bullmq.translate import Place
from tocsin.events import JobEvent, Level, State

MOST_PRESENT = 10_000
JOBS_A_QUESTION = 100
COMMANDS_PER_JOB = standing.COMMANDS_PER_JOB + enrich.COMMANDS_PER_JOB + 2

EVENTS = {
    "active": "active",
    "wait": "waiting",
    "paused": "waiting",
    "prioritized": "waiting",
    "delayed": "delayed",
    "waiting-children": "waiting-children",
}
"""BullMQ's word for what brought a job to a place."""

WITHOUT = "what a gap swallowed of jobs that have not ended is not rebuilt"


@dataclass(frozen=True, slots=True)
class Present:
    """A job as it is now. started, due: ms, 0 = unknown, or none. progress: the last it told, as JSON text."""

    job_id: str
    standing: Standing
    job: JobHash
    started: int
    due: int
    progress: str


async def find_present(door: Door, keys: Keys, jobs: OpenJobs) -> list[str]:
    """Jobs of which nothing is known here, that stand elsewhere than was told, or that run: what those did since.

    Raises SourceUnavailable.
    """
    commands = standing.inventory_commands(keys)
    replies = await door.ask(commands)
    found = standing.parse_inventory(replies)
    if found is None:
        door.say_any_refused(commands, replies, without=WITHOUT)
        return []
    elsewhere = [job_id for job_id in standing.suspects(jobs, found)[0] if found.place_of(job_id) is not None]
    running = [job_id for job_id in found.ids["active"] if (known := jobs.get(job_id)) and known.state is State.ACTIVE]
    return list(dict.fromkeys([*standing.strangers(jobs, found), *elsewhere, *running]))


async def rebuild_present(
    door: Door, place: Place, keys: Keys, position: Position, gap: Gap, ids: Sequence[str], jobs: OpenJobs, told: Told
) -> list[tuple[str, JobEvent]]:
    """Records of at most JOBS_A_QUESTION jobs, with the jobs' ids in Redis. position: the queue is read up to there.

    Raises Unread, and SourceUnavailable.
    """
    opening = wire.read_commands(keys.events, position, standing.ENTRIES_A_QUESTION)[:-1]
    asked = [command for job_id in ids for command in _commands(keys, job_id)]
    commands = [*opening, *standing.lists_commands(keys), *asked, ("EXEC",)]
    *queued, executed = await door.ask(commands)
    if isinstance(executed, Refused):
        door.say_any_refused(commands, [*queued, executed], without=WITHOUT)
        return []
    unread = standing.told_by(standing.unread_entries(position, cast(list[Reply], executed)))
    made: list[tuple[str, JobEvent]] = []
    for present in _parse(ids, cast(list[Reply], executed)[2:]):
        if present.job_id not in unread:
            made += [(present.job_id, event) for event in _events(place, position.epoch, gap, present, jobs, told)]
    return made


def _commands(keys: Keys, job_id: str) -> list[Command]:
    return [
        *standing.job_commands(keys, job_id),
        *enrich.commands(keys, job_id, with_data=True),
        ("HMGET", keys.job(job_id), "processedOn", "progress"),
        ("ZSCORE", keys.of("delayed"), job_id),
    ]


def _parse(page: Sequence[str], replies: Sequence[Reply]) -> list[Present]:
    lists = standing.parse_lists(replies[: len(standing.LISTS)])
    found: list[Present] = []
    for at, job_id in enumerate(page):
        start = len(standing.LISTS) + at * COMMANDS_PER_JOB
        mine = list(replies[start : start + COMMANDS_PER_JOB])
        where = standing.parse_job(job_id, mine[: standing.COMMANDS_PER_JOB], lists) if lists is not None else None
        job = enrich.parse(mine[standing.COMMANDS_PER_JOB : -2])
        if where is not None and job is not None:
            started, progress = values_of(mine[-2], 2)
            due = 0 if isinstance(mine[-1], Refused) else whole(mine[-1])
            found.append(Present(job_id, where, job, whole(started), due // DUE_UNIT, progress))
    return found


def _events(place: Place, epoch: int, gap: Gap, present: Present, jobs: OpenJobs, told: Told) -> list[JobEvent]:
    """What to tell of a job: that it was added, if that was in the gap, and where it is, if that is news."""
    known, job, job_id = jobs.get(present.job_id), present.job, redact.identifier(present.job_id)
    event = EVENTS.get(present.standing.place or "")
    if event is None:
        return []  # it has ended, or is nowhere: that is told in other ways
    is_added_in_gap = known is None and is_in(gap, job.added_at)
    made: list[JobEvent] = []
    if is_added_in_gap and not told.has(job_id, job.added_at, "added", 0):
        made.append(record(place, epoch, present.job_id, job, "added", State.WAITING, job.added_at, attempt=0))
        made[-1].data = job.data
    is_elsewhere = known is not None and present.standing.place not in PLACES[known.state]
    is_started_in_gap = event == "active" and is_in(gap, present.started)
    if known is not None and not is_elsewhere:
        is_started_in_gap &= not told.has_end(job_id, job.added_at, "active", present.started)
    attempt = job.attempts_made + (event == "active")
    if (is_added_in_gap or is_elsewhere or is_started_in_gap) and not told.has(job_id, job.added_at, event, attempt):
        since = job.added_at if is_added_in_gap and not job.attempts_made else gap.end_ms
        at = present.started if event == "active" and present.started else since
        state = standing.STATE_AT[cast(str, present.standing.place)]
        now = record(place, epoch, present.job_id, job, event, state, at, attempt=attempt)
        now.delay_until, now.progress = present.due or None, redact.json_text(present.progress)
        now.message = stalls(job)
        if event == "active":
            now.started_at = present.started or None
            now.worker = redact.name(job.worker)
        made.append(now)
    elif event == "active" and present.progress and not told.has(job_id, job.added_at, "progress", attempt):
        made.append(record(place, epoch, present.job_id, job, "progress", State.ACTIVE, gap.end_ms, attempt=attempt))
        made[-1].level, made[-1].progress = Level.DEBUG, redact.json_text(present.progress)
        made[-1].message = stalls(job)
    return made
