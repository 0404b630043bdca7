"""A queue's counts by plain commands (BullMQ's own getters are scripts, which may write), and its longest jobs.

COMMANDS_PER_QUEUE commands in one pipeline. Where jobs wait or run, two more pipelines: what else stands at the ends of
the lists (four commands at most), then two for each job that may have waited longest (seven at most: waiting.py), and
JOB_COMMANDS of the job that runs longest. A poll of 1,250 queues cost Valkey 9 some 14 ms of CPU, 250 of them busy, and
that of their schedulers 5 ms: together, every 5 s, 0.4 % of a core.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import cast

from bridge.errors import SourceUnavailable
from bridge.redaction import redact
from bridge.sources.bullmq.door import Command, Door, Refused, Reply, is_about_key
from bridge.sources.bullmq.enrich import whole
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.reconcile.standing import DUE_UNIT
from bridge.sources.bullmq.snapshots import waiting
from bridge.sources.bullmq.snapshots.waiting import Waits, is_marker
from bridge.sources.bullmq.snapshots.workers import Workers
from bridge.sources.bullmq.translate import Place
from tocsin.events import VERSION, QueueSnapshot

LISTS = ("wait", "paused", "active")
SETS = ("delayed", "prioritized", "waiting-children", "completed", "failed")
COUNTS = 1 + len(LISTS) + len(SETS)
"""Replies without which there is no snapshot; a refused one of the others leaves a field unknown."""
COMMANDS_PER_QUEUE = COUNTS + waiting.TAILS + 4
QUEUES_A_PIPELINE = 100
JOB_COMMANDS = 3

OVERDUE_MS = 5000
"""A worker needs a moment to move what is due; this late, nobody does."""
BLOCKED_BY_HAND = 2**53 - 1
"""What BullMQ's own `rateLimit` writes as the number of jobs begun."""


@dataclass(frozen=True, slots=True)
class Active:
    """The job that runs longest. started_at: by its host's clock, 0 = unknown."""

    job_id: str
    name: str
    started_at: int
    is_locked: bool


@dataclass(frozen=True, slots=True)
class Looks:
    """What the second pipeline brought. waiting_since: see waiting.py, ms."""

    waiting_since: int | None = None
    active: Active | None = None


def commands(keys: Keys, now_ms: int) -> list[Command]:
    """COMMANDS_PER_QUEUE commands. now_ms: Redis's clock."""
    return [
        ("HMGET", keys.meta, "paused", "opts.maxLenEvents", "version", "concurrency", "max", "duration"),
        *(("LLEN", keys.of(name)) for name in LISTS),
        *(("ZCARD", keys.of(name)) for name in SETS),
        *waiting.tail_commands(keys),
        ("LINDEX", keys.of("active"), -1),
        ("ZCOUNT", keys.of("delayed"), "-inf", (now_ms - OVERDUE_MS) * DUE_UNIT),
        ("GET", keys.of("limiter")),
        ("PTTL", keys.of("limiter")),
    ]


def longest_active(replies: Sequence[Reply]) -> str | None:
    """The id of the job that was begun first of those active: the list's tail."""
    reply = replies[COUNTS + waiting.TAILS]
    return reply.decode(errors="replace") if isinstance(reply, bytes) else None


def job_commands(keys: Keys, job_id: str) -> list[Command]:
    """JOB_COMMANDS commands. The last asks anew who is longest: a job that ended meanwhile needs no lock."""
    return [
        ("EXISTS", f"{keys.job(job_id)}:lock"),
        ("HMGET", keys.job(job_id), "name", "processedOn"),
        ("LINDEX", keys.of("active"), -1),
    ]


def parse_active(job_id: str, replies: Sequence[Reply]) -> Active | None:
    """The job that runs longest; None if it ended while it was looked at, or Redis refuses."""
    locked, values, still = replies
    if any(isinstance(reply, Refused) for reply in replies) or still != job_id.encode():
        return None
    name, started = cast(list[bytes | None], values)
    return Active(job_id, (name or b"").decode(errors="replace"), whole(started), locked == 1)


