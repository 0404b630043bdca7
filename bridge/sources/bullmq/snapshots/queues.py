"""A queue's counts by plain commands (BullMQ's own getters are scripts, which may write), and its longest jobs.

COMMANDS_PER_QUEUE commands in one pipeline, then in a second one HGET of the job next in line and JOB_COMMANDS of the
job that runs longest, where there are such jobs. A poll of 1,250 queues cost Valkey 9 some 14 ms of CPU, 250 of them
being busy, and that of their schedulers 5 ms: together, every 5 s, 0.4 % of a core.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from bridge.errors import SourceUnavailable
from bridge.redaction import redact
from bridge.sources.bullmq.door import Command, Door, Refused, Reply, is_about_key
from bridge.sources.bullmq.enrich import whole
from bridge.sources.bullmq.keys import Keys
from bridge.sources.bullmq.reconcile.standing import DUE_UNIT
from bridge.sources.bullmq.snapshots.workers import Workers
from bridge.sources.bullmq.translate import Place
from tocsin.events import VERSION, QueueSnapshot

LISTS = ("wait", "paused", "active")
SETS = ("delayed", "prioritized", "waiting-children", "completed", "failed")
COUNTS = 1 + len(LISTS) + len(SETS)
"""Replies without which there is no snapshot; a refused one of the others leaves a field unknown."""
COMMANDS_PER_QUEUE = COUNTS + 7
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
    """What the second pipeline brought. added_at: of the job next in line."""

    added_at: int | None = None
    active: Active | None = None


def commands(keys: Keys, now_ms: int) -> list[Command]:
    """COMMANDS_PER_QUEUE commands. now_ms: Redis's clock."""
    return [
        ("HMGET", keys.meta, "paused", "opts.maxLenEvents", "version", "concurrency", "max", "duration"),
        *(("LLEN", keys.of(name)) for name in LISTS),
        *(("ZCARD", keys.of(name)) for name in SETS),
        ("LINDEX", keys.of("wait"), -1),
        ("LINDEX", keys.of("paused"), -1),
        ("ZRANGE", keys.of("prioritized"), 0, 0),
        ("LINDEX", keys.of("active"), -1),
        ("ZCOUNT", keys.of("delayed"), "-inf", (now_ms - OVERDUE_MS) * DUE_UNIT),
        ("GET", keys.of("limiter")),
        ("PTTL", keys.of("limiter")),
    ]


def next_in_line(replies: Sequence[Reply]) -> str | None:
    """The id of the job next in line, or None if none waits."""
    waiting, paused, prioritized = replies[COUNTS : COUNTS + 3]
    by_priority = cast(list[bytes], prioritized) if isinstance(prioritized, list) else []
    candidates: list[Reply] = [waiting, paused, *by_priority[:1]]
    for candidate in candidates:
        if isinstance(candidate, bytes) and not is_marker(candidate):
            return candidate.decode(errors="replace")
    return None


def is_marker(reply: Reply) -> bool:
    """What BullMQ before 5 leaves at the end of an idle queue's list: it is no job."""
    return isinstance(reply, bytes) and reply.startswith(b"0:")


def longest_active(replies: Sequence[Reply]) -> str | None:
    """The id of the job that was begun first of those active: the list's tail."""
    reply = replies[COUNTS + 3]
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
    waiting = lists["wait"] + lists["paused"] - sum(map(is_marker, replies[COUNTS : COUNTS + 2]))
    overdue, begun, left = replies[-3:]
    made = QueueSnapshot(
        v=VERSION,
        ts=ts,
        env=place.env,
        source=place.source,
        queue=place.queue,
        waiting=max(0, waiting),
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
        oldest_waiting_seconds=None if looks.added_at is None else max(0, ts - looks.added_at) / 1000,
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
    door: Door, prefix: str, places: Sequence[Place], workers: Workers, queues: int
) -> list[QueueSnapshot]:
    """Read the snapshots of some queues (at most QUEUES_A_PIPELINE); a refused one is left out.

    Raises SourceUnavailable.
    """
    keys = [Keys(prefix, place.queue) for place in places]
    flat = await door.ask([command for one in keys for command in commands(one, door.now_ms())])
    replies = [flat[at : at + COMMANDS_PER_QUEUE] for at in range(0, len(flat), COMMANDS_PER_QUEUE)]
    looks = await _look(door, keys, replies)
    now = door.now_ms()
    found = [
        snapshot(place, reply, now, look, workers=workers.of(place.queue), queues=queues)
        for place, reply, look in zip(places, replies, looks, strict=True)
    ]
    return [made for made in found if made is not None]


async def _look(door: Door, keys: Sequence[Keys], replies: Sequence[Sequence[Reply]]) -> list[Looks]:
    """Look at the jobs that wait and run longest, in one pipeline."""
    asked: list[Command] = []
    jobs = [(next_in_line(reply), longest_active(reply)) for reply in replies]
    for one, (waiting, running) in zip(keys, jobs, strict=True):
        asked += [("HGET", one.job(waiting), "timestamp")] if waiting is not None else []
        asked += job_commands(one, running) if running is not None else []
    answers = iter(await door.ask(asked))
    looks: list[Looks] = []
    for waiting, running in jobs:
        added = next(answers) if waiting is not None else None
        active = None
        if running is not None:
            active = parse_active(running, [next(answers) for _ in range(JOB_COMMANDS)])
        looks.append(Looks(whole(added) or None if isinstance(added, bytes) else None, active))
    return looks
