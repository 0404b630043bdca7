"""What would ring: the live rules, board and incident machine over records of the past, by a clock of their own (pure).

Time goes in steps. What a step brought is applied as the bot would have applied it then. Nobody acks, and nothing is
silenced.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bot.incidents.failures import Key, tally
from bot.incidents.found import found
from bot.incidents.machine import Call, Incident, Step, resolve, step
from bot.rules.board import OWN, Board, World
from bot.rules.conditions import Habit
from bot.rules.rulebook import RuleBook
from tocsin.events import JobEvent, QueueSnapshot, SchedulerSnapshot, SourceSnapshot

Record = JobEvent | QueueSnapshot | SchedulerSnapshot | SourceSnapshot

STEP_MS = 2000
"""The bot looks as often."""
RESTING = OWN | {"still", "nothing-added", "long-running", "slow"}
"""Rules that find nothing in records alone: over what the bot hears by itself, or what history says of a queue."""


@dataclass(frozen=True)
class Rung:
    """One sound: when, and the incident as it was then."""

    at_ms: int
    incident: Incident
    call: Call


@dataclass
class Rehearsal:
    """One run through the past. habits: what history says of the queues, if that is known.

    hears_all: the records are all there were, so that a source without one is silent, and what none tells of is not
    there; Kafka keeps the newest only.
    """

    book: RuleBook
    board: Board = field(init=False)
    incidents: dict[Key, Incident] = field(default_factory=dict[Key, Incident])
    rung: list[Rung] = field(default_factory=list[Rung])
    queues: dict[tuple[str, str], QueueSnapshot] = field(default_factory=dict[tuple[str, str], QueueSnapshot])
    schedules: dict[tuple[str, str, str], SchedulerSnapshot] = field(
        default_factory=dict[tuple[str, str, str], SchedulerSnapshot]
    )
    sources: dict[str, SourceSnapshot] = field(default_factory=dict[str, SourceSnapshot])
    habits: Mapping[tuple[str, str], Habit] = field(default_factory=dict[tuple[str, str], Habit])
    skew_ms: dict[str, int] = field(default_factory=dict[str, int])
    hears_all: bool = False
    heard_ms: dict[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        self.board = Board(self.book)

    def pass_time(self, now_ms: int, records: Iterable[tuple[int, Record]]) -> None:
        """Apply what was written since the step before, each with when it was, and look."""
        events: list[JobEvent] = []
        for at_ms, record in records:
            match record:
                case JobEvent():
                    events.append(record)
                case QueueSnapshot():
                    self.queues[record.source, record.queue] = record
                    self.skew_ms[record.source] = at_ms - record.ts
                case SchedulerSnapshot():
                    self.schedules[record.source, record.queue, record.scheduler] = record
                case SourceSnapshot():
                    self.sources[record.source] = record
                    self.heard_ms[record.source] = at_ms
        self._count(events, now_ms)
        self._look(now_ms)
        self._resolve(now_ms)

    def world(self, now_ms: int) -> World:
        """As far as it was told."""
        silent = {one: (now_ms - at) / 1000 for one, at in self.heard_ms.items()} if self.hears_all else {}
        known = (self.queues, self.schedules, self.sources, self.skew_ms)
        return World(*known, silent, is_whole=self.hears_all, habits=self.habits)

    def _count(self, events: Iterable[JobEvent], now_ms: int) -> None:
        policy = self.book.policy
        for key, seen in tally(events, now_ms=now_ms, born_ms=0, policy=policy, skew_ms=self.skew_ms).items():
            self._take(key, step(key, self.incidents.get(key), seen, now_ms=now_ms, policy=policy), now_ms)

    def _look(self, now_ms: int) -> None:
        changes = self.board.look(self.world(now_ms), now_ms=now_ms)
        self.board.accept(changes)
        for finding in (one.finding for one in changes if one.finding is not None):
            key = finding.spot.key
            done = found(finding, self.incidents.get(key), now_ms, self.book.policy, None)
            if done is not None:
                self._take(key, done, now_ms)

    def _resolve(self, now_ms: int) -> None:
        for key, incident in list(self.incidents.items()):
            over = resolve(incident, now_ms=now_ms, heard_ms=now_ms, policy=self.book.policy)
            if over is not None:
                self.incidents[key] = over

    def _take(self, key: Key, done: Step, now_ms: int) -> None:
        self.incidents[key] = done.incident
        if done.call in (Call.RING, Call.SUMMARY):
            self.rung.append(Rung(now_ms, done.incident, done.call))
