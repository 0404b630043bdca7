"""The queues of one source that hash to one partition: each is given to a lane once found."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import structlog

from bridge.kafka import read_back
from bridge.lag import Lags
from bridge.metrics import Metrics
from bridge.outbox import Outbox, Parcel
from bridge.record import Record
from bridge.records import Records
from bridge.settings import BridgeSettings
from bridge.sources.bullmq.budget import Budget
from bridge.sources.bullmq.cursors import Restored, scan_cursor
from bridge.sources.bullmq.discovery import Found
from bridge.sources.bullmq.lane import Lane
from bridge.sources.bullmq.memory import Memories
from bridge.sources.bullmq.reconcile.open_jobs import Room
from bridge.sources.bullmq.source import BullmqSource
from bridge.sources.bullmq.stream import Position
from bridge.sources.bullmq.surroundings import Surroundings
from bridge.sources.bullmq.tally import Tallies, Tally
from bridge.sources.bullmq.translate import Place
from bridge.sources.bullmq.watched import Queue
from tocsin.breakers import Guard
from tocsin.lifecycle import unless_cancelled
from tocsin.times import current_ms
from tocsin.topics import partition_of, queue_key

log = structlog.get_logger("bridge.partition.share")


class Share:
    """The queues of one source that hash to one partition, and their readers. places: those that are there, by queue.

    telling: held by whoever tells of a queue's counts, so that its last words come behind them.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        source: BullmqSource,
        partition: int,
        restored: Restored,
        outbox: Outbox[Parcel],
        metrics: Metrics,
        lags: Lags,
        room: Room,
        budget: Budget,
        guard: Guard,
    ) -> None:
        self._guard = guard
        self._lags = lags
        self._settings = settings
        self._source = source
        self._partition = partition
        self._restored = restored
        self._outbox = outbox
        self._metrics = metrics
        self._records = Records(settings.topics)
        self._lanes: dict[str, Lane] = {}
        self._is_same_scope = restored.scanned_ms is not None
        self.places: dict[str, Place] = {}
        self.tallies: Tallies = {}
        self.memories: Memories = {}
        self.telling = asyncio.Lock()
        self._scan_stored_ms = 0
        self._kept_scan = (source.source.scope, restored.scanned_ms or 0)
        self._keeping = asyncio.Lock()
        self._surroundings = Surroundings(
            site=settings.bridge_site,
            source=source.source.name,
            door=source.door,
            outbox=outbox,
            records=self._records,
            metrics=metrics,
            turns=source.turns,
            tell_uncounted=source.tell_uncounted,
            read_back=self._read_back,
            let_go=self._let_go,
            reconcile_seconds=settings.bridge_reconcile_seconds,
            all_queues=source.count_queues,
            room=room,
            budget=budget,
        )
        if "" in restored.damaged:  # it held the epochs of those that are gone: begin above whatever they were
            restored.past_epoch = int(time.time())

    async def read(self, end: asyncio.Event) -> None:
        """Give every queue that is found to a lane, until `end` is set."""
        discovery = self._source.discovery
        discovery.expect(self._restored.positions)
        discovery.shares += 1
        try:
            await self._read(end)
        finally:
            discovery.shares -= 1

    def forget(self) -> None:
        """Nobody reads here any more: give back what is remembered of the jobs.

        What led to the end, and what refers to one another, is held until the collector comes by, which is seldom.
        """
        for lane in self._lanes.values():
            lane.forget()

    async def _read(self, end: asyncio.Event) -> None:
        known: Found | None = None
        lanes: list[Lane] = []
        async with asyncio.TaskGroup() as group:
            while not end.is_set():
                found = await self._next_scan(known, end)
                if found is None or (found is known and not found.is_whole):
                    continue
                known = found
                for queue in sorted(filter(self._is_mine, found.queues | self._deleted_meanwhile(found))):
                    if queue not in self._lanes:
                        self._add(queue, found, lanes, group, end)
                    if queue in found.queues:
                        self.places[queue] = self._place(queue)
                for queue, lane in self._lanes.items():
                    lane.missed(self._place(queue), self._source.source.prefix, found.missed(queue))
                if found.is_whole:
                    self._lags.keep_only(self._source.source.name, self._lanes)
                    self._restored.scanned_ms = found.begun_ms
                    if all(lane.has_met_all for lane in lanes):
                        await self._store_scan(found)

    async def _next_scan(self, known: Found | None, end: asyncio.Event) -> Found | None:
        """What is found, when it differs from `known`, or after a while; None = nothing yet."""
        seconds = 1.0 if self._scan_stored_ms else 0.1  # soon after first contact the source counts as known
        waiting = asyncio.create_task(self._source.discovery.wait_for_change(known, seconds))
        ending = asyncio.create_task(end.wait())
        try:
            await asyncio.wait({waiting, ending}, return_when=asyncio.FIRST_COMPLETED)
            return waiting.result() if waiting.done() else None
        finally:
            ending.cancel()
            waiting.cancel()
            await asyncio.wait({waiting})

    def _place(self, queue: str) -> Place:
        return Place(self._source.source.env, self._source.source.name, queue)

    def _deleted_meanwhile(self, found: Found) -> set[str]:
        """Queues with a cursor that are no more: what their streams still hold is read before they are let go.

        Not those that the settings leave out: they are watched no longer, which says nothing of them. Nor any while
        other settings than the last scan's are in force.
        """
        if not self._is_same_scope:
            return set()
        covers = self._source.source.watches
        known = self._restored.positions.items()
        return {queue for queue, position in known if not position.is_gone and found.missed(queue) and covers(queue)}

    async def _let_go(self, queue: Queue, records: Sequence[Record]) -> None:
        """Tell that a queue is gone and forget it; one of the same name begins above its epoch.

        If its stream is there still, such a one goes on from the position it had.
        """
        name, restored = queue.place.queue, self._restored
        async with self.telling, self._keeping:
            self.places.pop(name, None)
            queue.tally.leave()
            self.tallies.pop(name, None)
            self.memories.pop(name, None)
            restored.positions.pop(name, None)
            if queue.position.is_gone:
                restored.positions[name] = queue.position
            elif queue.position.epoch > restored.past_epoch:
                restored.past_epoch = queue.position.epoch
                records = [*records, self._scan_record()]
            await self._outbox.put(records)
        del self._lanes[name]
        restored.damaged.discard(name)
        restored.log_places.pop(name, None)
        restored.open_jobs.pop(name, None)
        restored.open_pages.pop(name, None)
        self._lags.drop(queue.place.source, name)
        log.info("queue_gone", source=queue.place.source, queue=name)

    def _is_mine(self, queue: str) -> bool:
        return partition_of(self._source.source.name, queue, self._settings.kafka_partitions) == self._partition

    def _add(self, queue: str, found: Found, lanes: list[Lane], group: asyncio.TaskGroup, end: asyncio.Event) -> None:
        source = self._source.source
        shard = self._source.shard(queue)
        lanes[:] = [lane for lane in lanes if not lane.has_ended]
        lane = next((lane for lane in lanes if lane.has_room and lane.shard == shard), None)
        if lane is None:
            lane = Lane(self._surroundings)
            lanes.append(lane)
            name = f"lane-{source.name}-{self._partition}-{len(lanes)}"
            group.create_task(unless_cancelled(name, lane.run(end)), name=name)
        lag = self._lags.of(source.name, queue, self._source.door.now_ms)
        self._lanes[queue] = lane
        start = self._start(queue, found)
        tally = self.tallies[queue] = Tally(self._metrics, source.name, queue, start.epoch, self._source.door.now_ms)
        self.memories[queue] = lane.add(self._place(queue), source.prefix, start, self._restored, lag, tally)

    def _start(self, queue: str, found: Found) -> Position:
        """Where to begin: at the cursor; else at the stream's start, with what was there before Tocsin as backfill.

        A queue that an earlier complete scan did not find was created after that scan: then only older entries are, and
        what was trimmed is lost. One whose cursor is damaged was read before, nobody knows how far: it is met as if for
        the first time, under an epoch that no count of resets has reached, so that no identity is used twice.
        """
        known = self._restored.positions.get(queue)
        if known is not None:
            return known
        before, epoch = self._restored.scanned_ms, self._restored.past_epoch + 1
        if queue in self._restored.damaged:
            log.error(
                "queue_begun_afresh", source=self._source.source.name, queue=queue, reason="its cursor is damaged"
            )
            epoch = max(epoch, found.begun_ms // 1000)
            return Position(epoch=epoch, baseline_id=f"{found.begun_ms}-0", is_first_contact=True)
        if before is not None:
            return Position(epoch=epoch, baseline_id=f"{before}-0")
        return Position(epoch=epoch, baseline_id=f"{found.begun_ms}-0", is_first_contact=True)

    async def _read_back(self, places: Sequence[Place], since_ms: int) -> AsyncGenerator[tuple[str, bytes]]:
        """What Kafka holds of some queues, from what was told since a time by Redis's clock."""
        ahead_ms = self._source.door.now_ms() - current_ms()
        queues = {queue_key(place.source, place.queue).encode(): place.queue for place in places}
        reading = read_back(self._settings, self._partition, queues, since_ms - ahead_ms, self._guard)
        async with aclosing(reading) as records:
            async for key, record in records:
                yield queues[key], record

    async def _store_scan(self, found: Found) -> None:
        """Remember in Kafka when this source was last seen whole, now and then, so that a restart knows what is new."""
        if found.begun_ms - self._scan_stored_ms < 60_000:
            return
        self._scan_stored_ms = found.begun_ms
        async with self._keeping:
            self._kept_scan = (self._source.source.scope, found.begun_ms)
            await self._outbox.put([self._scan_record()])

    def _scan_record(self) -> Record:
        """What is kept of the scans, and of the queues that are gone; put while `_keeping` is held, in order."""
        site, name, past = self._settings.bridge_site, self._source.source.name, self._restored.past_epoch
        return self._records.cursor(*scan_cursor(site, name, *self._kept_scan, past))
