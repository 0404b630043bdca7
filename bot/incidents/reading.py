"""The life of the reader: wait for Kafka and the topic, read, begin again when Kafka went away."""

import asyncio
from collections.abc import Callable

import structlog

from bot.incidents.consume import Consumer, Progress
from bot.kafka import Cluster, KafkaError, PositionedFeed, look_at_cluster
from bot.settings import BotSettings
from bot.store.database import Database
from bot.store.milestones import BORN, reach, reached_ms
from tocsin.breakers import Unavailable
from tocsin.lifecycle import pause

log = structlog.get_logger("reading")

RETRY_SECONDS = 2.0
CLOCK_SLACK_MS = 5_000
"""Redis' clock may be a little behind ours; what failed so shortly before the first start may ring."""

MakeConsumer = Callable[[PositionedFeed, Cluster], Consumer]


async def read_failures(
    settings: BotSettings, make_consumer: MakeConsumer, progress: Progress, stop: asyncio.Event
) -> None:
    """Read the jobs topic until stop."""
    while not stop.is_set():
        try:
            await _read_once(settings, make_consumer, progress, stop)
        except KafkaError as failure:
            progress.problem = f"{type(failure).__name__}: {failure}"[:200]
            log.warning("kafka_not_read", error=progress.problem)
        await pause(stop, RETRY_SECONDS)


async def _read_once(
    settings: BotSettings, make_consumer: MakeConsumer, progress: Progress, stop: asyncio.Event
) -> None:
    topic = settings.topics.jobs
    cluster = await look_at_cluster(settings)
    if topic not in cluster.topics:
        progress.problem = f"topic {topic} is not there yet; the bridge creates it"
        log.info("topic_awaited", topic=topic)
        return
    feed = PositionedFeed(
        settings, topic, f"{settings.kafka_topic_prefix}bot", session_seconds=settings.bot_session_seconds
    )
    try:
        await feed.start()
        await make_consumer(feed, cluster).run(stop)
    finally:
        await feed.stop()


async def born_at(database: Database, started_ms: int, stop: asyncio.Event) -> int:
    """The ms from which on failures ring: the first start of this installation, noted now if this is it.

    started_ms: when this process began; what fails while its first Postgres is still coming up rings.
    """
    while not stop.is_set():
        try:
            async with database.transaction() as session:
                await reach(session, BORN, started_ms)
                return (await reached_ms(session, BORN) or 0) - CLOCK_SLACK_MS
        except Unavailable as failure:
            log.info("first_start_not_known", error=str(failure))
            await pause(stop, RETRY_SECONDS)
    return 0
