"""One partition's way into ClickHouse: the exactly-once protocol.

Before an insert the offset of its first record is committed to Kafka with the metadata `first-last`, which says what is
about to be stored and, being a commit of the group, fails once the partition has another owner. Commit n also says that
n-1 is done. The insert carries the token `incarnation:topic:partition:first-last`, so ClickHouse takes the same range
once, whoever sends it, for as long as it remembers the token: the last 100,000 blocks of a table (schema/*.sql), which
at full speed, 16 lanes with an insert a second each, is an hour and a half. An insert that lands later than that, after
another owner has stored the range, would double it; our own inserts are cut off after a minute (logsvc/store.py).

Whoever is assigned the partition and finds such a range looks which of its offsets are stored and sends the others with
its token, then looks again and adds what is still missing under `token:r`, and `token:r2`. Both are needed: a token
alone may be remembered while its rows were lost with the server, and a look alone may be overtaken by a stopped owner's
insert that lands after it. What is missing even then holds the lane: it is never passed over.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import structlog

from logsvc.batch import BATCH_BYTES, Buffer, Feed, Record, Span, row_prefix, rows, span_of, ts_bounds, unfit
from logsvc.errors import Fenced, KafkaDown, QueryTooHeavy, RowsRefused, StoreDown
from logsvc.kafka import Bounds, Committed, Place
from logsvc.metrics import Metrics
from logsvc.restore import Found, Start, doubtful, plan
from tocsin.events import VERSION, DeadLetter, encode
from tocsin.lifecycle import pause

log = structlog.get_logger("logsvc.ingest")

FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 15.0
BODY_BYTES = 64 * 1024
DAY_MS = 24 * 3600 * 1000
REPAIRS = ("r", "r2")
"""What the tokens of repairs end with, in turn."""
SIFT_RECORDS = 2_000
"""Records decoded at a stretch, so that the loop turns in between."""

T = TypeVar("T")


class Log(Protocol):
    """Kafka, as a lane uses it (logsvc.kafka.Member)."""

    async def committed(self, place: Place) -> Committed: ...
    async def bounds(self, place: Place) -> Bounds: ...
    async def commit(self, place: Place, offset: int, metadata: str) -> None: ...
    async def position(self, place: Place) -> int | None: ...
    async def peek(self, place: Place, offset: int) -> Record | None: ...
    def seek(self, place: Place, offset: int) -> None: ...
    def pause(self, place: Place) -> None: ...
    def resume(self, place: Place) -> None: ...


class Table(Protocol):
    """ClickHouse, as a lane uses it (logsvc.store.Store)."""

    async def insert(self, table: str, rows: bytes, token: str) -> None: ...
    async def offsets(
        self, table: str, origin: tuple[str, str, int], span: Span, ts_bounds: tuple[int, int]
    ) -> set[int]: ...
    async def newest_offsets(self, table: str, topic: str, partition: int) -> dict[str, int]: ...
    async def newest_row(
        self, table: str, origin: tuple[str, str, int], first: int, last: int
    ) -> tuple[int, int] | None: ...


class Letters(Protocol):
    """The dead-letter topic (logsvc.kafka.DeadLetters)."""

    async def write(self, letter: bytes, letter_id: str) -> None: ...


@dataclass(frozen=True)
class Limits:
    """batch_rows: most rows of an insert. insert_seconds: least time between two. buffer_bytes: then reading pauses.

    retention_days: rows that are older may be gone from ClickHouse at any time, and are not missed.
    """

    batch_rows: int
    insert_seconds: float
    buffer_bytes: int
    retention_days: int


class GaveUp(Exception):
    """The lane was told to stop while a dependency was down. What it was storing is on record for the next owner."""


class Lane:
    """Stores one partition. `run` returns when drained, fenced, or told to stop while ClickHouse is down."""

    def __init__(
        self,
        place: Place,
        feed: Feed,
        cluster: str,
        kafka: Log,
        table: Table,
        letters: Letters,
        limits: Limits,
        metrics: Metrics,
    ) -> None:
        self.place = place
        self.feed = feed
        self.state = "restoring"
        self.next_offset: int | None = None
        """First offset not stored yet; None until restored."""
        self.dead_letters = 0
        self.lag = 0
        """Offsets behind Kafka's end, as of the last measurement."""
        self._cluster = cluster
        self._kafka = kafka
        self._table = table
        self._letters = letters
        self._limits = limits
        self._metrics = metrics
        self._buffer = Buffer()
        self._in_hand: Sequence[Record] = ()
        self._arrived = asyncio.Event()
        self._stop = asyncio.Event()
        self._keeps_buffer = False
        self._is_recovering = False
        self._is_paused = True
        self._is_astray = False
        self._finish_at: int | None = None
        self._due = 0.0
        self._start = Start(0, cluster)
        self._log = log.bind(topic=place.topic, partition=place.partition)

    @property
    def incarnation(self) -> str:
        return self._start.incarnation

    @property
    def buffered_bytes(self) -> int:
        return self._buffer.bytes + sum(len(record.value or b"") for record in self._in_hand)

    @property
    def oldest_unstored_ms(self) -> int | None:
        """Timestamp (producer's clock) of the oldest record read and not stored; None when all is stored."""
        oldest = self._in_hand[0] if self._in_hand else self._buffer.oldest
        return oldest.timestamp if oldest else None

    def arrived(self, records: Sequence[Record]) -> None:
        """Take records that were read, in order; ask for no more while the buffer is full."""
        self._buffer.extend(records)
        self._arrived.set()
        if self._buffer.bytes >= self._limits.buffer_bytes and not self._is_recovering and not self._is_paused:
            self._is_paused = True
            self._kafka.pause(self.place)

    def stop(self, *, flush: bool) -> None:
        """Let run return soon: after the insert under way, or with flush after the whole buffer."""
        self._keeps_buffer = not flush
        self._stop.set()
        self._arrived.set()

    def lost_place(self) -> None:
        """Kafka does not hold what comes next: store what was read, then restore, which finds out why and says it."""
        if not self._is_astray:
            self._log.warning("place_lost", stored_up_to=self.next_offset)
        if self._finish_at is None and not self._is_recovering:
            self._finish_at = self.next_offset  # so that what expired is counted even if nothing was stored yet
        self._is_astray = True
        self._arrived.set()

    async def run(self) -> None:
        """Restore, then store until stopped."""
        try:
            await self._live()
            while self._is_astray and not self._stop.is_set():
                await self._live()
        except Fenced:
            self.state = "fenced"
            self._log.info("partition_lost")
        except GaveUp:
            self.state = "stopped"
            self._log.warning("stopped_with_rows_unstored", first=self._in_hand[0].offset if self._in_hand else None)

    async def _live(self) -> None:
        """Restore, then store until stopped or astray."""
        await self._restore()
        if self._start.recover:
            await self._recover(self._start.recover)
        while taken := await self._next_batch():
            await self._store(taken)
        await self._finish()

    async def _restore(self) -> None:
        bounds = await self._patiently(lambda: self._kafka.bounds(self.place))
        committed = await self._patiently(lambda: self._kafka.committed(self.place))
        newest = await self._patiently(lambda: self._table.newest_offsets(self.feed.table, *self.place))
        found = Found(committed.offset, committed.metadata, bounds.begin, bounds.end, newest)
        if life := doubtful(self._cluster, found):
            found = replace(found, departs=await self._departure(life, bounds))
        self._start = plan(self._cluster, found)
        self.next_offset = self._start.offset
        self._prefix = row_prefix(self.feed, self._start.incarnation, self.place.partition)
        self._say_what_was_found(found)
        self._is_recovering = self._start.recover is not None
        self._buffer = Buffer()
        self._is_astray = False
        self._kafka.seek(self.place, self._start.offset)
        self._is_paused = False
        self._kafka.resume(self.place)
        self.state = "storing"

    async def _departure(self, incarnation: str, bounds: Bounds) -> int:
        """First offset after the last row that Kafka still holds as it was stored; its first one if there is none.

        Found by halving: a log that was cut, or made anew, is the same up to some offset and another one from there.
        """
        origin = (incarnation, self.place.topic, self.place.partition)
        departure = low = bounds.begin
        high = bounds.end
        probe = high - 1
        while low < high:
            row = await self._patiently(
                lambda first=low, last=probe: self._table.newest_row(self.feed.table, origin, first, last)
            )
            if row is not None and not await self._is_same(*row):
                high = row[0]
            else:
                departure = row[0] + 1 if row else departure
                low = probe + 1
            probe = (low + high) // 2
        return departure

    async def _is_same(self, offset: int, ts: int) -> bool:
        """Whether Kafka's record at an offset is the one stored from there, by its ts; a missing one is not."""
        record = await self._patiently(lambda: self._kafka.peek(self.place, offset))
        if record is None or record.value is None or unfit(self.feed, record.value):
            return False
        return ts == ts_bounds(self.feed, [record])[0]

    def _say_what_was_found(self, found: Found) -> None:
        start = self._start
        if start.reborn_from:
            self._metrics.incarnations.labels(self.place.topic).inc()
            self._log.error(
                "kafka_began_anew",
                was=start.reborn_from,
                now=start.incarnation,
                kafka_end=found.end,
                stored=dict(found.newest),
                begins_at=start.offset,
                meaning="the topic or the cluster is another one than before; its records are stored beside the old"
                if found.departs is None or found.departs <= found.begin
                else "Kafka lost the end of its log; what was stored of it stays, what follows is stored beside it",
            )
        if start.expired:
            self._metrics.expired.labels(self.place.topic).inc(start.expired)
            self._log.error("records_expired_unread", offsets=start.expired, begin=found.begin)
        if start.is_position_lost:
            self._log.warning("group_position_lost", going_on_from=start.offset)

    async def _recover(self, span: Span) -> None:
        """Store a range that a former owner left open."""
        self.state = "recovering"
        is_whole = False
        while not self._is_astray and not is_whole:
            if self._stop.is_set():
                raise GaveUp
            is_whole = self._holds(span) or await self._has_passed(span)
            if not is_whole:
                await self._wait(0.5)
        self._in_hand = self._buffer.take_through(span.last)
        self._is_recovering = False
        fit = await self._sift(self._in_hand)
        if fit:
            fit, _ = await self._insert(fit, self._token(span), await self._stored(fit, span))
        if fit:
            await self._fill(fit, span)
        if not is_whole:  # the rest of the range is gone: the range stays on record, and is looked at again
            self._in_hand = ()
            return
        self._metrics.recovered.labels(self.place.topic).inc()
        self._log.info("range_recovered", span=str(span), rows=len(fit))
        self._done_with(span.last)
        self.state = "storing"

    def _holds(self, span: Span) -> bool:
        newest = self._buffer.newest
        return newest is not None and newest.offset >= span.last

    async def _has_passed(self, span: Span) -> bool:
        """Whether Kafka has nothing more of the range: compaction or retention took its last record."""
        position = await self._kafka.position(self.place)
        return position is not None and position > span.last

    async def _next_batch(self) -> list[Record]:
        """Wait for a batch that is full or due; empty once stopped."""
        while True:
            if self._stop.is_set():
                return [] if self._keeps_buffer else self._take()
            if self._is_astray:
                return self._take()
            now = time.monotonic()
            is_full = len(self._buffer) >= self._limits.batch_rows or self._buffer.bytes >= self._most_bytes
            if self._buffer and (is_full or now >= self._due):
                return self._take()
            if not self._buffer and self._finish_at is not None and now >= self._due:
                await self._finish()
            is_timed = bool(self._buffer) or self._finish_at is not None
            await self._wait(max(0.0, self._due - now) if is_timed else None)

    @property
    def _most_bytes(self) -> int:
        return min(BATCH_BYTES, self._limits.buffer_bytes)

    def _take(self) -> list[Record]:
        taken = self._buffer.take(self._limits.batch_rows)
        if self._is_paused and self._buffer.bytes < self._limits.buffer_bytes / 2:
            self._is_paused = False
            self._kafka.resume(self.place)
        return taken

    async def _store(self, taken: list[Record]) -> None:
        self._in_hand = taken
        span = span_of(taken)
        fit = await self._sift(taken)
        await self._patiently(lambda: self._kafka.commit(self.place, span.first, str(span)))
        if fit and span.first <= self._start.stored_through:
            await self._fill(fit, span)
        elif fit:
            fit, is_sure = await self._insert(fit, self._token(span))
            if fit and not is_sure:
                await self._fill(fit, span)
        self._done_with(span.last)

    def _done_with(self, last: int) -> None:
        self._in_hand = ()
        self.next_offset = self._finish_at = last + 1
        self._due = time.monotonic() + self._limits.insert_seconds * self.feed.pace

    async def _finish(self) -> None:
        """Say that nothing is under way, once, so that the next owner has nothing to repeat."""
        if self._finish_at is not None:
            offset = self._finish_at
            await self._patiently(lambda: self._kafka.commit(self.place, offset, ""))
            self._finish_at = None

    def _token(self, span: Span) -> str:
        return f"{self._start.incarnation}:{self.place.topic}:{self.place.partition}:{span}"

    async def _sift(self, records: Sequence[Record]) -> list[Record]:
        """Return the records that can be rows; bury the others. A tombstone of a compacted topic is neither."""
        fit: list[Record] = []
        for number, record in enumerate(records):
            if number % SIFT_RECORDS == 0:
                await asyncio.sleep(0)
            if record.value is None:
                if self.feed.kind:
                    await self._bury(record, "the record has no value")
            elif reason := unfit(self.feed, record.value):
                await self._bury(record, reason)
            else:
                fit.append(record)
        return fit

    async def _insert(
        self, records: list[Record], token: str, stored: Collection[int] = ()
    ) -> tuple[list[Record], bool]:
        """Insert, parting the batch in two for as long as ClickHouse refuses it, until the bad record stands alone.

        stored: offsets that are rows already; they are left out, while the batch is parted, and each part's token made,
        as if they were not. Returns the records that are rows, and whether every acknowledgement came at the first
        attempt.
        """
        missing = [record for record in records if record.offset not in stored]
        if not missing:
            return records, True
        try:
            return records, await self._insert_patiently(missing, token)
        except RowsRefused as refusal:
            if len(records) == 1:
                await self._bury(records[0], f"ClickHouse refused it: {refusal}")
                return [], True
        middle = len(records) // 2
        taken: list[Record] = []
        is_sure = True
        for half in (records[:middle], records[middle:]):
            kept, was_sure = await self._insert(half, f"{token}/{span_of(half)}", stored)
            taken += kept
            is_sure = is_sure and was_sure
        return taken, is_sure

    async def _insert_patiently(self, records: list[Record], token: str) -> bool:
        block = rows(self._prefix, records)
        attempts: list[float] = []

        async def attempt() -> None:
            attempts.append(time.monotonic())
            with self._metrics.insert_seconds.labels(self.feed.table).time():
                await self._table.insert(self.feed.table, block, token)

        await self._patiently(attempt)
        self._metrics.rows_stored.labels(self.place.topic).inc(len(records))
        self._metrics.batch_rows.labels(self.feed.table).observe(len(records))
        return len(attempts) == 1

    async def _fill(self, records: list[Record], span: Span) -> None:
        """Store those of the records that are not stored: the offsets are compared as a set.

        A row that is missing even after the repairs holds the lane, for to go on would be to lose it. It is not sent
        under ever more tokens: if it is there after all and only not seen, each would double it.
        """
        for repair in REPAIRS:
            missing = await self._missing(records, span)
            if not missing:
                return
            self._log.warning("rows_missing", span=str(span), rows=len(missing))
            self._metrics.repaired.labels(self.place.topic).inc(len(missing))
            taken, _ = await self._insert(missing, f"{self._token(span)}:{repair}")
            gone = {record.offset for record in missing} - {record.offset for record in taken}
            records = [record for record in records if record.offset not in gone]
        if not (lost := await self._missing(records, span)):
            return
        self._metrics.unaccounted.labels(self.place.topic).inc(len(lost))
        self._log.error("rows_still_missing", span=str(span), rows=len(lost), first=lost[0].offset)

        async def look() -> None:
            if lost := await self._missing(records, span):
                raise StoreDown(f"{len(lost)} rows of {span} were acknowledged and are not there")

        await self._patiently(look)

    async def _missing(self, records: list[Record], span: Span) -> list[Record]:
        """Those that should be rows and are not; without those so old that ClickHouse may have dropped them again."""
        if not records:
            return []
        stored = await self._stored(records, span)
        oldest = int(time.time() * 1000) - self._limits.retention_days * DAY_MS
        missing = [record for record in records if record.offset not in stored]
        return [record for record in missing if ts_bounds(self.feed, [record])[0] > oldest]

    async def _stored(self, records: list[Record], span: Span) -> set[int]:
        origin = (self._start.incarnation, self.place.topic, self.place.partition)
        bounds = ts_bounds(self.feed, records)
        return await self._patiently(lambda: self._table.offsets(self.feed.table, origin, span, bounds))

    async def _bury(self, record: Record, reason: str) -> None:
        """Write a dead letter and wait for Kafka's acknowledgement. After a crash it may be written again, same id."""
        origin = f"kafka:{self.place.topic}:{self.place.partition}:{record.offset}"
        body = record.value or b""
        letter = DeadLetter(
            v=VERSION,
            id=origin,
            ts=int(time.time() * 1000),
            service="logsvc",
            reason=reason,
            origin=origin,
            body=body[:BODY_BYTES].decode(errors="replace"),
            sha256=hashlib.sha256(body).hexdigest(),
            length=len(body),
        )
        await self._patiently(lambda: self._letters.write(encode(letter), origin))
        self.dead_letters += 1
        self._metrics.dead_letters.labels(self.place.topic).inc()
        self._log.warning("dead_letter", offset=record.offset, reason=reason[:200])

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a call until its dependency is well again. Raises GaveUp if told to stop meanwhile."""
        backoff = FIRST_BACKOFF_SECONDS
        was = self.state
        while True:
            try:
                result = await call()
            except (StoreDown, KafkaDown, QueryTooHeavy) as error:
                self.state = "retrying"
                self._metrics.insert_failures.labels(self.feed.table).inc()
                self._log.warning("retrying", error=type(error).__name__, reason=str(error), seconds=backoff)
                if await pause(self._stop, backoff):
                    raise GaveUp from error
                backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)
            else:
                self.state = was
                return result

    async def _wait(self, seconds: float | None) -> None:
        self._arrived.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        except TimeoutError:
            return
