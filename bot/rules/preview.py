"""What would have rung in the last day: the past as Kafka still has it, through the live rules."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge

import structlog
from msgspec.structs import replace

from bot.incidents.failures import LONG, failing_frame
from bot.incidents.machine import Incident
from bot.kafka import KafkaRecord, Replay
from bot.rules.rehearsal import STEP_MS, Record, Rehearsal
from bot.rules.rulebook import RuleBook, Tuning
from tocsin.events import BadRecord, JobEvent, QueueSnapshot, SchedulerSnapshot, SourceSnapshot, decode, encode

log = structlog.get_logger("preview")

Kind = type[JobEvent] | type[QueueSnapshot] | type[SchedulerSnapshot] | type[SourceSnapshot]

LONGEST_HOURS = 24.0
MOST_RECORDS, MOST_BYTES = 200_000, 64 * 2**20
"""In memory at once; what is no failure is left out before, and of failures what no rule looks at."""
MOST_SECONDS = 25.0
READ_RECORDS = 2000
READ_SECONDS = 1.0


@dataclass(frozen=True)
class Previewed:
    """rung: what would have rung, in order. first_ms, last_ms: of the records that were read; is_whole: all of them.

    Kafka keeps every failure of a week; of what is measured it keeps only the newest once it has tidied up (topics that
    are compacted), so rules over that see as far back as it has not.
    """

    rung: list[tuple[int, Incident]]
    records: int
    first_ms: int | None
    last_ms: int | None
    is_whole: bool


@dataclass
class Preview:
    """One at a time. feeds: the topics that rules read, each with what is in it."""

    feeds: Callable[[], Iterable[tuple[Replay, Kind]]]
    book: RuleBook
    marks: tuple[bytes, ...] = ()
    """Job events that hold none of these are nothing to any rule."""

    def __post_init__(self) -> None:
        self._turn = asyncio.Lock()

    @property
    def is_busy(self) -> bool:
        return self._turn.locked()

    async def run(self, changes: Mapping[str, Tuning], *, hours: float, only: Mapping[str, str]) -> Previewed:
        """With these rules changed. only: of an env, source, queue. Raises KafkaError."""
        async with self._turn:
            past = await self._past(hours, MOST_SECONDS)
            [found] = await _rehearse(past, [self._book(changes)], only)
            return found

    async def compare(
        self, changes: Mapping[str, Tuning], *, hours: float, seconds: float
    ) -> tuple[Previewed, Previewed]:
        """As the rules are, and with these changed. seconds: how long both may take. Raises KafkaError.

        Both see the same records: cut short, too, one can be held against the other.
        """
        async with self._turn:
            past = await self._past(hours, seconds)
            is_same = all(self.book.tuning(rule) == one for rule, one in changes.items())
            books = [self._book({}), *([] if is_same else [self._book(changes)])]
            found = await _rehearse(past, books, {})
            return found[0], found[-1]

    def _book(self, changes: Mapping[str, Tuning]) -> RuleBook:
        book = RuleBook(self.book.base)
        book.learn({**self.book.tunings, **changes})
        return book

    async def _past(self, hours: float, seconds: float) -> "_Past":
        until = time.monotonic() + seconds
        since_ms = int((time.time() - hours * 3600) * 1000)
        feeds = list(self.feeds())
        past = _Past([], True, until)
        for feed, kind in feeds:
            most, most_bytes = MOST_RECORDS // len(feeds), MOST_BYTES // len(feeds)
            try:
                records, is_all = await _read(feed, kind, self.marks, since_ms, until, most, most_bytes)
            finally:
                await feed.stop()
            past.streams.append(records)
            past.is_whole = past.is_whole and is_all
        return past


@dataclass
class _Past:
    """streams: a topic each, by time. is_whole: that is all there was. until: by the monotonic clock."""

    streams: list[list[tuple[int, bytes, Kind]]]
    is_whole: bool
    until: float


async def _rehearse(past: _Past, books: Sequence[RuleBook], only: Mapping[str, str]) -> list[Previewed]:
    """What each of these books would have rung, in one pass."""
    rehearsals, count, first_ms, last_ms = [Rehearsal(one) for one in books], 0, None, None
    is_whole = past.is_whole
    end_ms, some = 0, list[tuple[int, Record]]()
    for at_ms, value, kind in merge(*past.streams, key=lambda one: one[0]):
        if at_ms >= end_ms:
            if some:
                for one in rehearsals:
                    one.pass_time(end_ms, some)
                    await asyncio.sleep(0)  # commands and alerts go on meanwhile
            end_ms, some = at_ms // STEP_MS * STEP_MS + STEP_MS, []
        decoded = _decode(value, kind)
        if decoded is None or any(getattr(decoded, name) != value for name, value in only.items()):
            continue
        first_ms, last_ms, count = at_ms if first_ms is None else first_ms, at_ms, count + 1
        some.append((at_ms, decoded))
        if time.monotonic() > past.until:
            is_whole = False
            break
    for one in rehearsals if some else ():
        one.pass_time(end_ms, some)
    log.info("previewed", records=count, rung=[len(one.rung) for one in rehearsals], is_whole=is_whole)
    rung = [[(each.at_ms, each.incident) for each in one.rung] for one in rehearsals]
    return [Previewed(one, count, first_ms, last_ms, is_whole) for one in rung]


async def _read(
    feed: Replay, kind: Kind, marks: tuple[bytes, ...], since_ms: int, until: float, most: int, most_bytes: int
) -> tuple[list[tuple[int, bytes, Kind]], bool]:
    """Records of a topic since then, by their times; and whether that is all."""
    partitions = list(range(await feed.start()))
    first, ends = await feed.since(partitions, since_ms), await feed.ends(partitions)
    left = {one for one in partitions if first[one] < ends[one]}
    feed.place({one: first[one] for one in left})
    found: list[tuple[int, bytes, Kind]] = []
    size = 0
    while left:
        if time.monotonic() > until or len(found) >= most or size >= most_bytes:
            return sorted(found, key=lambda one: one[0]), False
        for record in await feed.read(wait_seconds=READ_SECONDS, most=READ_RECORDS):
            value = _of_use(record, kind, marks) if record.offset < ends[record.partition] else b""
            if value:
                found.append((record.ts, value, kind))
                size += len(value)
        for partition in list(left):
            if await feed.position(partition) >= ends[partition]:
                left.discard(partition)
    return sorted(found, key=lambda one: one[0]), True


def _of_use(record: KafkaRecord, kind: Kind, marks: tuple[bytes, ...]) -> bytes:
    """What rules look at of a record; empty if they do not. A failure may come with 40 KiB of what it was given."""
    value = record.value or b""
    if kind is not JobEvent:
        return value
    if not any(mark in value for mark in marks):
        return b""
    try:
        event = decode(JobEvent, value)
    except BadRecord:
        return b""
    return encode(
        replace(event, data="", result="", progress="", error=event.error[:LONG], stack=[failing_frame(event.stack)])
    )


def _decode(value: bytes, kind: Kind) -> Record | None:
    try:
        return decode(kind, value)
    except BadRecord:
        return None
