"""What every rule says of every place, from one look to the next (pure).

A look makes changes. Whoever looks stores them before the next look, and says so: a crash repeats a look at most.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from bot.incidents.failures import LONG, Key, key_part, stored
from bot.rules.conditions import (
    MOST_APART_SECONDS,
    NO_HABIT,
    BridgeSight,
    Habit,
    QueueSight,
    Rule,
    ScheduleSight,
    Seen,
    SelfSight,
    SourceSight,
    Verdict,
    Watch,
    judge,
)
from bot.rules.rulebook import RuleBook
from bot.rules.ruleset import BRIDGE_RULES, QUEUE_RULES, SCHEDULE_RULES, SELF_RULES, SOURCE_RULES
from tocsin.events import QueueSnapshot, SchedulerSnapshot, SourceSnapshot

KEEP_SECONDS = 60.0
"""How often the time of the last measurement is stored, and the text of an alert is brought up to date."""


GONE_SECONDS = 3 * KEEP_SECONDS
OWN = frozenset(one.name for one in BRIDGE_RULES)
"""Rules over what this bot itself hears; the others judge what every bot reads alike."""

TOCSIN = "tocsin"
"""Env and source of what a rule finds in Tocsin itself."""


class Spot(NamedTuple):
    """One rule in one place. part: the schedule's id. No queue = the source's Redis.

    Parts are as in the key of an incident: four of them and the rule fit into an index entry of Postgres, 2700 bytes.
    """

    rule: str
    env: str
    source: str
    queue: str = ""
    part: str = ""

    @property
    def key(self) -> Key:
        """The incident of what the rule finds here."""
        fingerprint = f"rule:{self.rule}:{self.part}" if self.part else f"rule:{self.rule}"
        return Key(*(key_part(part) for part in (self.env, self.source, self.queue, fingerprint)))


@dataclass(frozen=True)
class Finding:
    """What an incident is to say. verdict nothing: as before, with another text."""

    spot: Spot
    verdict: Verdict
    title: str
    text: str
    since_ms: int
    at_ms: int


@dataclass(frozen=True)
class Change:
    """What is to be stored of a spot; watch None = nothing."""

    spot: Spot
    watch: Watch | None
    finding: Finding | None = None


@dataclass(frozen=True)
class World:
    """All that is known now. is_whole: what is not here is not there.

    skew_ms: see Snapshots. silent_seconds: source -> since when the bridge has told nothing of it, though we listened.
    unheard: of those sources, they have told nothing since we began to listen: they are silent for that long at least.
    habits: what history says of queues. behind_seconds: how old the newest is that is counted; None = not known.
    """

    queues: Mapping[tuple[str, str], QueueSnapshot]
    schedules: Mapping[tuple[str, str, str], SchedulerSnapshot]
    sources: Mapping[str, SourceSnapshot]
    skew_ms: Mapping[str, int]
    silent_seconds: Mapping[str, float]
    is_whole: bool
    habits: Mapping[tuple[str, str], Habit] = field(default_factory=dict[tuple[str, str], Habit])
    behind_seconds: float | None = None
    unheard: Collection[str] = ()


@dataclass
class Board:
    """What is off is not looked at, and what it had found is over."""

    book: RuleBook = field(default_factory=RuleBook)
    watches: dict[Spot, Watch] = field(default_factory=dict[Spot, Watch])
    _judged: dict[tuple[str, ...], int] = field(default_factory=dict[tuple[str, ...], int])
    _evicted: dict[str, int] = field(default_factory=dict[str, int])
    _told: dict[Spot, tuple[int, str]] = field(default_factory=dict[Spot, tuple[int, str]])
    _stored_ms: dict[Spot, int] = field(default_factory=dict[Spot, int])
    _still: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict[tuple[str, str], tuple[int, int]])

    def look(self, world: World, *, now_ms: int) -> list[Change]:
        """Judge what was measured since the last look."""
        changes: list[Change] = []
        overdue = _overdue_schedules(world.schedules.values())
        for place, queue in world.queues.items():
            if self._is_news(world, ("queue", *place), queue, now_ms):
                habit, still = world.habits.get(place, NO_HABIT), self._still_seconds(place, queue)
                sight = QueueSight(queue, overdue.get(place, 0), habit, still)
                changes += self._judge_all(QUEUE_RULES, (queue.env, *place), sight, queue.ts)
        for (source, name, scheduler), schedule in world.schedules.items():
            if self._is_news(world, ("schedule", source, name, scheduler), schedule, now_ms):
                sight = ScheduleSight(schedule, world.queues.get((source, name)))
                changes += self._judge_all(SCHEDULE_RULES, (schedule.env, source, name, scheduler), sight, schedule.ts)
        for name, source in world.sources.items():
            if self._is_news(world, ("source", name), source, now_ms):
                sight = SourceSight(source, self._evictions(source))
                changes += self._judge_all(SOURCE_RULES, (source.env, name), sight, source.ts)
        for name, seconds in world.silent_seconds.items():
            source = world.sources.get(name)
            if source is not None:
                sight = BridgeSight(source, seconds)
                is_least = name in world.unheard
                changes += self._judge_all(BRIDGE_RULES, (source.env, name), sight, now_ms, is_least=is_least)
        if world.behind_seconds is not None:
            changes += self._judge_all(SELF_RULES, (TOCSIN, TOCSIN), SelfSight(world.behind_seconds), now_ms)
        return [*changes, *self._gone(world, now_ms)]

    def begin(self, world: World, *, now_ms: int) -> list[Change]:
        """The very first look of an installation: what rules find in queues already is told by the greeting.

        They ring once they have been well and are in trouble again. A Redis that is in trouble rings.
        """
        return [
            one if one.watch is None or not one.spot.queue else Change(one.spot, replace(one.watch, is_firing=True))
            for one in self.look(world, now_ms=now_ms)
        ]

    def firing(self) -> Mapping[tuple[str, str], Collection[str]]:
        """The rules that ring for a queue, or found it so from the first, by its source and name."""
        found: dict[tuple[str, str], set[str]] = {}
        for spot, watch in self.watches.items():
            if watch.is_firing and spot.queue:
                found.setdefault((spot.source, spot.queue), set()).add(spot.rule)
        return found

    def adopt(self, stored: Mapping[Spot, Watch], *, now_ms: int) -> None:
        """Go on from what this bot, or another, had stored.

        What a bot finds by its own ears is its own, until it has said nothing of it for so long that it must be gone.
        What has rung goes before what we only begin to suspect: who forgot it would never end it.
        """
        for spot, watch in stored.items():
            if spot.rule in OWN and now_ms - watch.at_ms < GONE_SECONDS * 1000:
                continue
            mine = self.watches.get(spot)
            if mine is None or (watch.is_firing and not mine.is_firing):
                self.watches[spot] = watch

    def accept(self, changes: Iterable[Change]) -> None:
        """These changes are stored."""
        for one in changes:
            if one.watch is None:
                for known in (self.watches, self._told, self._stored_ms):
                    known.pop(one.spot, None)
            else:
                self.watches[one.spot] = one.watch
                self._stored_ms[one.spot] = one.watch.at_ms
            if one.watch is not None and one.finding is not None:
                self._told[one.spot] = (one.finding.at_ms, one.finding.text)

    def _is_news(
        self,
        world: World,
        name: tuple[str, ...],
        seen: QueueSnapshot | SchedulerSnapshot | SourceSnapshot,
        now_ms: int,
    ) -> bool:
        age_ms = now_ms - seen.ts - world.skew_ms.get(seen.source, 0)
        if self._judged.get(name) == seen.ts or age_ms > MOST_APART_SECONDS * 1000:
            return False
        self._judged[name] = seen.ts
        return True

    def _evictions(self, source: SourceSnapshot) -> int | None:
        """Keys evicted since the look before; a Redis that began anew counts from 0."""
        if source.evicted_keys is None:
            return None
        before = self._evicted.get(source.source)
        self._evicted[source.source] = source.evicted_keys
        return None if before is None else max(0, source.evicted_keys - before)

    def _still_seconds(self, place: tuple[str, str], queue: QueueSnapshot) -> float | None:
        """Since when work has been ready and nothing has ended. A time in which nothing was measured begins it anew."""
        ended = (queue.completed_per_minute, queue.failed_per_minute)
        if None in ended:
            return None
        since_ms, at_ms = self._still.get(place, (queue.ts, queue.ts))
        is_apart = queue.ts - at_ms > MOST_APART_SECONDS * 1000
        if any(ended) or is_apart or queue.is_paused or not (queue.waiting + queue.prioritized):
            since_ms = queue.ts
        self._still[place] = since_ms, queue.ts
        return (queue.ts - since_ms) / 1000

    def _judge_all(
        self, rules: Iterable[Rule[Seen]], place: tuple[str, ...], sight: Seen, at_ms: int, *, is_least: bool = False
    ) -> Iterable[Change]:
        """is_least: it is that much or more, which is a reason to fire but none to resolve."""
        for rule in self.book.tuned(rules):
            value = rule.value(sight)
            if value is not None and not (is_least and value < rule.fire):
                spot = Spot(rule.name, *(key_part(part) for part in place))
                change = self._judge(rule, spot, sight, value, at_ms)
                if change is not None:
                    yield change

    def _judge(self, rule: Rule[Seen], spot: Spot, sight: Seen, value: float, at_ms: int) -> Change | None:
        before = self.watches.get(spot)
        after, verdict = judge(rule, before, value, at_ms)
        if after is None and before is None:
            return None
        finding: Finding | None = None
        since_ms = (after or before or Watch(at_ms, at_ms)).since_ms
        if verdict is not Verdict.NOTHING or (after is not None and after.is_firing):
            text = stored(rule.explain(sight), LONG)
            told_ms, told = self._told.get(spot, (0, ""))
            if verdict is not Verdict.NOTHING or (text != told and at_ms - told_ms >= KEEP_SECONDS * 1000):
                finding = Finding(spot, verdict, rule.title, text, since_ms, at_ms)
        is_worth = finding is not None or _is_news(before, after)
        if after is not None and not is_worth and at_ms - self._stored_ms.get(spot, 0) < KEEP_SECONDS * 1000:
            self.watches[spot] = after  # its time alone is not worth a transaction
            return None
        return Change(spot, after, finding)

    def _gone(self, world: World, now_ms: int) -> Iterable[Change]:
        """Whatever a rule watched that is no longer there, or is no longer watched."""
        if not world.is_whole:
            return
        self._forget(world)
        for spot, watch in self.watches.items():
            if not self.book.is_on(spot.rule) or not _is_there(world, spot):
                end = Finding(spot, Verdict.RESOLVE, "", "", watch.since_ms, now_ms) if watch.is_firing else None
                yield Change(spot, None, end)

    def _forget(self, world: World) -> None:
        """What is remembered of places that are no longer there; looked for only where there is some."""
        if len(self._still) > len(world.queues):
            self._still = {place: one for place, one in self._still.items() if place in world.queues}
        if len(self._evicted) > len(world.sources):
            self._evicted = {name: one for name, one in self._evicted.items() if name in world.sources}
        if len(self._judged) > len(world.queues) + len(world.schedules) + len(world.sources):
            there = {("queue", *one) for one in world.queues} | {("schedule", *one) for one in world.schedules}
            there |= {("source", one) for one in world.sources}
            self._judged = {name: ts for name, ts in self._judged.items() if name in there}


def _is_news(before: Watch | None, after: Watch | None) -> bool:
    """Whether a crash must not forget it."""
    if before is None or after is None:
        return True
    return (before.since_ms, before.is_firing, before.well_since_ms) != (
        after.since_ms,
        after.is_firing,
        after.well_since_ms,
    )


def _is_there(world: World, spot: Spot) -> bool:
    if spot.source == TOCSIN and spot.env == TOCSIN:
        return True
    if spot.part:
        return (spot.source, spot.queue, spot.part) in world.schedules
    return (spot.source, spot.queue) in world.queues if spot.queue else spot.source in world.sources


def _overdue_schedules(schedules: Iterable[SchedulerSnapshot]) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for one in schedules:
        if one.is_overdue:
            found[one.source, one.queue] = found.get((one.source, one.queue), 0) + 1
    return found
