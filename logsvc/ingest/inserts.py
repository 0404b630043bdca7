"""Puts batches of one partition into ClickHouse: parts what is refused, finds and mends what is missing."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from logsvc.errors import RowsRefused, StoreDown
from logsvc.ingest.batch import Feed, Fit, Span, row_prefix, rows, span_of, ts_bounds
from logsvc.ingest.patience import Patience
from logsvc.ingest.ports import Table
from logsvc.metrics import Metrics
from logsvc.partitions import Place
from tocsin.times import DAY_MS, current_ms

REPAIRS = ("r", "r2")
"""What the tokens of repairs end with, in turn."""
SUSPICIOUS_FAILURES = 4
"""After so many failures with one and the same code the rows themselves are looked at."""

Bury = Callable[[Fit, str], Awaitable[None]]


class Inserts:
    """The inserts of one incarnation of a partition. bury: what to do with a record that ClickHouse refuses."""

    def __init__(
        self,
        place: Place,
        feed: Feed,
        incarnation: str,
        table: Table,
        patiently: Patience,
        bury: Bury,
        retention_days: int,
        metrics: Metrics,
        log: Any,
    ) -> None:
        self._origin = (incarnation, place.topic, place.partition)
        self._prefix = row_prefix(feed, incarnation, place.partition)
        self._feed = feed
        self._table = table
        self._patiently = patiently
        self._bury = bury
        self._retention_days = retention_days
        self._metrics = metrics
        self._log = log

    async def store(self, records: list[Fit], span: Span) -> None:
        """Store what nobody has tried to store before."""
        taken, is_sure = await self._insert(records, self._token(span))
        if not is_sure:
            await self.fill(taken, span)

    async def store_again(self, records: list[Fit], span: Span) -> None:
        """Store what a former owner may have stored, or may be about to."""
        taken, _ = await self._insert(records, self._token(span), await self._stored(records, span))
        await self.fill(taken, span)

    async def fill(self, records: list[Fit], span: Span) -> None:
        """Store those of the records that are not stored: the offsets are compared as a set.

        A row that is missing even after the repairs holds the lane, for to go on would be to lose it. It is not sent
        under ever more tokens: if it is there after all and only not seen, each would double it.
        """
        for repair in REPAIRS:
            missing = await self._missing(records, span)
            if not missing:
                return
            self._log.warning("rows_missing", span=str(span), rows=len(missing))
            self._metrics.repaired.labels(self._origin[1]).inc(len(missing))
            taken, _ = await self._insert(missing, f"{self._token(span)}:{repair}")
            gone = {record.offset for record in missing} - {record.offset for record in taken}
            records = [record for record in records if record.offset not in gone]
        if not (lost := await self._missing(records, span)):
            return
        self._metrics.unaccounted.labels(self._origin[1]).inc(len(lost))
        self._log.error("rows_still_missing", span=str(span), rows=len(lost), first=lost[0].offset)

        async def look() -> None:
            if lost := await self._missing(records, span):
                raise StoreDown(f"{len(lost)} rows of {span} were acknowledged and are not there")

        await self._patiently(look)

    async def _insert(self, records: list[Fit], token: str, stored: Collection[int] = ()) -> tuple[list[Fit], bool]:
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
        taken: list[Fit] = []
        is_sure = True
        for half in (records[:middle], records[middle:]):
            kept, was_sure = await self._insert(half, f"{token}/{span_of(half)}", stored)
            taken += kept
            is_sure = is_sure and was_sure
        return taken, is_sure

    async def _insert_patiently(self, records: list[Fit], token: str) -> bool:
        """Insert, waiting while ClickHouse is ill; return whether the first attempt was acknowledged."""
        block = rows(self._prefix, records)
        codes: list[int | None] = []

        async def attempt() -> None:
            try:
                with self._metrics.insert_seconds.labels(self._feed.table).time():
                    await self._table.insert(self._feed.table, block, token)
            except StoreDown as error:
                codes.append(error.code)
                if _is_suspicious(codes) and await self._table.cannot_read(self._feed.table, block) == error.code:
                    raise RowsRefused(str(error)) from error
                raise

        await self._patiently(attempt)
        self._metrics.rows_stored.labels(self._origin[1]).inc(len(records))
        self._metrics.batch_rows.labels(self._feed.table).observe(len(records))
        return not codes

    async def _missing(self, records: list[Fit], span: Span) -> list[Fit]:
        """Those that should be rows and are not; without those so old that ClickHouse may have dropped them again."""
        if not records:
            return []
        stored = await self._stored(records, span)
        oldest = current_ms() - self._retention_days * DAY_MS
        return [record for record in records if record.offset not in stored and record.ts > oldest]

    async def _stored(self, records: Sequence[Fit], span: Span) -> set[int]:
        bounds = ts_bounds(records)
        return await self._patiently(lambda: self._table.offsets(self._feed.table, self._origin, span, bounds))

    def _token(self, span: Span) -> str:
        incarnation, topic, partition = self._origin
        return f"{incarnation}:{topic}:{partition}:{span}"


def _is_suspicious(codes: Sequence[int | None]) -> bool:
    """Whether the same code came again and again: a server that is ill says other things, or nothing, in between."""
    last = codes[-SUSPICIOUS_FAILURES:]
    return len(last) == SUSPICIOUS_FAILURES and last[0] is not None and len(set(last)) == 1
