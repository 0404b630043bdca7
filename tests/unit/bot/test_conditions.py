"""Rules over measurements: a healthy day is silent, one planted fault of each kind is found, and ends."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from bot.incidents.found import found
from bot.incidents.machine import Call, Person, ack
from bot.queues.state import from_snapshot
from bot.render.greeting import greeting_text
from bot.rules.board import Board, Finding, Spot, World
from bot.rules.conditions import MOST_APART_SECONDS, Habit, Verdict, Watch
from bot.rules.policy import Policy
from bot.rules.rulebook import Tuning
from bot.rules.ruleset import QUEUE_RULES, RULES, SCHEDULE_RULES
from tests.unit.bot.events import NOW_MS
from tocsin.events import VERSION, QueueSnapshot, SchedulerSnapshot, SourceSnapshot

STEP, DAY = 30, 24 * 3600
MINUTE, HOUR = 60, 3600


def queue(name: str = "orders", **more: Any) -> QueueSnapshot:
    values: dict[str, Any] = {"workers": 4, "overdue": 0, **more}
    return QueueSnapshot(v=VERSION, ts=0, env="prod", source="main", queue=name, **values)


def schedule(**more: Any) -> SchedulerSnapshot:
    return SchedulerSnapshot(v=VERSION, ts=0, env="prod", source="main", queue="reports", scheduler="nightly", **more)


def redis(**more: Any) -> SourceSnapshot:
    values: dict[str, Any] = {"evicted_keys": 0, "policy": "noeviction", **more}
    return SourceSnapshot(v=VERSION, ts=0, env="prod", source="main", **values)


Row = QueueSnapshot | SchedulerSnapshot | SourceSnapshot


@dataclass
class Day:
    """A board that is shown the world every half minute. at: seconds since the start."""

    board: Board = field(default_factory=Board)
    at: int = 0
    silent_seconds: dict[str, float] = field(default_factory=dict[str, float])
    habit: Habit | None = None
    behind_seconds: float | None = None
    unheard: tuple[str, ...] = ()
    found: list[Finding] = field(default_factory=list[Finding])
    _seen: dict[tuple[str, ...], Row] = field(default_factory=dict[tuple[str, ...], Row])

    def show(self, *rows: Row) -> list[Finding]:
        """What these rows, measured now, come to. What is not among them was not measured now."""
        for row in rows:
            row.ts = NOW_MS + self.at * 1000
            self._seen[_key(row)] = row
        changes = self.board.look(self.world(), now_ms=NOW_MS + self.at * 1000)
        self.board.accept(changes)
        findings = [one.finding for one in changes if one.finding is not None]
        self.found += findings
        self.at += STEP
        return findings

    def world(self, *, is_whole: bool = True) -> World:
        rows = self._seen.values()
        return World(
            queues={(one.source, one.queue): one for one in rows if isinstance(one, QueueSnapshot)},
            schedules={
                (one.source, one.queue, one.scheduler): one for one in rows if isinstance(one, SchedulerSnapshot)
            },
            sources={one.source: one for one in rows if isinstance(one, SourceSnapshot)},
            skew_ms={},
            silent_seconds=self.silent_seconds,
            is_whole=is_whole,
            habits={("main", "orders"): self.habit} if self.habit else {},
            behind_seconds=self.behind_seconds,
            unheard=self.unheard,
        )

    def hold(self, row: Row, ts: int) -> None:
        """A row that was measured at ts."""
        row.ts = ts
        self._seen[_key(row)] = row

    def forget(self, row: Row) -> None:
        del self._seen[_key(row)]

    def rings(self) -> list[str]:
        return [one.spot.rule for one in self.found if one.verdict is Verdict.FIRE]


def _key(row: Row) -> tuple[str, ...]:
    return tuple(getattr(row, name, "") for name in ("source", "queue", "scheduler"))


def healthy(at: int) -> Iterable[Row]:
    """A day as it should be: batch peaks, rolling restarts, retries, a queue that works by night, deploys, a pause."""
    is_restarting = at % (4 * HOUR) < 90
    workers = 0 if is_restarting else 4
    peak = max(0, 8000 - abs(at - 9 * HOUR) * 4)  # 8,000 jobs at nine, done half an hour later
    yield queue(
        "orders",
        waiting=peak + at % 40,
        active=workers,
        workers=workers,
        completed=at,
        failed=at // HOUR,
        oldest_waiting_seconds=peak / 8 + at % 40,
        longest_active_id="1",
        is_longest_active_locked=True,
        overdue=3 if is_restarting else 0,
        delayed=20,
    )
    is_night = at < 2 * HOUR
    yield queue(
        "nightly",
        waiting=40 if is_night else 0,
        workers=2 if is_night else 0,
        oldest_waiting_seconds=600.0 if is_night else None,
        active=0,
    )
    yield queue("mail", waiting=5, workers=None, oldest_waiting_seconds=1.0, overdue=None, active=3)
    since_pause = at % (6 * HOUR)
    is_paused = since_pause < 40 * MINUTE
    is_drained = since_pause > 43 * MINUTE
    yield queue(
        "parked",
        is_paused=is_paused,
        waiting=0 if is_drained else 7,
        oldest_waiting_seconds=None if is_drained else float(since_pause),
    )
    stalls = at % (2 * HOUR) == 0  # once a worker is killed by a deploy, its job's lock is gone for a moment
    yield queue(
        "video",
        active=1,
        longest_active_id="9",
        longest_active_seconds=5.0 * HOUR,
        is_longest_active_locked=not stalls,
        workers=1,
    )
    is_late = at % HOUR < 60
    yield schedule(is_overdue=is_late, overdue_seconds=at % HOUR if is_late else 0, next_run=NOW_MS)
    yield redis(is_reachable=at % (8 * HOUR) != 0, memory_bytes=at, evicted_keys=5)


def test_a_healthy_day_rings_for_nothing() -> None:
    day = Day()
    while day.at < DAY:
        # The bridge restarts now and then: for a minute nothing is measured.
        is_measured = day.at % (5 * HOUR) not in (30, 60)
        day.show(*(list(healthy(day.at)) if is_measured else list[Row]()))
    assert day.rings() == []
    assert not day.board.watches or not any(one.is_firing for one in day.board.watches.values())


FAULTS: dict[str, Callable[[int], Row]] = {
    "no-workers": lambda at: queue(waiting=3, workers=0),
    "oldest-waiting": lambda at: queue(waiting=3, oldest_waiting_seconds=25.0 * MINUTE + at),
    "depth": lambda at: queue(waiting=6000, prioritized=6000, oldest_waiting_seconds=5.0),
    "unlocked": lambda at: queue(active=1, longest_active_id="7", is_longest_active_locked=False),
    "overdue": lambda at: queue(delayed=9, overdue=4),
    "paused": lambda at: queue(is_paused=True, waiting=2),
    "schedule": lambda at: schedule(is_overdue=True, overdue_seconds=float(at)),
    "redis-unreachable": lambda at: redis(is_reachable=False, evicted_keys=None),
    "evictions": lambda at: redis(evicted_keys=at),
    "failure-rate": lambda at: queue(completed_per_minute=15, failed_per_minute=15),
    "still": lambda at: queue(waiting=3, active=2, completed_per_minute=0, failed_per_minute=0),
    "nothing-added": lambda at: queue(),
    "long-running": lambda at: queue(active=1, longest_active_id="7", longest_active_seconds=700.0 + at),
    "slow": lambda at: queue(),
    "memory": lambda at: redis(memory_bytes=95, max_memory_bytes=100),
}
USUAL = Habit(run_p95=2.0, run_p99=60.0, ends_per_minute=5.0, lately_p95=2.5, lately_runs=400, usual_added=40, added=9)
"""A queue of which a week is known, as it does now."""
ODD: dict[str, Habit] = {"nothing-added": replace(USUAL, added=0), "slow": replace(USUAL, lately_p95=30.0)}
WELL: dict[str, Row] = {
    **{name: queue() for name in ("no-workers", "oldest-waiting", "depth", "unlocked", "overdue", "paused")},
    "schedule": schedule(),
    "redis-unreachable": redis(),
    "evictions": redis(evicted_keys=9999),
    "failure-rate": queue(completed_per_minute=29, failed_per_minute=1),
    "still": queue(waiting=3, active=2, completed_per_minute=4, failed_per_minute=0),
    "nothing-added": queue(),
    "long-running": queue(active=1, longest_active_id="8", longest_active_seconds=20.0),
    "slow": queue(),
    "memory": redis(memory_bytes=50, max_memory_bytes=100),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_planted_fault_is_found_once_named_right_and_ends(fault: str) -> None:
    day = Day(habit=USUAL)
    day.show(WELL[fault])
    day.habit = ODD.get(fault, USUAL)
    while not day.rings() and day.at < 2 * HOUR:
        day.show(FAULTS[fault](day.at))
    assert day.rings() == [fault], "found"
    [fired] = [one for one in day.found if one.verdict is Verdict.FIRE]
    assert fired.title
    assert fired.text.endswith(".")
    ended_from = day.at
    day.habit = USUAL
    while day.found[-1].verdict is not Verdict.RESOLVE and day.at < ended_from + HOUR:
        day.show(WELL[fault])
    assert day.found[-1].verdict is Verdict.RESOLVE
    assert day.rings() == [fault], "and nothing else"
    assert day.board.watches == {}


@pytest.mark.parametrize("fault", [one.name for one in (*QUEUE_RULES, *SCHEDULE_RULES)])
def test_what_a_queue_rang_for_ends_when_it_is_emptied_paused_and_without_workers(fault: str) -> None:
    day = Day(habit=USUAL)
    day.show(WELL[fault])
    day.habit = ODD.get(fault, USUAL)
    while not day.rings():
        day.show(FAULTS[fault](day.at))
    day.habit, ended_from = USUAL, day.at
    while day.board.watches and day.at < ended_from + HOUR:
        day.show(queue(is_paused=True, workers=0, completed_per_minute=0, failed_per_minute=0), schedule())
    assert [one.verdict for one in day.found if one.verdict is not Verdict.NOTHING] == [Verdict.FIRE, Verdict.RESOLVE]


def test_a_bridge_that_falls_silent_is_found() -> None:
    day = Day()
    day.show(redis())
    for seconds in (60.0, 200.0, 299.0, 301.0, 400.0, 3.0):
        day.silent_seconds = {"main": seconds}
        day.show()
    assert [(one.spot.rule, one.verdict) for one in day.found if one.verdict is not Verdict.NOTHING] == [
        ("bridge-silent", Verdict.FIRE),
        ("bridge-silent", Verdict.RESOLVE),
    ]


def test_a_bridge_that_does_not_come_back_with_us_is_found_and_nothing_ends_by_our_own_start() -> None:
    day = Day(unheard=("main",))
    day.show(redis())
    for seconds in (1.0, 200.0, 301.0, 1.0, 61.0, 301.0):  # we start anew after the fourth
        day.silent_seconds = {"main": seconds}
        day.show()
    assert [one.verdict for one in day.found if one.verdict is not Verdict.NOTHING] == [Verdict.FIRE]
    day.unheard, day.silent_seconds = (), {"main": 1.0}
    day.show()
    assert day.found[-1].verdict is Verdict.RESOLVE


def test_every_rule_has_a_planted_fault() -> None:
    assert {*FAULTS, "bridge-silent", "behind"} == {one.name for one in RULES}


def test_tocsin_that_is_behind_is_found() -> None:
    day = Day()
    for seconds in (1.0, 130.0, 150.0, 170.0, 200.0, None, 20.0):
        day.behind_seconds = seconds
        day.show()
    assert [(one.spot.rule, one.verdict) for one in day.found if one.verdict is not Verdict.NOTHING] == [
        ("behind", Verdict.FIRE),
        ("behind", Verdict.RESOLVE),
    ]


def test_what_a_bot_that_is_gone_had_found_by_its_own_ears_is_ended_by_another() -> None:
    spot = Spot("bridge-silent", "prod", "main")
    day, fired = Day(silent_seconds={"main": 1.0}), Watch(NOW_MS - 300_000, NOW_MS - 30_000, is_firing=True)
    day.board.adopt({spot: fired}, now_ms=NOW_MS)
    day.show(redis())
    assert day.board.watches == {}, "another bot says so and is there: it may not hear what we do"
    day.board.adopt({spot: fired}, now_ms=NOW_MS + 180_000)
    while not day.found and day.at < HOUR:
        day.show(redis())
    assert [(one.spot, one.verdict) for one in day.found] == [(spot, Verdict.RESOLVE)]


def test_a_source_that_was_taken_away_rings_once_for_who_does_as_its_alert_says() -> None:
    day = Day(silent_seconds={"main": 301.0})
    [fired] = day.show(redis())
    assert ("/ack" in fired.text, "/resolve" in fired.text) == (True, False)
    rung = found(fired, None, NOW_MS, Policy(), None)
    assert rung is not None
    assert rung.call is Call.RING
    mine = ack(rung.incident, Person(1, "Ann"), now_ms=NOW_MS)
    again = Day(silent_seconds={"main": 301.0}).show(redis())  # a bot that begins anew finds it itself
    assert [one.verdict for one in again] == [Verdict.FIRE]
    told = found(again[0], mine, NOW_MS + 1, Policy(), None)
    assert told is None or told.call is not Call.RING


def test_what_another_bot_rang_for_is_ended_by_one_that_had_only_begun_to_suspect_it() -> None:
    day = Day()
    day.show(queue(waiting=9, workers=0))
    [(spot, suspected)] = [one for one in day.board.watches.items() if one[0].rule == "no-workers"]
    assert not suspected.is_firing
    day.board.adopt({spot: Watch(NOW_MS - HOUR * 1000, suspected.at_ms, is_firing=True)}, now_ms=NOW_MS)
    while day.board.watches and day.at < HOUR:
        day.show(queue())
    assert (day.found[-1].spot, day.found[-1].verdict) == (spot, Verdict.RESOLVE)


@pytest.mark.parametrize("fault", ["still", "nothing-added", "long-running", "slow"])
def test_without_history_what_compares_with_it_neither_rings_nor_ends(fault: str) -> None:
    day = Day()
    while day.at < HOUR:
        day.show(FAULTS[fault](day.at))
    assert day.rings() == []
    day.habit = ODD.get(fault, USUAL)
    while not day.rings():
        day.show(FAULTS[fault](day.at))
    day.habit = None
    for _ in range(200):
        day.show(queue() if fault != "long-running" else queue(active=1))
    assert [one.verdict for one in day.found if one.verdict is not Verdict.NOTHING] == [Verdict.FIRE]


def test_too_few_jobs_make_no_rate() -> None:
    day = Day(habit=replace(USUAL, lately_p95=90.0, lately_runs=49))
    for _ in range(100):
        day.show(queue(completed_per_minute=0, failed_per_minute=19))
    assert day.rings() == []


def test_a_queue_of_long_jobs_is_given_their_time() -> None:
    day = Day(habit=replace(USUAL, run_p95=HOUR, run_p99=2.0 * HOUR, ends_per_minute=0.02))
    while day.at < 5 * HOUR:
        day.show(queue(waiting=3, active=1, completed_per_minute=0, failed_per_minute=0, longest_active_seconds=60.0))
    assert day.rings() == []


def test_what_is_not_measured_neither_rings_nor_ends() -> None:
    day = Day()
    for _ in range(20):
        day.show(queue(waiting=3, workers=None, active=1, oldest_waiting_seconds=None, overdue=None))
    assert day.rings() == []
    while not day.rings():
        day.show(queue(waiting=3, workers=0))
    for _ in range(200):
        day.show(queue(waiting=0, workers=None))
        day.show()
    assert [one.verdict for one in day.found if one.verdict is not Verdict.NOTHING] == [Verdict.FIRE]


def test_a_time_in_which_nothing_was_measured_counts_for_nothing() -> None:
    day = Day()
    day.show(queue(waiting=3, workers=0))
    day.at += int(MOST_APART_SECONDS) + STEP
    assert day.show(queue(waiting=3, workers=0)) == []
    day.at += 120
    assert day.show(queue(waiting=3, workers=0)) == []
    assert [one.verdict for one in day.show(queue(waiting=3, workers=0))] == [Verdict.FIRE]


def test_a_restart_goes_on_from_what_was_stored() -> None:
    first = Day()
    for _ in range(5):
        first.show(queue(waiting=3, workers=0))
    stored = dict(first.board.watches)
    assert first.rings() == []
    second = Day(Board(watches=stored), at=first.at)
    second.show(queue(waiting=3, workers=0))
    assert [one.verdict for one in second.show(queue(waiting=3, workers=0))] == [Verdict.FIRE]
    third = Day(Board(watches=dict(second.board.watches)), at=second.at)
    third.show(queue(waiting=3, workers=0))
    assert third.rings() == [], "it rang already"


def test_what_was_in_trouble_at_the_first_start_rings_only_once_it_was_well() -> None:
    day = Day()
    day.hold(queue("dead", waiting=9, workers=0), NOW_MS)
    day.hold(queue("big", waiting=50_000), NOW_MS)
    day.board.accept(day.board.begin(day.world(), now_ms=NOW_MS))
    known = [from_snapshot(one) for one in (queue("dead", waiting=9, workers=0), queue("big", waiting=50_000), queue())]
    greeting = greeting_text(known, day.board.firing(), missing=0)
    assert "3 queues. 2 already in trouble" in greeting
    assert "<b>dead</b>: 9 ready, no workers\n" in greeting
    assert "<b>big</b>: Backlog\n" in greeting
    for _ in range(20):
        day.show(queue("dead", waiting=9, workers=0))
    assert day.rings() == []
    for _ in range(4):
        day.show(queue("dead"))
    for _ in range(8):
        day.show(queue("dead", waiting=9, workers=0))
    assert day.rings() == ["no-workers"]


def test_queues_of_long_names_are_told_apart_and_named_as_their_failures_are() -> None:
    day, long = Day(), "q" * 150
    while day.at < HOUR:
        day.show(queue(f"{long}1", waiting=3, workers=0), queue(f"{long}2"))
    assert [one.spot.key.queue for one in day.found if one.verdict is Verdict.FIRE] == [f"{long}1"]
    assert day.rings() == ["no-workers"]


def test_nothing_is_remembered_of_places_that_are_gone() -> None:
    day = Day(habit=USUAL)
    rows = queue(waiting=1, workers=0, completed_per_minute=0, failed_per_minute=0), schedule(), redis()
    for _ in range(9):
        day.show(*rows)
    for row in rows:
        day.forget(row)
    day.show()
    assert [name for name, held in vars(day.board).items() if isinstance(held, dict) and held] == []


def test_old_rows_say_nothing_of_now() -> None:
    day = Day()
    day.hold(schedule(is_overdue=True, overdue_seconds=9999.0), NOW_MS - 3_600_000)
    assert day.show() == []


def test_a_queue_that_is_gone_or_a_rule_switched_off_ends_what_it_found() -> None:
    for is_gone in (True, False):
        day = Day()
        while not day.rings():
            day.show(queue(waiting=3, workers=0))
        if is_gone:
            assert day.board.look(day.world(is_whole=False), now_ms=NOW_MS) == []
            day.forget(queue())
        else:
            day.board.book.learn({"no-workers": Tuning(is_on=False)})
        assert [one.verdict for one in day.show()] == [Verdict.RESOLVE]
        assert day.board.watches == {}


def test_an_overdue_schedule_is_told_once_not_as_an_overdue_job_too() -> None:
    day = Day()
    for _ in range(20):
        late = schedule(is_overdue=True, overdue_seconds=float(day.at))
        day.show(queue("reports", overdue=1, delayed=1), late)
    assert day.rings() == ["schedule"]


def test_an_incident_of_a_rule_is_named_by_it() -> None:
    assert Spot("schedule", "prod", "main", "reports", "nightly").key[3] == "rule:schedule:nightly"
    assert Spot("evictions", "prod", "main").key == ("prod", "main", "", "rule:evictions")
    assert Watch(1, 1).is_firing is False
