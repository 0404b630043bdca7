"""What history says is usual, and when it says nothing."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot import localtime
from bot.logsvc import Figures, QueueFigures
from bot.rules.habits import Habits, habit_of, usual_added
from tocsin.times import MINUTE_MS

PLACE: tuple[str, str] = ("main", "orders")


def figures(added: int | None = None, *, runs: int = 0, p95: float | None = None, is_cut: bool = False) -> Figures:
    """An hour, or a week; None = the queue is not among those told of."""
    one = dict[tuple[str, str], QueueFigures]()
    if added is not None:
        one[PLACE] = QueueFigures(added, added, 0, runs, p95, p95)
    return Figures(one, is_cut=is_cut, since_ms=0, as_of_ms=0)


def days(*added: int, **weeks: int) -> Mapping[int, Sequence[Figures | None]]:
    """The same hour of the last seven days, then of 14 and 21 days ago."""
    found: dict[int, Sequence[Figures | None]] = {day: [figures(count)] for day, count in enumerate(added, start=1)}
    return found | {int(day[1:]): [figures(count)] for day, count in weeks.items()}


def test_an_hour_that_has_had_jobs_every_day_is_expected_to_have_some() -> None:
    assert usual_added(days(40, 35, 50, 60, 12, 44, 41), PLACE) == 12


def test_before_a_week_of_history_nothing_is_expected() -> None:
    assert usual_added(days(40, 35, 50, 60, 12, 44), PLACE) is None
    assert usual_added({}, PLACE) is None


def test_a_weekday_is_expected_only_once_two_weeks_were_alike() -> None:
    monday = (0, 0, 90, 80, 85, 90, 70)
    assert usual_added(days(*monday), PLACE) == 0
    assert usual_added(days(*monday, d14=65, d21=75), PLACE) == 65
    assert usual_added(days(*monday, d14=0), PLACE) == 0


def test_a_queue_beyond_those_told_of_is_unknown_not_empty() -> None:
    whole: dict[int, Sequence[Figures | None]] = {day: [figures()] for day in range(1, 8)}
    assert usual_added(whole, PLACE) == 0
    assert usual_added({**whole, 3: [figures(is_cut=True)]}, PLACE) is None
    assert habit_of(PLACE, None, None, figures(is_cut=True), 5).added is None
    assert habit_of(PLACE, None, figures(is_cut=True), figures(), 5).added is None
    assert habit_of(PLACE, None, figures(), figures(), 5).added == 0
    assert habit_of(PLACE, None, None, None, 5).added is None


def test_a_few_runs_say_nothing_of_what_is_usual() -> None:
    week, lately = figures(0, runs=99, p95=1000), figures(0, runs=7, p95=4000)
    assert habit_of(PLACE, week, lately, None, None).run_p95 is None
    known = habit_of(PLACE, figures(10_080, runs=100, p95=1000), lately, None, None)
    assert (known.run_p95, known.ends_per_minute, known.lately_p95, known.lately_runs) == (1.0, 1.0, 4.0, 7)


def test_what_came_in_after_the_hour_that_is_compared_ends_the_quiet() -> None:
    assert habit_of(PLACE, None, figures(3), figures(0), 5).added == 3
    assert habit_of(PLACE, None, None, figures(0), 5).added is None, "history has said nothing since"
    assert habit_of(PLACE, None, figures(3), None, 5).added is None


class Shop:
    """A past in which a batch comes at three by the clock of Berlin, and to another queue something each minute."""

    async def figures(self, start_ms: int, end_ms: int) -> Figures:
        minutes = range(start_ms, end_ms, MINUTE_MS)
        nightly = sum(500 for one in minutes if (localtime.local(one).hour, localtime.local(one).minute) == (3, 0))
        found = {
            name: QueueFigures(count, count, 0, 0, None, None) for name, count in (("nightly", nightly), ("flat", 60))
        }
        return Figures({("main", name): one for name, one in found.items()}, False, 0, end_ms)


@pytest.mark.parametrize("day", ["2026-10-25", "2026-10-26", "2026-03-29", "2026-03-30"])
async def test_a_nightly_batch_is_not_missed_when_clocks_change(day: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(localtime, "_zone", ZoneInfo("Europe/Berlin"))
    midnight = int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp() * 1000)
    queues = [("main", "nightly"), ("main", "flat")]
    history: Any = Shop()
    for minute in range(0, 6 * 60, 7):
        habits = Habits(history, lambda: queues, lambda _: ["main"])
        await habits.look(midnight + minute * MINUTE_MS)
        nightly, flat = (habits.by_place[one] for one in queues)
        assert nightly.added or not nightly.usual_added, "nothing is missing"
        assert flat.usual_added == 60, "others are looked after all the same"
