"""What is asked of a source again and again, for the queues of one partition: their counts, told when they change."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from bridge.errors import SourceUnavailable
from bridge.metrics import STATES, Metrics
from bridge.outbox import Outbox
from bridge.records import Records
from bridge.settings import BridgeSettings
from bridge.sources.bullmq.source import BullmqSource
from bridge.sources.bullmq.translate import Place
from tocsin.events import QueueSnapshot
from tocsin.lifecycle import pause

log = structlog.get_logger("bridge.polls")

SNAPSHOT_SECONDS = 30.0
"""A queue's counts are published when they change, and this often although nothing did."""


class Polls:
    """The polls of one source's queues in one partition. places: by queue name; they come and go meanwhile."""

    def __init__(
        self,
        settings: BridgeSettings,
        source: BullmqSource,
        places: Mapping[str, Place],
        outbox: Outbox,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._source = source
        self._places = places
        self._outbox = outbox
        self._metrics = metrics
        self._records = Records(settings.topics)
        self._published: dict[str, QueueSnapshot] = {}

    async def poll(self, end: asyncio.Event) -> None:
        """Publish the counts of these queues until `end`; a failed poll publishes nothing, so their age tells."""
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

    async def _publish(self, snapshots: Sequence[QueueSnapshot]) -> None:
        changed = [snapshot for snapshot in snapshots if self._is_news(snapshot)]
        for snapshot in snapshots:
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
