"""Kafka to incidents: count final failures and want messages about them, in the transaction that moves the position.

A batch is either counted, with its messages and its Kafka position, or not at all; so a crash at any point repeats
nothing and loses nothing.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from bot.errors import Fenced, Slow, Unfit
from bot.incidents.alerts import Alerts
from bot.incidents.failures import bare, tally
from bot.kafka import Cluster, GroupLost, KafkaError, KafkaRecord, PositionedFeed, Sight
from bot.metrics import Metrics
from bot.rules.policy import FINAL_FAILURE, GAP, STALLED
from bot.store.database import Database
from bot.store.offsets import Reading, Whole, advance, begin_at, note_reading, read_offsets, whole_reading
from tocsin.breakers import Unavailable
from tocsin.events import BadRecord, JobEvent, decode
from tocsin.health import Health
from tocsin.lifecycle import pause
from tocsin.times import current_ms

log = structlog.get_logger("consume")

BATCH_RECORDS = 2000
MORE_RECORDS = 100
"""By how much a batch grows again after it had to be made smaller."""
READ_SECONDS = 0.5
RETRY_SECONDS = 1.0
LOOK_SECONDS = 2.0
MARKS = (FINAL_FAILURE.encode(), f'"{GAP}"'.encode(), f'"{STALLED}"'.encode())
"""A record that holds none of these words can be nothing that rings."""


@dataclass
class Progress:
    """How reading goes, over all partitions, whichever bot reads them; for /status. read_at: by the monotonic clock.

    lag: how much of what Kafka held at the look before the last one is still to be read. heard_ms: whatever reached
    Kafka before then, by our clock, is counted. expired: records that Kafka dropped before we read them, since the
    start. problem: what keeps this bot itself from reading.
    """

    lag: int | None = None
    heard_ms: int | None = None
    read_at: float | None = None
    bad_records: int = 0
    expired: int = 0
    problem: str = ""

    def behind_seconds(self) -> float | None:
        """How old the newest is that is counted; None where that is not known."""
        return None if self.heard_ms is None else max(0.0, time.time() - self.heard_ms / 1000)

    def take(self, whole: Whole) -> None:
        """Know what all bots together know."""
        self.heard_ms, self.lag = whole.heard_ms, whole.lag
        self.read_at = None if whole.read_ago is None else time.monotonic() - whole.read_ago


class Consumer:
    """The one reader of the jobs topic in this process.

    born_ms: the bot's first start; what failed before is the past. skew_ms: see tally; kept up to date by its owner.
    woken: called after a commit that wants messages.
    """

    def __init__(
        self,
        feed: PositionedFeed,
        cluster: Cluster,
        database: Database,
        alerts: Alerts,
        metrics: Metrics,
        health: Health,
        *,
        skew_ms: Mapping[str, int],
        born_ms: int,
        woken: Callable[[], None],
        progress: Progress,
    ) -> None:
        self._feed = feed
        self._cluster = cluster.name
        self._database = database
        self._alerts = alerts
        self._metrics = metrics
        self._health = health
        self._skew_ms = skew_ms
        self._born_ms = born_ms
        self._woken = woken
        self.progress = progress
        self._positions: dict[int, int] = {}
        self._most = BATCH_RECORDS
        self._next_look = 0.0
        self._seen: Sight | None = None
        self._awaited: Sight | None = None
        self._heard_ms: int | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Read until stop. Kafka or Postgres may come and go. Raises GroupLost."""
        while not stop.is_set():
            try:
                await self._place_new()
                batches = await self._feed.read(wait_seconds=READ_SECONDS, most=self._most)
                for partition, records in batches.items():
                    await self._count_safely(partition, records)
                self._most = min(BATCH_RECORDS, self._most + MORE_RECORDS)
                await self._note_progress()
            except (Unavailable, KafkaError, TimeoutError) as failure:
                if isinstance(failure, Slow):
                    self._most = max(1, self._most // 2)
                self._trouble(failure)
                if isinstance(failure, GroupLost):
                    raise
                for partition in list(self._positions):
                    self._feed.unplace(partition)
                await pause(stop, RETRY_SECONDS)

    def _trouble(self, failure: Exception) -> None:
        self.progress.problem = f"{type(failure).__name__}: {failure}"[:200]
        kind = failure.dependency if isinstance(failure, Unavailable) else "kafka"
        self._metrics.errors.labels("process", kind).inc()
        if kind == "kafka":
            self._health.lost("kafka")
        log.warning("consuming_interrupted", error=self.progress.problem, retry_seconds=RETRY_SECONDS)

    async def _note_progress(self) -> None:
        """See how far we are; now and then ask Kafka itself how far it is: that it answers is the news."""
        await self._note_heard()
        if time.monotonic() < self._next_look:
            return
        seen = await self._feed.look()
        before = self._seen or seen
        behind = await self._feed.behind(before) if before else None
        self._seen = seen
        self._awaited = self._awaited or seen
        await self._share(behind or {})
        self._next_look = time.monotonic() + (LOOK_SECONDS if seen else 0)  # until it is known, look each round
        self.progress.problem = ""
        self._health.ok("kafka")
        if behind is not None:
            self._metrics.lag.set(sum(behind.values()))

    async def _note_heard(self) -> None:
        """Once all that was there at a look is counted, everything up to that look is heard."""
        if self._awaited is None:
            return
        behind = await self._feed.behind(self._awaited)
        if behind is None:  # other partitions are ours now: what is theirs is not heard yet
            self._seen = self._awaited = self._heard_ms = None
        elif not any(behind.values()):
            self._heard_ms, self._awaited = self._awaited.at_ms, None
            self._metrics.heard.set(self._heard_ms / 1000)
            await self._share(behind)

    async def _share(self, behind: Mapping[int, int]) -> None:
        """Tell the other bots how far our partitions are read, and hear of theirs.

        What one bot alone knows is no reason to call anything quiet, or Tocsin well: the next failure may be another's
        to count.
        """
        cluster, topic = self._cluster, self._feed.topic
        readings = {partition: Reading(self._heard_ms, missing) for partition, missing in behind.items()}
        try:
            async with self._database.transaction() as session:
                await note_reading(session, cluster, topic, readings)
                self.progress.take(await whole_reading(session, cluster, topic, self._feed.partition_count()))
        except Unavailable as failure:
            log.info("reading_not_shared", error=str(failure))  # what is known grows old, and says so

    async def _place_new(self) -> None:
        """Seek the partitions we were given to where the last commit left them."""
        waiting = self._feed.unplaced()
        if not waiting:
            return
        self._seen = self._awaited = self._heard_ms = None  # what was heard of others is not heard of these
        async with self._database.transaction() as session:
            stored = await read_offsets(session, self._cluster, self._feed.topic, waiting)
        # Only now: another may read on until it hears that they are ours, beyond any end that was seen before.
        bounds = await self._feed.bounds(waiting)
        try:
            places = await self._store_places(stored, bounds)
        except Fenced as fenced:
            log.warning("position_moved_by_another", error=str(fenced))
            return  # they stay unplaced until the next round
        self._positions.update(places)
        self._feed.place(places)
        log.info("partitions_placed", topic=self._feed.topic, positions=places)

    async def _store_places(self, stored: Mapping[int, int], bounds: Mapping[int, tuple[int, int]]) -> dict[int, int]:
        """Raises Fenced if one was moved since `stored` was read, and we would move it too."""
        cluster, topic = self._cluster, self._feed.topic
        places = {one: self._where(one, stored.get(one), *bound) for one, bound in bounds.items()}
        async with self._database.transaction() as session:
            for partition, offset in places.items():
                was = stored.get(partition)
                if was is None:
                    await begin_at(session, cluster, topic, partition, offset)
                elif was != offset:
                    await advance(session, cluster, topic, partition, was, offset)
        return places

    def _where(self, partition: int, stored: int | None, first: int, end: int) -> int:
        if stored is None:
            return first
        if stored > end:
            log.error("topic_was_rebuilt", topic=self._feed.topic, partition=partition, stored=stored, end=end)
            return first
        if stored < first:
            log.error("records_expired_unread", topic=self._feed.topic, partition=partition, lost=first - stored)
            self._metrics.errors.labels("receive", "expired").inc(first - stored)
            self.progress.expired += first - stored
            return first
        return stored

    async def _count_safely(self, partition: int, records: Sequence[KafkaRecord]) -> None:
        """Count a batch; halve one whose values Postgres cannot hold until the guilty record stands alone.

        That one then counts with nothing but its place, so that it rings all the same.
        """
        try:
            await self._count(partition, records, self._failures(records))
        except Unfit as refusal:
            if len(records) == 1:
                await self._count_bare(partition, records[0], refusal)
                return
            middle = len(records) // 2
            await self._count_safely(partition, records[:middle])
            await self._count_safely(partition, records[middle:])

    async def _count_bare(self, partition: int, record: KafkaRecord, refusal: Unfit) -> None:
        """Count what is left of a failure without its details. If even that is unfit, nothing can be: go on, loudly."""
        self._bad(record, str(refusal))
        try:
            await self._count(partition, [record], [bare(event) for event in self._failures([record])])
        except Unfit:
            log.error("failure_not_counted", partition=partition, offset=record.offset)
            self._metrics.errors.labels("process", "unfit").inc()
            await self._count(partition, [record], [])

    async def _count(self, partition: int, records: Sequence[KafkaRecord], failures: Sequence[JobEvent]) -> None:
        if partition in self._feed.unplaced():
            return
        now_ms = current_ms()
        was, to = self._positions[partition], records[-1].offset + 1
        tallies = tally(
            failures, now_ms=now_ms, born_ms=self._born_ms, policy=self._alerts.policy, skew_ms=self._skew_ms
        )
        try:
            async with self._database.transaction() as session:
                await advance(session, self._cluster, self._feed.topic, partition, was, to)
                rung = await self._alerts.record(session, tallies, now_ms=now_ms)
        except Fenced as fenced:
            log.warning("position_moved_by_another", error=str(fenced))
            self._feed.unplace(partition)
            return
        self._positions[partition] = to
        if tallies:
            counted = sum(one.count for one in tallies.values())
            self._metrics.failures.inc(counted)
            self._metrics.rung.inc(rung)
            self._woken()
            log.info("failures_counted", partition=partition, failures=counted, kinds=len(tallies), rung=rung)

    def _failures(self, records: Sequence[KafkaRecord]) -> list[JobEvent]:
        failures: list[JobEvent] = []
        for record in records:
            # Most records are no failures; those that do not even hold one of the words need no decoding.
            if record.value is None or not any(mark in record.value for mark in MARKS):
                continue
            try:
                failures.append(decode(JobEvent, record.value))
            except BadRecord as bad:
                self._bad(record, str(bad))
        return failures

    def _bad(self, record: KafkaRecord, reason: str) -> None:
        """Count a record nobody can use; logsvc, which reads the same topic, keeps its bytes in the dead letters."""
        self.progress.bad_records += 1
        self._metrics.errors.labels("receive", "bad_record").inc()
        origin = f"kafka:{self._feed.topic}:{record.partition}:{record.offset}"
        log.error("bad_record", origin=origin, reason=reason[:200])