def snapshot(
    place: Place, replies: Sequence[Reply], ts: int, looks: Looks, *, workers: int | None, queues: int
) -> QueueSnapshot | None:
    """Replies -> record, or None if one of the queue's keys is refused: half a snapshot is none.

    Raises SourceUnavailable if Redis refuses more than a key.
    """
    for at, reply in enumerate(replies):
        if isinstance(reply, Refused) and not is_about_key(reply):
            raise SourceUnavailable(f"counts of {place.queue} were refused: {reply}")
        if isinstance(reply, Refused) and at < COUNTS:
            return None
    meta = cast(list[bytes | None], replies[0])
    lists = dict(zip(LISTS, cast(list[int], replies[1:4]), strict=True))
    sets = dict(zip(SETS, cast(list[int], replies[4:9]), strict=True))
    markers = sum(map(is_marker, replies[COUNTS : COUNTS + waiting.TAILS]))
    overdue, begun, left = replies[-3:]
    made = QueueSnapshot(
        v=VERSION,
        ts=ts,
        env=place.env,
        source=place.source,
        queue=place.queue,
        waiting=max(0, lists["wait"] + lists["paused"] - markers),
        active=lists["active"],
        delayed=sets["delayed"],
        prioritized=sets["prioritized"],
        waiting_children=sets["waiting-children"],
        completed=sets["completed"],
        failed=sets["failed"],
        is_paused=meta[0] is not None,
        max_len_events=None if meta[1] is None else whole(meta[1]),
        bullmq_version=redact.cut((meta[2] or b"").decode(errors="replace"), redact.NAME_BYTES),
        workers=workers,
        oldest_waiting_seconds=None if looks.waiting_since is None else max(0, ts - looks.waiting_since) / 1000,
        sources_queues=queues,
        overdue=overdue if isinstance(overdue, int) else None,
        concurrency=whole(meta[3]) or None,
        rate_limit_jobs=whole(meta[4]) or None,
        rate_limit_ms=whole(meta[5]) or None,
    )
    _tell_limit(made, begun, left)
    if looks.active is not None:
        _tell_active(made, looks.active)
    return made


def _tell_limit(made: QueueSnapshot, begun: Reply, left: Reply) -> None:
    """Whether workers may begin no more jobs for now. begun: in the window that ends in `left` ms."""
    if isinstance(begun, Refused) or not isinstance(left, int):
        return
    if left <= 0:
        made.is_rate_limited = False
        return
    made.rate_limit_seconds = left / 1000
    bound = made.rate_limit_jobs or BLOCKED_BY_HAND
    if whole(begun) >= bound:
        made.is_rate_limited = True
    elif made.rate_limit_jobs is not None:
        made.is_rate_limited = False


def _tell_active(made: QueueSnapshot, active: Active) -> None:
    made.longest_active_id = redact.identifier(active.job_id)
    made.longest_active_name = redact.name(active.name)
    made.longest_active_seconds = max(0, made.ts - active.started_at) / 1000 if active.started_at else None
    made.is_longest_active_locked = active.is_locked


async def read_snapshots(
    door: Door, prefix: str, places: Sequence[Place], workers: Workers, waits: Waits, queues: int
) -> list[QueueSnapshot]:
    """Read the snapshots of some queues (at most QUEUES_A_PIPELINE); a refused one is left out.

    Raises SourceUnavailable.
    """
    keys = [Keys(prefix, place.queue) for place in places]
    flat = await door.ask([command for one in keys for command in commands(one, door.now_ms())])
    replies = [flat[at : at + COMMANDS_PER_QUEUE] for at in range(0, len(flat), COMMANDS_PER_QUEUE)]
    looks, now = await _look(door, keys, replies, waits)
    found = [
        snapshot(place, reply, now, look, workers=workers.of(place.queue), queues=queues)
        for place, reply, look in zip(places, replies, looks, strict=True)
    ]
    return [made for made in found if made is not None]


async def _look(
    door: Door, keys: Sequence[Keys], replies: Sequence[Sequence[Reply]], waits: Waits
) -> tuple[list[Looks], int]:
    """Look at the jobs that may have waited longest, and at those that run longest; and say when that was, ms."""
    ends = await _ends(door, keys, replies)
    jobs = [
        (waits.candidates(one.queue, there), longest_active(reply))
        for one, there, reply in zip(keys, ends, replies, strict=True)
    ]
    asked: list[Command] = []
    for one, (candidates, running) in zip(keys, jobs, strict=True):
        asked += [command for found in candidates for command in waiting.job_commands(one, found.job_id)]
        asked += job_commands(one, running) if running is not None else []
    answers, now = iter(await door.ask(asked)), door.now_ms()
    looks: list[Looks] = []
    for one, (candidates, running) in zip(keys, jobs, strict=True):
        hashes = [
            waiting.parse_job(found.job_id, list(islice(answers, waiting.COMMANDS_PER_JOB))) for found in candidates
        ]
        active = None
        if running is not None:
            active = parse_active(running, list(islice(answers, JOB_COMMANDS)))
        looks.append(Looks(waits.longest(one.queue, candidates, hashes, now), active))
    return looks, now


async def _ends(door: Door, keys: Sequence[Keys], replies: Sequence[Sequence[Reply]]) -> list[list[Reply]]:
    """What stands at the ends of the lists of jobs that wait, by queue."""
    asked = [_end_commands(one, reply) for one, reply in zip(keys, replies, strict=True)]
    answers = iter(await door.ask([command for some in asked for command in some]))
    return [
        [*reply[COUNTS : COUNTS + waiting.TAILS], *islice(answers, len(some))]
        for reply, some in zip(replies, asked, strict=True)
    ]


def _end_commands(keys: Keys, replies: Sequence[Reply]) -> list[Command]:
    counts = dict(zip((*LISTS, *SETS), (one if isinstance(one, int) else 0 for one in replies[1:COUNTS]), strict=True))
    return waiting.end_commands(keys, wait=counts["wait"], paused=counts["paused"], prioritized=counts["prioritized"])
