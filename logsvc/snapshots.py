"""The newest snapshot of every queue, held in memory from Kafka's compacted topic: queues answer without ClickHouse."""

import asyncio

import structlog

from logsvc.batch import Record
from logsvc.errors import KafkaDown
from logsvc.fitness import fitted
from logsvc.kafka import Reader
from logsvc.settings import LogsvcSettings
from tocsin.events import BadRecord, QueueSnapshot
from tocsin.health import Health
from tocsin.lifecycle import pause

log = structlog.get_logger("logsvc.snapshots")

RETRY_SECONDS = 1.0


class Snapshots:
    """queues: by record key (`source:queue`). as_of_ms: when Kafka last said there is nothing newer; 0 = not read yet.

    A queue whose tombstone came is gone.
    """

    def __init__(self, settings: LogsvcSettings, health: Health) -> None:
        self.queues: dict[bytes, QueueSnapshot] = {}
        self.as_of_ms = 0
        self._settings = settings
        self._health = health

    @property
    def is_complete(self) -> bool:
        """Whether the topic has been read to its end once."""
        return self.as_of_ms > 0

    async def run(self, stop: asyncio.Event) -> None:
        """Read until stop is set; after an outage of Kafka from the start again, over what is known."""
        while not stop.is_set():
            try:
                async with Reader(
                    self._settings, "snapshots", [self._settings.topics.queues], from_start=True
                ) as reader:
                    await self._read(reader, stop)
            except KafkaDown as error:
                log.warning("snapshots_interrupted", reason=str(error))
                await pause(stop, RETRY_SECONDS)

    async def _read(self, reader: Reader, stop: asyncio.Event) -> None:
        is_at_end = False
        while not stop.is_set():
            for records in (await reader.poll()).values():
                for record in records:
                    self.take(record)
            positions = await reader.positions()
            is_at_end = is_at_end or all(positions[place] >= end for place, end in reader.end.items())
            if is_at_end:
                self._health.ok("queues", lasting=True)
                self.as_of_ms = reader.heard_at() or self.as_of_ms

    def take(self, record: Record) -> None:
        """Keep one snapshot, or forget the queue of a tombstone. What cannot be read is left out (ingest buries it)."""
        key = record.key or b""
        if record.value is None:
            self.queues.pop(key, None)
            return
        try:
            self.queues[key], _ = fitted(QueueSnapshot, record.value)
        except BadRecord as error:
            log.warning("snapshot_unreadable", reason=str(error))
