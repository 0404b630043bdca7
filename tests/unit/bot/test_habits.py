"""What history says is usual, and when it says nothing."""

from collections.abc import Mapping

from bot.logsvc import Figures, QueueFigures
from bot.rules.habits import habit_of, usual_added

PLACE: tuple[str, str] = ("main", "orders")


def figures(added: int | None = None, *, runs: int = 0, p95: float | None = None, is_cut: bool = False) -> Figures:
    """An hour, or a week; None = the queue is not among those told of."""
    one = dict[tuple[str, str], QueueFigures]()
    if added is not None:
        one[PLACE] = QueueFigures(added, added, 0, runs, p95, p95)
    return Figures(one, is_cut=is_cut, since_ms=0, as_of_ms=0)


def days(*added: int, **weeks: int) -> Mapping[int, Figures | None]:
    """The same hour of the last seven days, then of 14 and 21 days ago."""
    found: dict[int, Figures | None] = {day: figures(count) for day, count in enumerate(added, start=1)}
    return found | {int(day[1:]): figures(count) for day, count in weeks.items()}


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
    whole = {day: figures() for day in range(1, 8)}
    assert usual_added(whole, PLACE) == 0
    assert usual_added({**whole, 3: figures(is_cut=True)}, PLACE) is None
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
