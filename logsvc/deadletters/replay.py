"""Tries again to store what became a dead letter: after an upgrade, or once ClickHouse was mended, it may be a row.

The record itself is read from Kafka, by the place that the letter names, and must be the very bytes of the letter. It
passes the checks of the ingest and is stored under that place: so it is there once, however often and by however many
replicas it is replayed. The ingest must have passed it, so that nobody else is about to store it.
"""

import hashlib
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import NamedTuple, Protocol

from logsvc.deadletters.newest import Origin, origin_of
from logsvc.errors import RowsRefused
from logsvc.ingest.batch import Feed, Fit, Record, Span, parse_span, row_prefix, rows
from logsvc.ingest.ports import Table
from logsvc.ingest.restore import incarnation_now
from logsvc.partitions import Committed, Place
from logsvc.storable import fitted
from tocsin.events import BadRecord, DeadLetter
from tocsin.times import DAY_MS


class Outcome(StrEnum):
    """What became of one letter. storable: it would be stored, in a dry run."""

    STORED = "stored"
    STORABLE = "storable"
    ALREADY = "already_stored"
    REFUSED = "refused"
    GONE = "gone"
    EXPIRED = "expired"
    BUSY = "busy"
    NOT_OURS = "not_ours"
    UNKNOWN = "unknown"


class Verdict(NamedTuple):
    """reason: in words, where it is not stored."""

    outcome: Outcome
    reason: str = ""


class Kafka(Protocol):
    """What is asked of Kafka (logsvc.kafka.Originals)."""

    async def cluster_id(self) -> str: ...
    async def committed(self, place: Place) -> Committed: ...
    async def record(self, place: Place, offset: int) -> Record | None: ...


class Kafkas(Protocol):
    """Opens Kafka for one request."""

    def __call__(self) -> AbstractAsyncContextManager[Kafka]: ...


class Replayer:
    """Replays dead letters. Raises KafkaDown or StoreDown: then it can be sent again."""

    def __init__(self, feeds: Sequence[Feed], table: Table, kafkas: Kafkas, retention_days: int) -> None:
        self.kafkas = kafkas
        self._feeds = {feed.topic: feed for feed in feeds}
        self._table = table
        self._retention_days = retention_days

    async def replay(self, letter: DeadLetter, kafka: Kafka, *, dry_run: bool) -> Verdict:
        """Store one letter's record, or with dry_run say whether it would be."""
        origin = origin_of(letter)
        feed = self._feeds.get(origin.place.topic) if origin else None
        if origin is None or feed is None:
            return Verdict(Outcome.NOT_OURS, f"{letter.service} could not read it: there is no record of it to store")
        record = await kafka.record(*origin)
        if record is None or record.value is None or hashlib.sha256(record.value).hexdigest() != letter.sha256:
            return Verdict(Outcome.GONE, "Kafka does not hold its record any more")
        try:
            decoded, value = fitted(feed.struct, record.value)
        except BadRecord as error:
            return Verdict(Outcome.REFUSED, str(error))
        fit = Fit(origin.offset, getattr(decoded, "ts", 0), value, record)
        if fit.ts < time.time() * 1000 - self._retention_days * DAY_MS:
            return Verdict(Outcome.EXPIRED, f"it is older than history, which keeps {self._retention_days} days")
        if not _has_passed(await kafka.committed(origin.place), origin.offset):
            return Verdict(Outcome.BUSY, "its partition is being stored just there; try again in a moment")
        return await self._store(feed, origin, fit, await kafka.cluster_id(), dry_run=dry_run)

    async def _store(self, feed: Feed, origin: Origin, fit: Fit, cluster: str, *, dry_run: bool) -> Verdict:
        place = origin.place
        incarnation = incarnation_now(cluster, await self._table.newest_offsets(feed.table, *place))
        span = Span(fit.offset, fit.offset)
        where = (incarnation, place.topic, place.partition)
        if await self._table.offsets(feed.table, where, span, (fit.ts, fit.ts)):
            return Verdict(Outcome.ALREADY)
        if dry_run:
            return Verdict(Outcome.STORABLE)
        token = f"{incarnation}:{place.topic}:{place.partition}:{span}:replay"
        try:
            await self._table.insert(feed.table, rows(row_prefix(feed, incarnation, place.partition), [fit]), token)
        except RowsRefused as error:
            return Verdict(Outcome.REFUSED, f"ClickHouse refused it: {error}")
        return Verdict(Outcome.STORED)


def _has_passed(committed: Committed, offset: int) -> bool:
    """Whether the ingest is done with a record: beyond it, and not in the range that is being stored."""
    span = parse_span(committed.metadata)
    first_open = committed.offset if span is None else span.first
    return first_open is not None and offset < first_open
