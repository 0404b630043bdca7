"""What a rule over measurements is: what it sees, when it fires and when it is over (pure).

A measurement that is missing neither fires nor resolves, and a time in which nothing was measured counts for nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Generic, TypeVar

from tocsin.events import QueueSnapshot, SchedulerSnapshot, SourceSnapshot

MINUTE = 60.0
MOST_APART_SECONDS = 180.0
"""Measurements further apart than this do not belong together: what was between them is not known."""

Seen = TypeVar("Seen")


@dataclass(frozen=True)
class Habit:
    """What history says of a queue; None = it does not, or of too few jobs. Times are in seconds.

    run_p95, run_p99: of the last week's attempts. ends_per_minute: jobs ended in it, over the week. lately_p95,
    lately_runs: of the last 10 min. usual_added: the fewest jobs that came in this hour of the day when it had jobs, as
    it always has; 0 = it is no hour that always has some. added: jobs that came in that hour today, or after it.
    """

    run_p95: float | None = None
    run_p99: float | None = None
    ends_per_minute: float | None = None
    lately_p95: float | None = None
    lately_runs: int | None = None
    usual_added: int | None = None
    added: int | None = None


NO_HABIT = Habit()


@dataclass(frozen=True)
class QueueSight:
    """A queue, and what else is known of it. overdue_schedules: of its schedulers; their jobs are overdue too.

    still_seconds: since when work was ready and nothing ended; None = not known.
    """

    queue: QueueSnapshot
    overdue_schedules: int = 0
    habit: Habit = NO_HABIT
    still_seconds: float | None = None

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
class SelfSight:
    """Tocsin itself. behind_seconds: how old the newest is that is counted."""

    behind_seconds: float


class Unit(StrEnum):
    """What a rule's `fire` and `resolve` are numbers of. yes: it is so, or not: there is nothing to change."""

    SECONDS = "seconds"
    COUNT = "count"
    SHARE = "share"
    TIMES = "times"
    YES = "yes"


@dataclass(frozen=True)
class Rule(Generic[Seen]):
    """One rule. It fires when what it measures has been at least `fire` for so long, and is over when it has been below
    `resolve` for so long; between the two nothing changes. measure: None = not known now. explain: for the alert.

    about: says when, with {fire} and {resolve}. volume: where it is below `least`, all is well; None = not known now.
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
    unit: Unit = Unit.YES
    volume: Callable[[Seen], float | None] | None = None
    least: float = 0

    def value(self, seen: Seen) -> float | None:
        """What it measures; 0 where too little happens to say."""
        if self.volume is not None:
            volume = self.volume(seen)
            if volume is None:
                return None
            if volume < self.least:
                return 0
        return self.measure(seen)


def phrase(rule: Rule[Seen]) -> str:
    """When a rule rings, in words."""
    words = rule.about.format(
        fire=_number(rule.fire, rule.unit), resolve=_number(rule.resolve, rule.unit), least=f"{rule.least:,g}"
    )
    if rule.fire_seconds:
        words += f", for {_span(rule.fire_seconds)}"
    if rule.resolve != rule.fire:
        words += f"; over below {_number(rule.resolve, rule.unit)}"
    return words


def _number(value: float, unit: Unit) -> str:
    match unit:
        case Unit.SECONDS:
            return _span(value)
        case Unit.SHARE:
            return f"{100 * value:g} %"
        case Unit.TIMES:
            return f"{value:g} times"
        case _:
            return f"{value:,g}"


def _span(seconds: float) -> str:
    """`90 s`, `3 min`, `1 h`."""
    if seconds >= 3600 and not seconds % 3600:
        return f"{seconds / 3600:g} h"
    return f"{seconds / 60:g} min" if (seconds >= 120 and not seconds % 60) or seconds == 60 else f"{seconds:g} s"


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
