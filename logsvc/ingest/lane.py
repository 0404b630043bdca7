"""One partition's way into ClickHouse: the exactly-once protocol.

Before an insert the offset of its first record is committed to Kafka with the metadata `first-last`, which says what is
about to be stored and, being a commit of the group, fails once the partition has another owner. Commit n also says that
n-1 is done. The insert carries the token `incarnation:topic:partition:first-last`, so ClickHouse takes the same range
once, whoever sends it, for as long as it remembers the token: the last 100,000 blocks of a table (schema/*.sql). The
lanes of a table take turns (pace.py), so at four inserts a second that is 7 hours, divided by the replicas, and
by more where full batches, which do not wait, come faster. A batch of several days takes a block for each. An insert
that lands later than that, after another owner has stored the range, would double it; our own inserts are cut off
after a minute (logsvc/store.py).

Whoever is assigned the partition and finds such a range looks which of its offsets are stored and sends the others with
its token, then looks again and adds what is still missing under `token:r`, and `token:r2`. Both are needed: a token
alone may be remembered while its rows were lost with the server, and a look alone may be overtaken by a stopped owner's
insert that lands after it. What is missing even then holds the lane: it is never passed over.

logsvc/ingest/beginning.py finds out where to go on, logsvc/ingest/inserts.py speaks to ClickHouse.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from logsvc.deadletters.letters import letter_of
from logsvc.errors import Fenced
from logsvc.ingest.batch import BATCH_BYTES, Buffer, Feed, Fit, Record, Span, span_of
from logsvc.ingest.beginning import Beginning
from logsvc.ingest.inserts import Inserts
from logsvc.ingest.pace import Pace
from logsvc.ingest.patience import GaveUp, Patience
from logsvc.ingest.ports import Letters, Log, Table
from logsvc.ingest.restore import Start
from logsvc.metrics import Metrics
from logsvc.partitions import Place
from logsvc.storable import fitted
from tocsin.events import BadRecord

log = structlog.get_logger("logsvc.ingest")

LOOK_SECONDS = 1.0
"""How often an idle lane looks whether Kafka was read past what is no record."""
SIFT_RECORDS = 2_000
"""Records decoded at a stretch, so that the loop turns in between; as many dead letters are sent together."""


@dataclass(frozen=True)
class Limits:
    """batch_rows: most rows of an insert. buffer_bytes: then reading pauses.

    retention_days: rows that are older may be gone from ClickHouse at any time, and are not missed.
    """

    batch_rows: int
    buffer_bytes: int
    retention_days: int


class Lane:
    """Stores one partition. `run` returns when drained, fenced, or told to stop while ClickHouse is down.

    pace: whose turns it takes, shared with the other lanes of its table. A full batch takes none: a turn that the lane
    has by then stays its own, so a lane that is behind keeps the others waiting for one turn at most.
    """

    def __init__(
        self,
        place: Place,
        feed: Feed,
        cluster: str,
        kafka: Log,
        table: Table,
        letters: Letters,
        limits: Limits,
        pace: Pace,
        metrics: Metrics,
    ) -> None:
        self.place = place
        self.feed = feed
        self.next_offset: int | None = None
        """First offset not stored yet; None until restored."""
        self.dead_letters = 0
        self.lag = 0
        """Offsets behind Kafka's end, as of the last measurement."""
        self._state = "restoring"
        self._kafka = kafka
        self._letters = letters
        self._limits = limits
        self._pace = pace
        self._metrics = metrics
        metrics.begin_topic(place.topic)
        self._buffer = Buffer()
        self._in_hand: Sequence[Record] = ()
        self._arrived = asyncio.Event()
        self._stop = asyncio.Event()
        self._keeps_buffer = False
        self._is_recovering = False
        self._is_paused = True
        self._is_astray = False
        self._finish_at: int | None = None
        self._idle_at = 0.0
        self._turn: float | None = None
        self._start = Start(0, cluster)
        self._log = log.bind(topic=place.topic, partition=place.partition)
        self._patiently = Patience(self._stop, metrics.insert_failures.labels(feed.table), self._log)
        self._beginning = Beginning(place, feed, cluster, kafka, table, self._patiently, metrics, self._log)
        self._table = table
        self._inserts = self._inserts_of(self._start)

    @property
    def state(self) -> str:
        """restoring, recovering, storing, retrying, fenced or stopped."""
        return "retrying" if self.reason else self._state

    @property
    def reason(self) -> str:
        """Why it is retrying; "" while it is not."""
        return "" if self._state in ("fenced", "stopped") else self._patiently.reason

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
            self._state = "fenced"
            self._log.info("partition_lost")
        except GaveUp:
            self._state = "stopped"
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
        self._start = await self._beginning.find()
        self._inserts = self._inserts_of(self._start)
        self.next_offset = self._start.offset
        self._finish_at = None if self._start.recover else self._start.offset or None
        self._is_recovering = self._start.recover is not None
        self._buffer = Buffer()
        self._is_astray = False
        self._kafka.seek(self.place, self._start.offset)
        self._is_paused = False
        self._kafka.resume(self.place)
        self._state = "storing"

    def _inserts_of(self, start: Start) -> Inserts:
        return Inserts(
            self.place,
            self.feed,
            start.incarnation,
            self._table,
            self._patiently,
            self._bury_refused,
            self._limits.retention_days,
            self._metrics,
            self._log,
        )

    async def _recover(self, span: Span) -> None:
        """Store a range that a former owner left open."""
        self._state = "recovering"
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
            await self._inserts.store_again(fit, span)
        if not is_whole:  # the rest of the range is gone: the range stays on record, and is looked at again
            self._in_hand = ()
            return
        self._metrics.recovered.labels(self.place.topic).inc()
        self._log.info("range_recovered", span=str(span), rows=len(fit))
        self._done_with(span.last)
        self._state = "storing"

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
            if self._is_full:
                return self._take()
            if self._buffer:
                self._turn = self._pace.turn() if self._turn is None else self._turn
                if now >= self._turn:
                    self._turn = None
                    return self._take()
                await self._wait(self._turn - now)
            elif now < self._idle_at:
                await self._wait(self._idle_at - now)
            else:
                await self._rest()

    async def _rest(self) -> None:
        """Say that all is stored, as far as Kafka was read: past what is no record (markers, what was aborted).

        The other replicas tell by this commit what of this partition is stored (logsvc/ingest/completeness.py).
        """
        position = await self._kafka.position(self.place)
        if self._buffer or self._is_astray or self._stop.is_set():
            return
        if position is not None and position > (self.next_offset or 0):
            self.next_offset = self._finish_at = position
        if self._finish_at is None:
            await self._wait(LOOK_SECONDS)
        else:
            await self._finish()

    @property
    def _is_full(self) -> bool:
        return len(self._buffer) >= self._limits.batch_rows or self._buffer.bytes >= self._most_bytes

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
            await self._inserts.fill(fit, span)
        elif fit:
            await self._inserts.store(fit, span)
        self._done_with(span.last)

    def _done_with(self, last: int) -> None:
        self._in_hand = ()
        self.next_offset = self._finish_at = last + 1
        self._idle_at = time.monotonic() + self._pace.seconds

    async def _finish(self) -> None:
        """Say that nothing is under way, once, so that the next owner has nothing to repeat."""
        if self._finish_at is not None:
            offset = self._finish_at
            await self._patiently(lambda: self._kafka.commit(self.place, offset, ""))
            self._finish_at = None

    async def _sift(self, records: Sequence[Record]) -> list[Fit]:
        """Return the records that can be rows; bury the others. A tombstone of a compacted topic is neither."""
        fit: list[Fit] = []
        for first in range(0, len(records), SIFT_RECORDS):
            await asyncio.sleep(0)
            unfit: list[tuple[Record, str]] = []
            for record in records[first : first + SIFT_RECORDS]:
                if record.value is None:
                    if self.feed.kind:
                        unfit.append((record, "the record has no value"))
                    continue
                try:
                    found, value = fitted(self.feed.struct, record.value)
                except BadRecord as error:
                    unfit.append((record, str(error)))
                else:
                    fit.append(Fit(record.offset, getattr(found, "ts", 0), value, record))
            await self._bury(unfit)
        return fit

    async def _bury_refused(self, refused: Fit, reason: str) -> None:
        await self._bury([(refused.record, reason)])

    async def _bury(self, unfit: Sequence[tuple[Record, str]]) -> None:
        """Write dead letters and wait for Kafka's word. After a crash they may be written again, with the same ids."""
        if not unfit:
            return
        letters = [letter_of(self.place, record, reason) for record, reason in unfit]
        await self._patiently(lambda: self._letters.write(letters))
        self.dead_letters += len(letters)
        self._metrics.dead_letters.labels(self.place.topic).inc(len(letters))
        first, reason = unfit[0]
        self._log.warning("dead_letters", count=len(letters), first=first.offset, reason=reason[:200])

    async def _wait(self, seconds: float | None) -> None:
        self._arrived.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        except TimeoutError:
            return
