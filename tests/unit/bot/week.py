"""A week as it should be, by a virtual clock: what the bridge would tell, minute by minute, and what history would
answer whenever the bot asks it.

Times are seconds since a Monday 00:00 UTC.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from typing import Any, cast

from bot.logsvc import Figures, History, QueueFigures
from bot.rules.habits import Habits
from bot.rules.rehearsal import Record, Rehearsal
from bot.rules.rulebook import RuleBook
from tests.unit.bot.events import failed
from tocsin.events import VERSION, JobEvent, QueueSnapshot, SchedulerSnapshot, SourceSnapshot, State

MONDAY_MS = 1_800_230_400_000
STEP, MINUTE, HOUR, DAY, WEEK = 60, 60, 3600, 24 * 3600, 7 * 24 * 3600

Planted = Callable[[int, list[Record]], Iterable[Record]]
"""Changes what is told at a time."""


def at_ms(at: int) -> int:
    return MONDAY_MS + at * 1000


def queue(name: str, at: int, **more: Any) -> QueueSnapshot:
    values: dict[str, Any] = {
        "workers": 4,
        "overdue": 0,
        "completed_per_minute": 0,
        "failed_per_minute": 0,
        "sources_queues": 6,
        **more,
    }
    return QueueSnapshot(v=VERSION, ts=at_ms(at), env="prod", source="main", queue=name, **values)


def schedule(at: int, **more: Any) -> SchedulerSnapshot:
    return SchedulerSnapshot(
        v=VERSION, ts=at_ms(at), env="prod", source="main", queue="reports", scheduler="nightly", **more
    )


def redis(at: int, **more: Any) -> SourceSnapshot:
    values: dict[str, Any] = {"evicted_keys": 5, "policy": "noeviction", "max_memory_bytes": 1000, **more}
    return SourceSnapshot(v=VERSION, ts=at_ms(at), env="prod", source="main", **values)


def event(at: int, **more: Any) -> JobEvent:
    return failed(ts=at_ms(at), **more)


def added(name: str, minute: int, chance: random.Random) -> int:
    """Jobs that come in in a minute, with some chance in it."""
    day, clock, past = minute // 1440 % 7, minute // 60 % 24, minute % 60
    match name:
        case "orders":
            usual = int(chance.uniform(0.6, 1.4) * (7 if 7 <= clock < 20 else 2))
            return usual + (8000 if (clock, past) == (9, 0) else 0)
        case "nightly":  # all at once, give or take some minutes
            return 80 if (clock, past) == (1, minute // 1440 * 3 % 5) else 0
        case "reports":
            return chance.choice((0, 0, 1)) if day < 5 and 9 <= clock <= 18 else 0
        case "mail":
            return int(chance.random() < 0.05)  # some hours none at all
        case "video":
            return int(chance.random() < 0.005)
        case _:
            return 0


@cache
def added_until(name: str) -> list[int]:
    """Jobs that came in before each minute of the six weeks that begin four weeks ago; always the same."""
    chance = random.Random(name)
    return list(accumulate((added(name, minute, chance) for minute in range(6 * WEEK // MINUTE)), initial=0))


RUN_P99 = {"orders": 800.0, "nightly": 4000.0, "reports": 60_000.0, "mail": 900.0, "video": 2.2 * HOUR * 1000}
WEEKLY = {"orders": 90_000, "nightly": 560, "reports": 1100, "mail": 500, "video": 55, "parked": 0}
QUEUES = (*RUN_P99, "parked")


@dataclass(frozen=True)
class Past:
    """What logsvc would answer, of all that was until its `end`. Queue -> since when nobody adds to it; it is slow."""

    abandoned: dict[str, int] = field(default_factory=dict[str, int])
    slow: dict[str, int] = field(default_factory=dict[str, int])

    async def figures(self, start_ms: int, end_ms: int) -> Figures:
        """A bucket at each end is taken whole, as logsvc does."""
        bucket = MINUTE if end_ms - start_ms <= HOUR * 1000 else HOUR
        first, last = ((one - MONDAY_MS) // 1000 for one in (start_ms, end_ms))
        queues = {("main", one): self._queue(one, first // bucket * bucket, last, bucket) for one in QUEUES}
        return Figures(queues, False, 0, end_ms)

    def _queue(self, name: str, start: int, end: int, bucket: int) -> QueueFigures:
        until, gone = added_until(name), self.abandoned.get(name, end)
        first, last = (min(one, gone) // MINUTE + 4 * WEEK // MINUTE for one in (start, -(-end // bucket) * bucket))
        came, p99 = until[last] - until[first], RUN_P99.get(name)
        if end - start > HOUR:
            return QueueFigures(came, WEEKLY[name], 0, WEEKLY[name] * 2, p99 and p99 / 2, p99)
        factor = 15 if end > self.slow.get(name, end) else 2 if end % DAY // HOUR == 15 else 1  # at three they deploy
        return QueueFigures(came, 9, 0, 80, p99 and p99 * factor / 2, p99 and p99 * factor)


def healthy(at: int) -> Iterator[Record]:
    """Batch peaks, rolling restarts, retries that succeed, queues of the night and of weekdays, deploys, pauses."""
    is_restarting = at % (4 * HOUR) < 90
    workers = 0 if is_restarting else 4
    since_nine = at % DAY - 9 * HOUR
    peak = max(0, 8000 - since_nine * 4) if since_nine >= 0 else 0  # 8,000 at nine, done half an hour later
    yield queue(
        "orders",
        at,
        waiting=peak + at % 40,
        active=workers,
        workers=workers,
        completed_per_minute=0 if is_restarting else 240 if peak else 7,
        failed_per_minute=0,
        oldest_waiting_seconds=peak / 8 + at % 40,
        longest_active_id="1",
        longest_active_seconds=1.0,
        is_longest_active_locked=not is_restarting,
        overdue=3 if is_restarting else 0,
        delayed=20,
    )
    if at % (4 * HOUR) == STEP:  # a job of the worker that went away
        yield event(at, event="stalled", state=State.STALLED)
    if at % (10 * MINUTE) == 0:  # an attempt fails, the next succeeds
        yield event(at, event="delayed", state=State.RETRYING, attempt=1)
        yield event(at, event="completed", state=State.COMPLETED, attempt=2)
    is_night = 1 <= at % DAY // HOUR < 3
    yield queue(
        "nightly",
        at,
        waiting=30 if is_night else 0,
        active=2 if is_night else 0,
        workers=2 if is_night else 0,
        completed_per_minute=1 if is_night else 0,
        oldest_waiting_seconds=600.0 if is_night else None,
    )
    is_office = at // DAY % 7 < 5 and 9 <= at % DAY // HOUR < 18
    yield queue("reports", at, active=int(is_office), completed_per_minute=int(is_office and at % 180 == 0))
    yield queue("mail", at, workers=None, overdue=None, active=1, waiting=1, oldest_waiting_seconds=1.0)
    video = at % (2 * HOUR)
    yield queue(
        "video",
        at,
        active=1,
        workers=1,
        waiting=1 if video > 6600 else 0,
        oldest_waiting_seconds=float(video - 6600) if video > 6600 else None,
        longest_active_id=str(at // (2 * HOUR)),
        longest_active_seconds=float(video),
        is_longest_active_locked=at % (2 * HOUR) != 0,
        completed_per_minute=int(video == 0),
    )
    since_pause = at % (6 * HOUR)
    is_drained = since_pause > 43 * MINUTE
    yield queue(
        "parked",
        at,
        is_paused=since_pause < 40 * MINUTE,
        waiting=0 if is_drained else 7,
        oldest_waiting_seconds=None if is_drained else float(since_pause),
    )
    is_late = at % HOUR < 60
    yield schedule(at, is_overdue=is_late, overdue_seconds=at % HOUR + 5.0 if is_late else 0, next_run=at_ms(at))
    yield redis(at, is_reachable=at % (8 * HOUR) != 0, memory_bytes=400 + at % DAY * 400 // DAY)


def run(first: int, last: int, planted: Planted | None = None, past: Past | None = None) -> Rehearsal:
    """Let the time from first to last pass. The bridge restarts now and then: for 90 s nothing is told."""
    return asyncio.run(_run(first, last, planted, past or Past()))


async def _run(first: int, last: int, planted: Planted | None, past: Past) -> Rehearsal:
    rehearsal = Rehearsal(RuleBook(), hears_all=True)
    habits = Habits(cast(History, past), lambda: [("main", one) for one in QUEUES], lambda _: ["main"])
    for at in range(first, last, STEP):
        await habits.look(at_ms(at) + 20_000)
        rehearsal.habits = habits.by_place
        is_told = at % (5 * HOUR) not in (STEP, 2 * STEP)
        records = list(healthy(at)) if is_told else list[Record]()
        if planted is not None and is_told:
            records = list(planted(at, records))
        rehearsal.pass_time(at_ms(at), [(at_ms(at), one) for one in records])
    return rehearsal
