"""Kafka -> ClickHouse: a lane per partition that the group gives this replica, all fed by one consumer."""

import asyncio
import time
from collections.abc import Mapping, Sequence

import structlog

from logsvc.errors import KafkaDown
from logsvc.ingest.batch import JOURNAL, QUEUE_SNAPSHOTS, Feed
from logsvc.ingest.completeness import Completeness
from logsvc.ingest.lane import Lane, Limits
from logsvc.ingest.pace import Pace
from logsvc.ingest.ports import Letters, Table
from logsvc.kafka import Member
from logsvc.metrics import Metrics
from logsvc.partitions import Place
from logsvc.settings import LogsvcSettings
from tocsin.breakers import Guard, Unavailable
from tocsin.lifecycle import pause, unless_cancelled
from tocsin.times import current_ms

log = structlog.get_logger("logsvc.ingest")

REVOKE_SECONDS = 5.0
RETRY_SECONDS = 2.0
COMPARE_SECONDS = 0.5
ASK_SECONDS = 5.0
MEASURE_SECONDS = 1.0


class Ingest:
    """The ingest of one replica. lanes: what it owns now, for /system and metrics."""

    def __init__(
        self,
        settings: LogsvcSettings,
        feeds: Sequence[Feed],
        table: Table,
        letters: Letters,
        metrics: Metrics,
        guard: Guard = asyncio.timeout,
    ) -> None:
        self.lanes: dict[Place, Lane] = {}
        self.member: Member | None = None
        self.completeness = {JOURNAL: Completeness(), QUEUE_SNAPSHOTS: Completeness()}
        """By table: snapshots are stored at leisure, and no answer about events and lines waits for them."""
        self._settings = settings
        self._feeds: Mapping[str, Feed] = {feed.topic: feed for feed in feeds}
        self._paces = {feed.table: Pace(settings.logsvc_insert_seconds * feed.pace) for feed in feeds}
        self._table = table
        self._letters = letters
        self._metrics = metrics
        self._guard = guard
        self._tasks: dict[Place, asyncio.Task[None]] = {}
        self._measured = 0.0
        self._buried = 0
        metrics.retrying.set_function(lambda: self.retrying)

    async def run(self, stop: asyncio.Event) -> None:
        """Take part in the group until stop is set, then store what was read and leave."""
        while not stop.is_set():
            try:
                await self._take_part(stop)
            except* KafkaDown as errors:
                log.warning("ingest_interrupted", reason=str(errors.exceptions[0]))
                await pause(stop, RETRY_SECONDS)

    async def _take_part(self, stop: asyncio.Event) -> None:
        is_leaving = False
        async with asyncio.TaskGroup() as group:

            async def assigned(places: Sequence[Place]) -> None:
                if not is_leaving:  # a rebalance under way comes to its end before we are out of the group
                    self._begin(places, group)

            async def revoked(_: Sequence[Place]) -> None:
                await self._let_go(REVOKE_SECONDS, flush=False)

            def out_of_range(place: Place) -> None:
                if lane := self.lanes.get(place):
                    lane.lost_place()

            member = Member(
                self._settings,
                list(self._feeds),
                on_assigned=assigned,
                on_revoked=revoked,
                on_out_of_range=out_of_range,
            )
            self.member = member
            async with member:
                comparing = group.create_task(unless_cancelled("completeness", self._compare(member)))
                try:
                    await self._feed_lanes(member, stop)
                finally:
                    is_leaving = True
                    comparing.cancel()
                    await self._let_go(self._settings.drain_seconds * 0.7, flush=stop.is_set())

    async def _feed_lanes(self, member: Member, stop: asyncio.Event) -> None:
        while not stop.is_set():
            for place, records in (await member.poll()).items():
                if lane := self.lanes.get(place):
                    lane.arrived(records)
            if time.monotonic() - self._measured >= MEASURE_SECONDS:
                await self._measure(member)

    async def _compare(self, member: Member) -> None:
        """Ask again and again how far all replicas have stored, and where Kafka ends. While Kafka is away nothing new
        is known."""
        while True:
            await asyncio.sleep(COMPARE_SECONDS)
            try:
                async with self._guard(ASK_SECONDS):
                    await self._compare_once(member)
            except (KafkaDown, Unavailable, TimeoutError) as error:
                log.debug("completeness_unknown", reason=str(error))

    async def _compare_once(self, member: Member) -> None:
        """Own partitions are stored as far as their lanes are, the others as far as the group has committed."""
        places = [place for place in member.places() if self._feeds[place.topic].table in self.completeness]
        if not places:
            return
        stored = {place: lane.next_offset for place, lane in self.lanes.items() if lane.next_offset is not None}
        if others := [place for place in places if place not in stored]:
            stored |= await member.done(others)
        at_ms = current_ms()
        ends = await member.ends(places)
        for table, known in self.completeness.items():
            known.learn(stored, at_ms, {at: end for at, end in ends.items() if self._feeds[at.topic].table == table})

    def _begin(self, places: Sequence[Place], group: asyncio.TaskGroup) -> None:
        assert self.member is not None
        share = self._settings.logsvc_buffer_mib * 1024 * 1024 // max(1, len(places))
        limits = Limits(self._settings.logsvc_batch_rows, share, self._settings.logsvc_retention_days)
        for place in places:
            feed = self._feeds[place.topic]
            lane = Lane(
                place,
                feed,
                self.member.cluster_id,
                self.member,
                self._table,
                self._letters,
                limits,
                self._paces[feed.table],
                self._metrics,
            )
            self.lanes[place] = lane
            name = f"lane {place.topic}/{place.partition}"
            self._tasks[place] = group.create_task(unless_cancelled(name, lane.run()), name=name)
        log.info("partitions_assigned", count=len(places))

    async def _let_go(self, seconds: float, *, flush: bool) -> None:
        """End every lane: by itself within seconds, else cut. An insert under way goes on in its thread, harmlessly."""
        tasks = list(self._tasks.values())
        for lane in self.lanes.values():
            lane.stop(flush=flush)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                log.warning("lanes_cut", count=len(late))
                await asyncio.wait(late)
        self._buried += sum(lane.dead_letters for lane in self.lanes.values())
        self.lanes.clear()
        self._tasks.clear()

    @property
    def retrying(self) -> int:
        """Partitions of which a call fails and is tried again."""
        return sum(bool(lane.reason) for lane in self.lanes.values())

    @property
    def dead_letters(self) -> int:
        """Dead letters written since this process began."""
        return self._buried + sum(lane.dead_letters for lane in self.lanes.values())

    async def _measure(self, member: Member) -> None:
        self._measured = time.monotonic()
        by_topic = dict.fromkeys(self._feeds, 0)
        for place, lane in list(self.lanes.items()):
            lane.lag = await _lag(member, place, lane)
            by_topic[place.topic] += lane.lag
        for topic, behind in by_topic.items():
            self._metrics.lag.labels(topic).set(behind)
        self._metrics.buffered_bytes.set(sum(lane.buffered_bytes for lane in self.lanes.values()))


async def _lag(member: Member, place: Place, lane: Lane) -> int:
    """Offsets between what is stored and the last stable offset; a transaction's marker at the end is no lag."""
    end = member.stable_end(place)
    if end is None or lane.next_offset is None:
        return 0
    if lane.oldest_unstored_ms is None:
        return max(0, end - (await member.position(place) or end))
    return max(0, end - lane.next_offset)
