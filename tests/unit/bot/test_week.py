"""A healthy week rings for nothing; of what goes wrong in it everything rings, by its name, and soon."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest

from bot.rules.rehearsal import Record, Rung
from tests.unit.bot.week import DAY, HOUR, MINUTE, WEEK, Past, event, run
from tocsin.events import QueueSnapshot, SchedulerSnapshot, SourceSnapshot, State

BEGUN = 8 * DAY + 10 * HOUR + 30 * MINUTE
"""When a fault begins: a Tuesday, in the middle of a working day."""


def test_a_healthy_week_rings_for_nothing() -> None:
    week = run(0, WEEK)
    assert [(one.at_ms, one.incident.key, one.incident.last.error) for one in week.rung] == []
    assert not any(watch.is_firing for watch in week.board.watches.values())


def other(kind: type[Any], name: str, **values: Any) -> Callable[[int, list[Record]], Iterable[Record]]:
    """A row that says something else from now on; a value may depend on the seconds since."""

    def planted(at: int, records: list[Record]) -> Iterable[Record]:
        for record in records:
            is_it = type(record) is kind and getattr(record, "queue", "") == name and at >= BEGUN
            now = {key: value(at - BEGUN) if callable(value) else value for key, value in values.items()}
            yield msgspec.structs.replace(record, **now) if is_it else record

    return planted


def more(**values: Any) -> Callable[[int, list[Record]], Iterable[Record]]:
    """One event besides."""

    def planted(at: int, records: list[Record]) -> Iterable[Record]:
        return [*records, event(at, **values)] if at == BEGUN else records

    return planted


def nothing(at: int, records: list[Record]) -> Iterable[Record]:
    """The bridge tells nothing any more."""
    return [] if at >= BEGUN else records


def more_and_more(since: int) -> int:
    return 6 + since


FAULTS: dict[str, tuple[str, int, Callable[[int, list[Record]], Iterable[Record]]]] = {
    "a job fails for good": ("failed", 1, more()),
    "a deploy that does not come back": ("no-workers", 4, other(QueueSnapshot, "orders", workers=0, waiting=20)),
    "workers are wedged, and look well": (
        "still", 11, other(QueueSnapshot, "orders", waiting=20, completed_per_minute=0, oldest_waiting_seconds=5.0),
    ),
    "a worker that hangs on one job": (
        "long-running", 12,
        other(QueueSnapshot, "orders", active=1, longest_active_seconds=float, longest_active_id="7"),
    ),
    "a worker dies with its job": (
        "unlocked", 3, other(QueueSnapshot, "orders", active=1, is_longest_active_locked=False),
    ),
    "nobody promotes what is due": ("overdue", 4, other(QueueSnapshot, "orders", overdue=9)),
    "a schedule that does not fire": (
        "schedule", 4, other(SchedulerSnapshot, "reports", is_overdue=True, overdue_seconds=float),
    ),
    "a pause that is forgotten": ("paused", 61, other(QueueSnapshot, "orders", is_paused=True, waiting=20)),
    "workers that do not keep up": (
        "oldest-waiting", 36,
        other(QueueSnapshot, "orders", waiting=900, oldest_waiting_seconds=float),
    ),
    "a flood of jobs": ("depth", 16, other(QueueSnapshot, "orders", waiting=40_000)),
    "a provider that refuses half of it": (
        "failure-rate", 6, other(QueueSnapshot, "orders", completed_per_minute=20, failed_per_minute=20),
    ),
    "Redis is nearly full": ("memory", 6, other(SourceSnapshot, "", memory_bytes=960)),
    "Redis throws keys away": ("evictions", 1, other(SourceSnapshot, "", evicted_keys=more_and_more)),
    "Redis does not answer": ("redis-unreachable", 2, other(SourceSnapshot, "", is_reachable=False)),
    "the bridge is gone": ("bridge-silent", 5, nothing),
    "events are lost": ("events-lost", 1, more(event="gap", state=State.UNKNOWN, lost=12)),
}  # fmt: skip
"""What goes wrong -> the rule that finds it, after how many minutes at most, and how it looks."""


SEEN_LATER: dict[str, tuple[str, int, Past]] = {
    "whoever adds the jobs has stopped": ("nothing-added", 90, Past(abandoned={"orders": BEGUN})),
    "the batch of the night is not added": ("nothing-added", 15 * 60, Past(abandoned={"nightly": BEGUN})),
    "what the jobs depend on is slow": ("slow", 11, Past(slow={"orders": BEGUN})),
}
"""The same, of what history shows first. A producer that stops shows once a whole hour has nothing."""


@pytest.mark.parametrize("fault", SEEN_LATER)
def test_what_only_history_shows_is_found_and_nothing_else(fault: str) -> None:
    rule, minutes, past = SEEN_LATER[fault]
    week = run(BEGUN - HOUR, BEGUN + minutes * MINUTE + HOUR, past=past)
    assert [one.incident.rule for one in week.rung] == [rule]
    assert 0 <= _seconds(week.rung[0]) <= minutes * MINUTE


def _seconds(rung: Rung) -> float:
    return (rung.at_ms - event(BEGUN).ts) / 1000


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_healthy_week_is_found_by_its_name_and_nothing_else(fault: str) -> None:
    rule, minutes, planted = FAULTS[fault]
    week = run(BEGUN - HOUR, BEGUN + 2 * HOUR, planted)
    assert [_rule_of(one) for one in week.rung] == [rule]
    [found] = week.rung
    assert found.incident.last.error
    assert 0 <= _seconds(found) <= minutes * MINUTE


def _rule_of(rung: Rung) -> str:
    key = rung.incident.key
    found = rung.incident.rule or {"f1": "failed"}.get(key.fingerprint, key.fingerprint)
    return found.removeprefix("rule:")
