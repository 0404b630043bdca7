"""Rules over what is measured now: which states of a queue, a schedule or a Redis ring, and why (pure).

A measurement that is missing neither fires nor resolves, and a time in which nothing was measured counts for nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Generic, TypeVar

from bot.render.times import age
from bot.rules import EVENT_RULES, FAILED
from tocsin.events import QueueSnapshot, SchedulerSnapshot, SourceSnapshot

MINUTE = 60.0
MOST_APART_SECONDS = 180.0
"""Measurements further apart than this do not belong together: what was between them is not known."""

Seen = TypeVar("Seen")


@dataclass(frozen=True)
class QueueSight:
    """A queue, and what else is known of it. overdue_schedules: of its schedulers; their jobs are overdue too."""

    queue: QueueSnapshot
    overdue_schedules: int = 0

    @property
    def is_attended(self) -> bool:
        """Whether it is meant to move: not paused, and nobody says that no worker is there."""
        return not self.queue.is_paused and self.queue.workers != 0

    @property
    def ready(self) -> int:
        """Jobs that a worker could take now."""
        return self.queue.waiting + self.queue.prioritized


@dataclass(frozen=True)
class ScheduleSight:
    """A schedule, and its queue where that is known."""

    schedule: SchedulerSnapshot
    queue: QueueSnapshot | None


@dataclass(frozen=True)
class SourceSight:
    """The Redis of a source. evicted: keys it threw away since it was looked at before; None = unknown."""

    source: SourceSnapshot
    evicted: int | None = None


@dataclass(frozen=True)
class BridgeSight:
    """A source as it was told last, and for how long the bridge has told nothing of it."""

    source: SourceSnapshot
    silent_seconds: float


@dataclass(frozen=True)
class Rule(Generic[Seen]):
    """One rule. It fires when what it measures has been at least `fire` for so long, and is over when it has been below
    `resolve` for so long; between the two nothing changes. measure: None = not known now. explain: for the alert.
    """

    name: str
    title: str
    about: str
    why: str
    measure: Callable[[Seen], float | None]
    explain: Callable[[Seen], str]
    fire: float = 1
    resolve: float = 1
    fire_seconds: float = 0
    resolve_seconds: float = MINUTE


def _oldest_waiting(seen: QueueSight) -> float | None:
    if not seen.is_attended:
        return None  # told by other rules
    return seen.queue.oldest_waiting_seconds if seen.ready else 0


def _depth(seen: QueueSight) -> float | None:
    return None if seen.queue.is_paused else seen.ready


def _no_workers(seen: QueueSight) -> float | None:
    queue = seen.queue
    if queue.workers is None or queue.is_paused:
        return None
    return float(queue.workers == 0 and (seen.ready > 0 or (queue.overdue or 0) > 0))


def _unlocked(seen: QueueSight) -> float | None:
    queue = seen.queue
    if not queue.active:
        return 0
    return None if queue.is_longest_active_locked is None else float(not queue.is_longest_active_locked)


def _overdue(seen: QueueSight) -> float | None:
    if seen.queue.overdue is None or not seen.is_attended:
        return None
    return max(0, seen.queue.overdue - seen.overdue_schedules)


def _paused(seen: QueueSight) -> float | None:
    return float(seen.queue.is_paused and seen.ready > 0)


def _schedule(seen: ScheduleSight) -> float | None:
    if seen.queue is not None and not QueueSight(seen.queue).is_attended:
        return None  # told by other rules
    return seen.schedule.overdue_seconds if seen.schedule.is_overdue else 0


QUEUE_RULES: tuple[Rule[QueueSight], ...] = (
    Rule(
        name="no-workers",
        title="No workers",
        about="jobs are ready and no worker is connected, for 3 min",
        why="a deployment that did not come back looks like this; one that takes 3 min does not",
        measure=_no_workers,
        explain=lambda seen: f"{seen.ready} jobs are ready, and no worker is connected to this queue.",
        fire_seconds=3 * MINUTE,
    ),
    Rule(
        name="oldest-waiting",
        title="Jobs wait too long",
        about="the next job in line has waited for 30 min, for 5 min; over below 15 min",
        why="workers are there, and do not keep up or do not move",
        measure=_oldest_waiting,
        explain=lambda seen: (
            f"The next job in line has waited {age(seen.queue.oldest_waiting_seconds or 0)}; {seen.ready} are ready, "
            f"{seen.queue.active} active, workers {'unknown' if seen.queue.workers is None else seen.queue.workers}."
        ),
        fire=30 * MINUTE,
        resolve=15 * MINUTE,
        fire_seconds=5 * MINUTE,
    ),
    Rule(
        name="depth",
        title="Backlog",
        about="10,000 jobs are ready, for 15 min; over below 5,000",
        why="far more comes in than is done, and Redis keeps it all in memory",
        measure=_depth,
        explain=lambda seen: f"{seen.ready} jobs are ready, {seen.queue.active} active.",
        fire=10_000,
        resolve=5_000,
        fire_seconds=15 * MINUTE,
    ),
    Rule(
        name="unlocked",
        title="Worker wedged",
        about="the job that has run for longest has lost its lock, for 2 min",
        why="its worker died or hangs; BullMQ's own check, every 30 s where a worker is, has not moved the job on",
        measure=_unlocked,
        explain=lambda seen: (
            f"Job {seen.queue.longest_active_id} has been active for "
            f"{age(seen.queue.longest_active_seconds or 0)} and has no lock: its worker is dead, or too busy to renew "
            "it."
        ),
        fire_seconds=2 * MINUTE,
    ),
    Rule(
        name="overdue",
        title="Delayed jobs overdue",
        about="delayed jobs are due and nobody moves them, for 3 min",
        why="workers are connected, and none takes what is due: they are wedged, or all busy",
        measure=_overdue,
        explain=lambda seen: f"{seen.queue.overdue} delayed jobs are due, and no worker has moved them.",
        fire_seconds=3 * MINUTE,
    ),
    Rule(
        name="paused",
        title="Paused too long",
        about="a queue is paused while jobs are ready, for 1 h",
        why="a pause is meant to end, and is easily forgotten",
        measure=_paused,
        explain=lambda seen: f"The queue is paused, and {seen.ready} jobs are ready.",
        fire_seconds=60 * MINUTE,
    ),
)
SCHEDULE_RULES: tuple[Rule[ScheduleSight], ...] = (
    Rule(
        name="schedule",
        title="Schedule did not fire",
        about="a job scheduler's time is 3 min past, and no worker has begun its job",
        why="nothing fails when a nightly job does not run: nobody would hear of it",
        measure=_schedule,
        explain=lambda seen: (
            f"The schedule {seen.schedule.scheduler} was due {age(seen.schedule.overdue_seconds)} ago, and no worker "
            "has begun its job."
        ),
        fire=3 * MINUTE,
    ),
)
SOURCE_RULES: tuple[Rule[SourceSight], ...] = (
    Rule(
        name="redis-unreachable",
        title="Redis unreachable",
        about="the bridge cannot reach a source's Redis, for 1 min",
        why="then nothing of that source is seen, and your app may not work either; its other rules rest meanwhile",
        measure=lambda seen: float(not seen.source.is_reachable),
        explain=lambda seen: f"The bridge cannot reach the Redis of source {seen.source.source}.",
        fire_seconds=MINUTE,
    ),
    Rule(
        name="evictions",
        title="Redis throws keys away",
        about="Redis has evicted keys; over after 30 min without",
        why="it is full, and what it throws away may be your jobs",
        measure=lambda seen: seen.evicted,
        explain=lambda seen: (
            f"Redis has evicted {seen.source.evicted_keys} keys since it began (maxmemory-policy "
            f"{seen.source.policy or 'unknown'}). Jobs may be lost: give it more memory, and set noeviction."
        ),
        resolve_seconds=30 * MINUTE,
    ),
)
BRIDGE_RULES: tuple[Rule[BridgeSight], ...] = (
    Rule(
        name="bridge-silent",
        title="Tocsin does not see it",
        about="the bridge has told nothing of a source for 5 min",
        why="then nothing of that source can ring: no news is not good news",
        measure=lambda seen: seen.silent_seconds,
        explain=lambda seen: (
            f"The bridge has told nothing of source {seen.source.source} since it was seen last; failures there do not "
            "ring. Is the bridge running? (If the source was taken away on purpose, ack this.)"
        ),
        fire=5 * MINUTE,
        resolve=MINUTE,
        resolve_seconds=0,
    ),
)
RULES = (*QUEUE_RULES, *SCHEDULE_RULES, *SOURCE_RULES, *BRIDGE_RULES)
SWITCHES = frozenset(one.name for one in (*RULES, *EVENT_RULES)) - {FAILED.name}
"""Rules that can be switched off."""


@dataclass(frozen=True)
class Watch:
    """What a rule remembers of one place while it is not well there. Times are ms, by the clock of the measurements.

    since: it has been at least `fire` since then. well_since: below `resolve` since then. at: measured last.
    """

    since_ms: int
    at_ms: int
    is_firing: bool = False
    well_since_ms: int | None = None


class Verdict(StrEnum):
    NOTHING = "nothing"
    FIRE = "fire"
    RESOLVE = "resolve"


def judge(rule: Rule[Seen], before: Watch | None, value: float, at_ms: int) -> tuple[Watch | None, Verdict]:
    """Apply one measurement; return what is to be remembered, None = all is well, and what it comes to."""
    is_apart = before is not None and at_ms - before.at_ms > MOST_APART_SECONDS * 1000
    if before is not None and before.is_firing:
        return _judge_firing(rule, replace(before, well_since_ms=None) if is_apart else before, value, at_ms)
    if value < rule.fire:
        return None, Verdict.NOTHING
    since_ms = at_ms if before is None or is_apart else before.since_ms
    is_due = at_ms - since_ms >= rule.fire_seconds * 1000
    return Watch(since_ms, at_ms, is_firing=is_due), Verdict.FIRE if is_due else Verdict.NOTHING


def _judge_firing(rule: Rule[Seen], before: Watch, value: float, at_ms: int) -> tuple[Watch | None, Verdict]:
    if value >= rule.resolve:
        return replace(before, at_ms=at_ms, well_since_ms=None), Verdict.NOTHING
    well_since_ms = at_ms if before.well_since_ms is None else before.well_since_ms
    if at_ms - well_since_ms >= rule.resolve_seconds * 1000:
        return None, Verdict.RESOLVE
    return replace(before, at_ms=at_ms, well_since_ms=well_since_ms), Verdict.NOTHING
