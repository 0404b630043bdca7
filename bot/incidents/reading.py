"""The life of the reader: wait for Kafka and the topic, read, begin again when Kafka went away."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from bot.incidents.alerts import Alerts
from bot.incidents.consume import Consumer, Progress
from bot.kafka import KafkaError, PositionedFeed, look_at_cluster
from bot.metrics import Metrics
from bot.settings import BotSettings
from bot.store.database import Database
from bot.store.milestones import BORN, reach, reached_ms
from tocsin.breakers import Unavailable
from tocsin.health import Health
from tocsin.lifecycle import pause

log = structlog.get_logger("reading")

RETRY_SECONDS = 2.0
CLOCK_SLACK_MS = 5_000
"""Redis' clock may be a little behind ours; what failed so shortly before the first start may ring."""


@dataclass
class Reading:
    """One for the process. started_ms: when it began; what fails while its first Postgres still comes up rings.

    skew_ms, woken: see Consumer.
    """

    settings: BotSettings
    database: Database
    alerts: Alerts
    metrics: Metrics
    health: Health
    progress: Progress
    skew_ms: Mapping[str, int]
    woken: Callable[[], None]
    started_ms: int

    async def run(self, stop: asyncio.Event) -> None:
        """Read the jobs topic until stop."""
        born_ms = await self._born_at(stop)
        while not stop.is_set():
            try:
                await self._read_once(born_ms, stop)
            except KafkaError as failure:
                self.progress.problem = f"{type(failure).__name__}: {failure}"[:200]
                log.warning("kafka_not_read", error=self.progress.problem)
            await pause(stop, RETRY_SECONDS)

    async def _read_once(self, born_ms: int, stop: asyncio.Event) -> None:
        topic = self.settings.topics.jobs
        cluster = await look_at_cluster(self.settings)
        if topic not in cluster.topics:
            self.progress.problem = f"topic {topic} is not there yet; the bridge creates it"
            log.info("topic_awaited", topic=topic)
            return
        group, session_seconds = f"{self.settings.kafka_topic_prefix}bot", self.settings.bot_session_seconds
        feed = PositionedFeed(self.settings, topic, group, session_seconds=session_seconds)
        consumer = Consumer(
            feed,
            cluster,
            self.database,
            self.alerts,
            self.metrics,
            self.health,
            skew_ms=self.skew_ms,
            born_ms=born_ms,
            woken=self.woken,
            progress=self.progress,
        )
        try:
            await feed.start()
            await consumer.run(stop)
        finally:
            await feed.stop()

    async def _born_at(self, stop: asyncio.Event) -> int:
        """The ms from which on failures ring: the first start of this installation, noted now if this is it."""
        while not stop.is_set():
            try:
                async with self.database.transaction() as session:
                    await reach(session, BORN, self.started_ms)
                    return (await reached_ms(session, BORN) or 0) - CLOCK_SLACK_MS
            except Unavailable as failure:
                log.info("first_start_not_known", error=str(failure))
                await pause(stop, RETRY_SECONDS)
        return 0
