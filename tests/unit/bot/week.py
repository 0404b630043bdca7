"""A week as it should be, by a virtual clock: what the bridge would tell, minute by minute, and what history says.

Times are seconds since a Monday 00:00 UTC.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from bot.logsvc import Figures, QueueFigures
from bot.rules.conditions import Habit
from bot.rules.habits import DAYS, WEEKS, habit_of, usual_added
from bot.rules.rehearsal import Record, Rehearsal
from bot.rules.rulebook import RuleBook
from tests.unit.bot.events import failed
from tocsin.events import VERSION, JobEvent, QueueSnapshot, SchedulerSnapshot, SourceSnapshot, State

MONDAY_MS = 1_800_230_400_000
STEP, MINUTE, HOUR, DAY, WEEK = 60, 60, 3600, 24 * 3600, 7 * 24 * 3600

Planted = Callable[[int, list[Record]], Iterable[Record]]
"""Changes what is told at a time."""
Odd = Callable[[int, dict[tuple[str, str], Habit]], dict[tuple[str, str], Habit]]
"""Changes what history says at a time."""


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


def added_in_hour(name: str, at: int) -> int:
    """Jobs that come in in the hour before `at`: always the same for the same hour, with some chance in it."""
    hour = at // HOUR
    chance = random.Random(f"{name}{hour}")
    day, clock = hour // 24 % 7, hour % 24
    match name:
        case "orders":
            return int(chance.uniform(0.6, 1.4) * (400 if 7 <= clock < 20 else 60)) + (8000 if clock == 9 else 0)
        case "nightly":
            return 40 if clock in (1, 2) else 0
        case "reports":
            return int(chance.uniform(15, 30)) if day < 5 and 9 <= clock <= 18 else 0
        case "mail":
            return int(chance.expovariate(1 / 3))  # some hours none at all
        case "video":
            return chance.choice((0, 0, 1))
        case _:
            return 0


RUN_P99 = {"orders": 800.0, "nightly": 4000.0, "reports": 60_000.0, "mail": 900.0, "video": 2.2 * HOUR * 1000}
WEEKLY = {"orders": 90_000, "nightly": 560, "reports": 1100, "mail": 500, "video": 55}
QUEUES = (*RUN_P99, "parked")


def habits(at: int) -> dict[tuple[str, str], Habit]:
    """What history says at a time: three weeks of it are known."""
    week = Figures({("main", one): _figures(one, WEEKLY[one], WEEKLY[one] * 2) for one in WEEKLY}, False, 0, 0)
    is_deploy = at % DAY // HOUR == 15
    factor = 2 if is_deploy else 1
    lately = Figures({("main", one): _figures(one, 9, 80, factor) for one in RUN_P99}, False, 0, 0)
    before: dict[int, Figures | None] = {day: _hour(at - day * DAY) for day in {*DAYS, *WEEKS}}
    return {
        ("main", one): habit_of(("main", one), week, lately, _hour(at), usual_added(before, ("main", one)))
        for one in QUEUES
    }


def _hour(at: int) -> Figures:
    return Figures({("main", one): _figures(one, added_in_hour(one, at + 4 * WEEK), 9) for one in QUEUES}, False, 0, 0)


def _figures(name: str, added: int, runs: int, factor: float = 1) -> QueueFigures:
    p99 = RUN_P99.get(name)
    return QueueFigures(added, added, 0, runs, p99 and p99 * factor / 2, p99 and p99 * factor)


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


def run(first: int, last: int, planted: Planted | None = None, odd: Odd | None = None) -> Rehearsal:
    """Let the time from first to last pass. The bridge restarts now and then: for 90 s nothing is told."""
    rehearsal = Rehearsal(RuleBook(), hears_all=True)
    usual: dict[tuple[str, str], Habit] = {}
    for at in range(first, last, STEP):
        if at % HOUR == 0 or not usual:
            usual = habits(at)
        rehearsal.habits = odd(at, usual) if odd else usual
        is_told = at % (5 * HOUR) not in (STEP, 2 * STEP)
        records = list(healthy(at)) if is_told else list[Record]()
        if planted is not None and is_told:
            records = list(planted(at, records))
        rehearsal.pass_time(at_ms(at), [(at_ms(at), one) for one in records])
    return rehearsal
