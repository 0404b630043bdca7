"""The queues of one source that hash to one partition: each is given to a lane once found, and its counts are told."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import structlog

from bridge.cancellation import unless_cancelled
from bridge.cursors import Restored, scan_cursor
from bridge.errors import SourceUnavailable
from bridge.kafka import read_back
from bridge.lag import Lags
from bridge.metrics import STATES, Metrics
from bridge.outbox import Outbox
from bridge.record import Record
from bridge.records import Records
from bridge.settings import BridgeSettings
from bridge.sources.bullmq.discovery import Found
from bridge.sources.bullmq.lane import Lane
from bridge.sources.bullmq.source import BullmqSource
from bridge.sources.bullmq.stream import Position
from bridge.sources.bullmq.translate import Place
from bridge.sources.bullmq.watched import Queue
from tocsin.events import QueueSnapshot
from tocsin.lifecycle import pause
from tocsin.topics import partition_of, queue_key

log = structlog.get_logger("bridge.share")

SNAPSHOT_SECONDS = 30.0
"""A queue's counts are published when they change, and this often although nothing did."""


class Share:
    """The queues of one source that hash to one partition: their readers and their counts."""

    def __init__(
        self,
        settings: BridgeSettings,
        source: BullmqSource,
        partition: int,
        restored: Restored,
        outbox: Outbox,
        metrics: Metrics,
        lags: Lags,
    ) -> None:
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
        self._publishing = asyncio.Lock()  # a queue's last words are told behind its last counts
        self._places: dict[str, Place] = {}
        self._published: dict[str, QueueSnapshot] = {}
        self._scan_stored_ms = 0

    async def read(self, end: asyncio.Event) -> None:
        """Give every queue that is found to a lane, until `end` is set."""
        known: Found | None = None
        lanes: list[Lane] = []
        async with asyncio.TaskGroup() as group:
            while not end.is_set():
                found = await self._next_scan(known, end)
                if found is None:
                    continue
                known = found
                for queue in sorted(filter(self._is_mine, found.queues | self._deleted_meanwhile(found))):
                    if queue not in self._lanes:
                        self._add(queue, found, lanes, group, end)
                    if queue in found.queues:
                        self._places[queue] = self._place(queue)
                for queue, lane in self._lanes.items():
                    lane.missed(self._place(queue), self._source.source.prefix, found.missed(queue))
                self._restored.scanned_ms = found.begun_ms
                if all(lane.has_met_all for lane in lanes):
                    await self._store_scan(found)

    async def poll(self, end: asyncio.Event) -> None:
        """Publish the counts of this share's queues; a failed poll publishes nothing, so their age tells."""
        while not end.is_set():
            if self._places:
                try:
                    snapshots = await self._source.snapshots(list(self._places.values()))
                    refused = len(self._places) - len(snapshots)
                    self._metrics.snapshots_refused.labels(self._source.source.name).inc(max(0, refused))
                    await self._publish(snapshots)
                except SourceUnavailable as error:
                    self._metrics.source_errors.labels(self._source.source.name).inc()
                    log.warning("poll_failed", source=self._source.source.name, error=str(error))
            await pause(end, self._settings.bridge_poll_seconds if self._places else 0.2)

    async def _next_scan(self, known: Found | None, end: asyncio.Event) -> Found | None:
        """The newest scan when it differs from `known`, or after a while; None = there is none yet."""
        seconds = 1.0 if self._scan_stored_ms else 0.1  # soon after first contact the source counts as known
        waiting = asyncio.create_task(self._source.discovery.wait_for_change(known, seconds))
        ending = asyncio.create_task(end.wait())
        try:
            await asyncio.wait({waiting, ending}, return_when=asyncio.FIRST_COMPLETED)
            return waiting.result() if waiting.done() else None
        finally:
            ending.cancel()
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting

    def _place(self, queue: str) -> Place:
        return Place(self._source.source.env, self._source.source.name, queue)

    def _deleted_meanwhile(self, found: Found) -> set[str]:
        """Queues with a cursor that are no more: what their streams still hold is read before they are let go.

        Not those that the settings leave out: they are watched no longer, which says nothing of them. Nor any while
        other settings than the last scan's are in force.
        """
        if not self._is_same_scope:
            return set()
        covers = self._source.discovery.covers
        known = self._restored.positions.items()
        return {queue for queue, position in known if not position.is_gone and found.missed(queue) and covers(queue)}

    async def _let_go(self, queue: Queue, records: Sequence[Record]) -> None:
        """Tell that a queue is gone and forget it; one of the same name goes on from the position it had."""
        name = queue.place.queue
        async with self._publishing:
            self._places.pop(name, None)
            self._published.pop(name, None)
            await self._outbox.put(records)
        del self._lanes[name]
        self._restored.positions[name] = queue.position
        self._restored.log_lines.pop(name, None)
        self._restored.open_jobs.pop(name, None)
        self._lags.drop(queue.place.source, name)
        log.info("queue_gone", source=queue.place.source, queue=name)

    def _is_mine(self, queue: str) -> bool:
        return partition_of(self._source.source.name, queue, self._settings.kafka_partitions) == self._partition

    def _add(self, queue: str, found: Found, lanes: list[Lane], group: asyncio.TaskGroup, end: asyncio.Event) -> None:
        source = self._source.source
        lane = next((lane for lane in lanes if lane.has_room), None)
        if lane is None:
            site, door = self._settings.bridge_site, self._source.door
            lane = Lane(
                site,
                source.name,
                door,
                self._outbox,
                self._records,
                self._metrics,
                self._source.turns,
                self._source.tell_uncounted,
                self._read_back,
                self._let_go,
                self._settings.bridge_reconcile_seconds,
            )
            lanes.append(lane)
            name = f"lane-{source.name}-{self._partition}-{len(lanes)}"
            group.create_task(unless_cancelled(name, lane.run(end)), name=name)
        lag = self._lags.of(source.name, queue, self._source.door.now_ms)
        self._lanes[queue] = lane
        lane.add(self._place(queue), source.prefix, self._start(queue, found), self._restored, lag)

    def _start(self, queue: str, found: Found) -> Position:
        """Where to begin: at the cursor; else at the stream's start, with what was there before Tocsin as backfill.

        A queue that an earlier complete scan did not find was created after that scan: then only older entries are, and
        what was trimmed is lost. One whose cursor is damaged was read before, nobody knows how far: it is met as if for
        the first time, under an epoch that no count of resets has reached, so that no identity is used twice.
        """
        known = self._restored.positions.get(queue)
        if known is not None:
            return known
        before = self._restored.scanned_ms
        if queue in self._restored.damaged:
            log.error(
                "queue_begun_afresh", source=self._source.source.name, queue=queue, reason="its cursor is damaged"
            )
            return Position(epoch=found.begun_ms // 1000, baseline_id=f"{found.begun_ms}-0", is_first_contact=True)
        if before is not None:
            return Position(baseline_id=f"{before}-0")
        return Position(baseline_id=f"{found.begun_ms}-0", is_first_contact=True)

    def _read_back(self, place: Place, since_ms: int) -> AsyncIterator[bytes]:
        """What Kafka holds of a queue, from what was told since a time by Redis's clock."""
        ahead_ms = self._source.door.now_ms() - int(time.time() * 1000)
        key = queue_key(place.source, place.queue).encode()
        return read_back(self._settings, self._partition, key, since_ms - ahead_ms)

    async def _store_scan(self, found: Found) -> None:
        """Remember in Kafka when this source was last seen whole, now and then, so that a restart knows what is new."""
        if found.begun_ms - self._scan_stored_ms < 60_000:
            return
        self._scan_stored_ms = found.begun_ms
        key, value = scan_cursor(
            self._settings.bridge_site, self._source.source.name, self._source.source.scope, found.begun_ms
        )
        await self._outbox.put([self._records.cursor(key, value)])

    async def _publish(self, snapshots: Sequence[QueueSnapshot]) -> None:
        async with self._publishing:
            there = [snapshot for snapshot in snapshots if snapshot.queue in self._places]
            changed = [snapshot for snapshot in there if self._is_news(snapshot)]
            for snapshot in there:
                self._measure(snapshot)
            if changed:
                await self._outbox.put([self._records.snapshot(snapshot) for snapshot in changed])
                self._published.update({snapshot.queue: snapshot for snapshot in changed})

    def _is_news(self, snapshot: QueueSnapshot) -> bool:
        last = self._published.get(snapshot.queue)
        if last is None or snapshot.ts - last.ts >= SNAPSHOT_SECONDS * 1000:
            return True
        return _counts(snapshot) != _counts(last)

    def _measure(self, snapshot: QueueSnapshot) -> None:
        labels = (snapshot.source, snapshot.queue)
        for state in STATES:
            self._metrics.queue_jobs.labels(*labels, state).set(getattr(snapshot, state))
        self._metrics.queue_paused.labels(*labels).set(snapshot.is_paused)
        self._metrics.oldest_waiting.labels(*labels).set(snapshot.oldest_waiting_seconds or 0)
        if snapshot.workers is None:
            self._metrics.forget_workers(*labels)
        else:
            self._metrics.queue_workers.labels(*labels).set(snapshot.workers)


def _counts(snapshot: QueueSnapshot) -> tuple[object, ...]:
    """What makes a snapshot news: everything but its time and an age that only grows with it."""
    return (
        snapshot.waiting,
        snapshot.active,
        snapshot.delayed,
        snapshot.prioritized,
        snapshot.waiting_children,
        snapshot.completed,
        snapshot.failed,
        snapshot.is_paused,
        snapshot.workers,
        snapshot.oldest_waiting_seconds is None,
        snapshot.max_len_events,
        snapshot.bullmq_version,
        snapshot.sources_queues,
    )
