"""Feeds the hub from Kafka: every partition of jobs and logs, from the end on."""

import asyncio
import time

import structlog

from logsvc.errors import KafkaDown
from logsvc.kafka import Reader
from logsvc.live.hub import Hub
from logsvc.live.ring import entries_of
from logsvc.partitions import Place
from logsvc.settings import LogsvcSettings
from tocsin.health import Health
from tocsin.lifecycle import pause

log = structlog.get_logger("logsvc.live")

RETRY_SECONDS = 1.0
HEARD_MS = 5_000
"""A fetch answered so lately means that Kafka is there."""


class Tail:
    """Keeps the hub at Kafka's end, across outages of Kafka."""

    def __init__(self, settings: LogsvcSettings, hub: Hub, health: Health) -> None:
        self._settings = settings
        self._hub = hub
        self._health = health

    async def run(self, stop: asyncio.Event) -> None:
        """Read until stop is set. What was written while Kafka was out of reach is read afterwards."""
        topics = [self._settings.topics.jobs, self._settings.topics.logs]
        resume: dict[Place, int] = {}
        while not stop.is_set():
            try:
                async with Reader(self._settings, "tail", topics, from_start=False, resume=resume) as reader:
                    if not reader.is_resumed:
                        self._hub.begin(reader.cluster_id, reader.start)
                        resume = dict(reader.start)
                    await self._read(reader, resume, stop)
            except KafkaDown as error:
                log.warning("tail_interrupted", reason=str(error))
                await pause(stop, RETRY_SECONDS)

    async def _read(self, reader: Reader, resume: dict[Place, int], stop: asyncio.Event) -> None:
        while not stop.is_set():
            polled = await reader.poll()
            resume.update(await reader.positions())
            topics = self._settings.topics
            entries = [entry for place, records in polled.items() for entry in entries_of(topics, place, records)]
            self._hub.publish(entries, dict(resume))
            heard = reader.heard_at()
            if heard is not None:
                self._hub.as_of_ms = heard
                if time.time() * 1000 - heard < HEARD_MS:
                    self._health.ok("kafka", lasting=True)
