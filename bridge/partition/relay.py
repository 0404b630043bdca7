"""Relays one owned partition: a fenced writer, its cursors, readers that start there, one transaction after another.

The order is what makes it exactly once: (1) open the writer, which fences the former owner and ends its transaction;
(2) read the cursors; (3) read Redis. Any failure of the writer throws all of it away and begins at (1) again.
"""

import asyncio
import time
from collections.abc import Sequence

import structlog

from bridge.errors import KafkaResting, WriterLost
from bridge.kafka import Batches, Writer, read_cursors
from bridge.lag import Lags
from bridge.metrics import Metrics
from bridge.outbox import Outbox
from bridge.partition.polls import Polls
from bridge.partition.share import Share
from bridge.readiness import Readiness
from bridge.record import Record
from bridge.records import Records
from bridge.settings import BridgeSettings
from bridge.sources.bullmq.budget import Budget
from bridge.sources.bullmq.cursors import Restored, other_sites, restore
from bridge.sources.bullmq.reconcile.open_jobs import Room
from bridge.sources.bullmq.source import BullmqSource
from tocsin.breakers import Guard
from tocsin.lifecycle import pause, unless_cancelled

log = structlog.get_logger("bridge.partition.relay")

RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
RESTING_SECONDS = 0.5
"""While the breaker of Kafka is open, which costs nothing to ask."""

RESTORED_AT_ONCE = 2
"""Partitions whose cursors are read together: more than one, so that one that hangs does not keep the others waiting;
not all, as all records of each are held meanwhile."""


class Relay:
    """Relays partitions of this replica, each by its own call of `run`. guard: holds what is asked of Kafka."""

    def __init__(
        self,
        settings: BridgeSettings,
        sources: Sequence[BullmqSource],
        metrics: Metrics,
        readiness: Readiness,
        guard: Guard,
    ) -> None:
        self._guard = guard
        self._settings = settings
        self._sources = sources
        self._metrics = metrics
        self._readiness = readiness
        self._room = Room()
        self._budget = Budget()
        self._restoring = asyncio.Semaphore(RESTORED_AT_ONCE)

    async def run(self, partition: int, end: asyncio.Event) -> None:
        """Relay until `end` is set; a lost writer is replaced, anything else is a bug and raised."""
        lags = Lags(self._metrics)
        try:
            await self._run(partition, lags, end)
        finally:
            lags.leave()
            self._readiness.left(partition)

    async def _run(self, partition: int, lags: Lags, end: asyncio.Event) -> None:
        failures = 0
        while not end.is_set():
            begun = time.monotonic()
            try:
                async with Writer(self._settings, partition, self._guard) as writer:
                    restored = await self._restore(partition)
                    self._readiness.begun(partition)
                    await self._relay(writer, restored, lags, end)
            except* KafkaResting:
                self._readiness.lost(partition)
                await pause(end, RESTING_SECONDS)
            except* WriterLost as lost:
                failures = 0 if time.monotonic() - begun > 60 else failures + 1
                self._readiness.lost(partition)
                self._metrics.restarts.inc()
                log.warning("writer_lost", partition=partition, error=str(lost.exceptions[0]))
                await pause(end, RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])

    async def _restore(self, partition: int) -> list[Restored]:
        """What the partition's cursors say of each source; nothing else of them is kept."""
        async with self._restoring:
            values = await read_cursors(self._settings, partition, self._guard)
            log.info("partition_begun", partition=partition, cursors=len(values))
            site, sources = self._settings.bridge_site, [source.source for source in self._sources]
            for source in sources:
                self._warn_of_others(source.name, values)
            return [restore(site, source.name, source.scope, values) for source in sources]

    async def _relay(self, writer: Writer, all_restored: list[Restored], lags: Lags, end: asyncio.Event) -> None:
        outbox = Outbox(self._refuse, writer.batches)
        shared = outbox, self._metrics, lags, self._room, self._budget, self._guard
        shares = [
            Share(self._settings, source, writer.partition, restored, *shared)
            for source, restored in zip(self._sources, all_restored, strict=True)
        ]
        try:
            async with asyncio.TaskGroup() as group:
                name = f"write-{writer.partition}"
                group.create_task(unless_cancelled(name, self._write(writer, outbox)), name=name)
                async with asyncio.TaskGroup() as readers:
                    for source, share in zip(self._sources, shares, strict=True):
                        where = self._settings, source, writer.partition
                        theirs = share.places, share.tallies, share.memories, share.telling
                        polls = Polls(*where, *theirs, outbox, self._metrics, self._guard)
                        for part in (share.read, polls.poll):
                            name = f"{part.__name__}-{source.source.name}-{writer.partition}"
                            readers.create_task(unless_cancelled(name, part(end)), name=name)
                outbox.close()
        finally:
            outbox.discard()
            for share in shares:
                share.forget()

    def _warn_of_others(self, source: str, values: dict[bytes, bytes]) -> None:
        """Two sources of one name are one to whoever reads Kafka: their queues and jobs run together."""
        sites = other_sites(self._settings.bridge_site, source, values)
        if sites:
            mend = "name the sources of each site differently; if the site was only renamed, all is well"
            log.warning("source_of_two_sites", source=source, other_sites=sorted(sites), mend=mend)

    def _refuse(self, record: Record) -> Record:
        """Say that a record is too big for Kafka, and make a dead letter of it."""
        source, _, queue = record.key.decode(errors="replace").partition(":")
        self._metrics.dead_letters.labels(source, queue).inc()
        log.error("record_too_big", topic=record.topic, source=source, queue=queue, bytes=record.size)
        return Records(self._settings.topics).too_big(record)

    async def _write(self, writer: Writer, outbox: Outbox[Batches]) -> None:
        """Commit what was put: at once when idle or there is much, else in transactions BRIDGE_COMMIT_MS apart."""
        spacing = self._settings.bridge_commit_ms / 1000
        while await outbox.wait():
            begun = time.monotonic()
            batches, committed = outbox.take()
            await writer.write(batches)
            self._metrics.commits.inc()
            self._metrics.commit_seconds.observe(time.monotonic() - begun)
            for tell in committed:
                tell()
            await outbox.gather(spacing - (time.monotonic() - begun))
