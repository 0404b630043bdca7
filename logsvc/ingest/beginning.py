"""Finds out where to go on in a partition: asks Kafka and ClickHouse, compares their records, and says what is odd."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from logsvc.ingest.batch import Feed
from logsvc.ingest.patience import Patience
from logsvc.ingest.ports import Log, Table
from logsvc.ingest.restore import Found, Start, doubtful, plan
from logsvc.metrics import Metrics
from logsvc.partitions import Bounds, Place
from logsvc.storable import fitted
from tocsin.events import BadRecord


@dataclass(frozen=True)
class Beginning:
    """Looks where to go on in one partition."""

    place: Place
    feed: Feed
    cluster: str
    kafka: Log
    table: Table
    patiently: Patience
    metrics: Metrics
    log: Any

    async def find(self) -> Start:
        """Ask Kafka and ClickHouse, and decide."""
        committed = await self.patiently(lambda: self.kafka.committed(self.place))
        newest: Mapping[str, int] = await self.patiently(
            lambda: self.table.newest_offsets(self.feed.table, *self.place)
        )
        # Last: a former owner reads and stores on until it hears that the partition is ours, beyond an older end.
        bounds = await self.patiently(lambda: self.kafka.bounds(self.place))
        found = Found(committed.offset, committed.metadata, bounds.begin, bounds.end, newest)
        if life := doubtful(self.cluster, found):
            found = replace(found, departs=await self._departure(life, bounds))
        start = plan(self.cluster, found)
        self._say_what_was_found(found, start)
        return start

    async def _departure(self, incarnation: str, bounds: Bounds) -> int:
        """First offset after the last row that Kafka still holds as it was stored; its first one if there is none.

        Found by halving: a log that was cut, or made anew, is the same up to some offset and another one from there.
        """
        origin = (incarnation, self.place.topic, self.place.partition)
        departure = low = bounds.begin
        high = bounds.end
        probe = high - 1
        while low < high:
            row = await self.patiently(
                lambda first=low, last=probe: self.table.newest_row(self.feed.table, origin, first, last)
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
        record = await self.patiently(lambda: self.kafka.peek(self.place, offset))
        if record is None or record.value is None:
            return False
        try:
            return ts == getattr(fitted(self.feed.struct, record.value)[0], "ts", None)
        except BadRecord:
            return False

    def _say_what_was_found(self, found: Found, start: Start) -> None:
        if start.reborn_from:
            self.metrics.incarnations.labels(self.place.topic).inc()
            self.log.error(
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
            self.metrics.expired.labels(self.place.topic).inc(start.expired)
            self.log.error("records_expired_unread", offsets=start.expired, begin=found.begin)
        if start.is_position_lost:
            self.log.warning("group_position_lost", going_on_from=start.offset)
