"""What is usual in each queue, from history: the rules that compare go by it. Without history they rest."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from bot import localtime
from bot.logsvc import Figures, History, Refused
from bot.rules.conditions import NO_HABIT, Habit
from tocsin.breakers import Unavailable
from tocsin.lifecycle import pause
from tocsin.times import DAY_MS, HOUR_MS, MINUTE_MS, current_ms

log = structlog.get_logger("habits")

LOOK_SECONDS = 60.0
EVERY_MINUTES = {"lately": 1, "usual": 10, "week": 30}
LATELY_MS = 10 * MINUTE_MS
LEAST_RUNS = 100
"""Fewer attempts in a week say nothing of what is usual."""
DAYS, WEEKS = (1, 2, 3, 4, 5, 6, 7), (7, 14, 21)
LEAST_WEEKS = 2
STALE_MS = 3 * MINUTE_MS
"""History that is older says nothing of the last minutes; so long after, all of a time is in it."""

Place = tuple[str, str]
"""Source and queue."""


def usual_added(before: Mapping[int, Sequence[Figures | None]], place: Place) -> int | None:
    """The fewest jobs that came in at this time of the day, where some always did; 0 where not; None = too little
    history. before: days ago -> that hour, by each clock that jobs may be added by; None = not kept so far back.
    """
    days = [_fewest(before.get(day, ()), place) for day in DAYS]
    if any(one is None for one in days):
        return None
    if all(days):
        return min(one for one in days if one is not None)
    weeks = [one for day in WEEKS if (one := _fewest(before.get(day, ()), place)) is not None]
    return min(weeks) if len(weeks) >= LEAST_WEEKS else 0


def _fewest(hours: Sequence[Figures | None], place: Place) -> int | None:
    counts = [_added(hour, place) for hour in hours]
    return min((one for one in counts if one is not None), default=None) if None not in counts else None


def _added(hour: Figures | None, place: Place) -> int | None:
    if hour is None:
        return None
    found = hour.queues.get(place)
    return found.added if found is not None else None if hour.is_cut else 0


def habit_of(
    place: Place, week: Figures | None, lately: Figures | None, hour: Figures | None, usual: int | None
) -> Habit:
    """One queue's habit. What is not known is None. hour: today's, of the same minutes as the hours of `usual`."""
    added = _added(hour, place)
    if added == 0:
        added = _added(lately, place)  # it ended some minutes ago: what came in since then counts too, if that is known
    habit = replace(NO_HABIT, usual_added=usual, added=added)
    always = week.queues.get(place) if week is not None else None
    if always is not None and always.runs >= LEAST_RUNS and always.run_p95 is not None and always.run_p99 is not None:
        ends = (always.completed + always.failed) / (7 * 24 * 60)
        habit = replace(
            habit, run_p95=always.run_p95 / 1000, run_p99=always.run_p99 / 1000, ends_per_minute=ends or None
        )
    now = lately.queues.get(place) if lately is not None else None
    if now is not None and now.run_p95 is not None:
        return replace(habit, lately_p95=now.run_p95 / 1000, lately_runs=now.runs)
    return replace(habit, lately_runs=0) if lately is not None and not lately.is_cut else habit


@dataclass
class Habits:
    """One for the process. watched: sources that the bridge has told of for so many seconds without a pause."""

    history: History
    places: Callable[[], Collection[Place]]
    watched: Callable[[float], Sequence[str]]
    by_place: dict[Place, Habit] = field(default_factory=dict[Place, Habit])
    _week: Figures | None = None
    _today: Figures | None = None
    _hours: dict[int, Sequence[Figures | None]] = field(default_factory=dict[int, Sequence[Figures | None]])
    """Days ago -> the same 60 minutes as today's. Compared are only these: minutes apart, a daily batch looks lost.
    Where people's clock was changed since, those by it, too: a batch keeps to the one or to the other."""
    _hour_ends_ms: int = 0
    _rounds: int = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Ask history every minute until stop."""
        while not stop.is_set():
            try:
                await self.look(current_ms())
            except (Unavailable, Refused) as failure:
                self.by_place = {}
                log.info("habits_unknown", error=str(failure))
            await pause(stop, LOOK_SECONDS)

    async def look(self, now_ms: int) -> None:
        """Bring up to date what is due. Raises Unavailable or Refused."""
        if self._week is None or self._rounds % EVERY_MINUTES["week"] == 0:
            self._week = await self.history.figures(now_ms - 7 * DAY_MS, now_ms)
        if not self._hours or self._rounds % EVERY_MINUTES["usual"] == 0:
            ends_ms = (now_ms - STALE_MS) // MINUTE_MS * MINUTE_MS
            self._today = await self._hour(ends_ms)
            self._hours = {day: await self._same_hour(ends_ms, day) for day in sorted({*DAYS, *WEEKS})}
            self._hour_ends_ms = ends_ms
        lately = await self.history.figures(now_ms - LATELY_MS, now_ms)
        lately = lately if _reaches(lately, now_ms - STALE_MS) else None
        seen = frozenset(self.watched((now_ms - self._hour_ends_ms + HOUR_MS) / 1000))
        self.by_place = {
            place: habit_of(
                place, self._week, lately, self._today if place[0] in seen else None, usual_added(self._hours, place)
            )
            for place in self.places()
        }
        self._rounds += 1

    async def _same_hour(self, end_ms: int, days: int) -> Sequence[Figures | None]:
        """So many days before, by UTC and by people's clock: one, but where that was changed meanwhile."""
        ends = sorted({end_ms - days * DAY_MS, localtime.days_ago(end_ms, days)})
        return [await self._hour(one) for one in ends]

    async def _hour(self, end_ms: int) -> Figures | None:
        """The hour before then; None if history does not reach so far back, or not yet so far."""
        found = await self.history.figures(end_ms - HOUR_MS, end_ms)
        is_kept = found.since_ms is not None and found.since_ms <= end_ms - HOUR_MS
        return found if is_kept and _reaches(found, end_ms) else None


def _reaches(found: Figures, at_ms: int) -> bool:
    return found.as_of_ms is not None and found.as_of_ms >= at_ms
