"""A Kafka that has just woken may name no broker: what keeps the reader's place in its group dies of that, for good."""

import asyncio
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.incidents.alerts import Alerts
from bot.incidents.consume import Progress
from bot.incidents.reading import Reading
from bot.kafka import PositionedFeed
from bot.metrics import Metrics
from bot.people.seal import Seal
from bot.render.alert import Links
from bot.routing.chats import Chats
from bot.rules.policy import Policy
from bot.rules.rulebook import RuleBook
from bot.settings import BotSettings
from bot.store.database import Database
from tests.clients import aiokafka_admin
from tests.eventually import READY_SECONDS, eventually
from tests.unit.bot.test_routes import BASE
from tocsin.breakers import Breakers
from tocsin.health import Health
from tocsin.kafka_place import tasks_of_place
from tocsin.settings import read
from tocsin.times import current_ms


async def test_reading_goes_on_once_kafka_names_a_broker_again(
    kafka_bootstrap: str, topic_prefix: str, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = {"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap, "KAFKA_TOPIC_PREFIX": topic_prefix}
    settings, metrics = read(BotSettings, {**BASE, **where}), Metrics(CollectorRegistry())
    await make_topic(kafka_bootstrap, settings.topics.jobs)
    progress, stop = Progress(), asyncio.Event()
    reading = Reading(
        settings,
        Database(engine, Breakers(settings, CollectorRegistry()), timeout=30),
        Alerts(Chats(settings), RuleBook(Policy()), metrics, Links(""), Seal("secret")),
        metrics,
        Health(),
        progress,
        skew_ms={},
        woken=lambda: None,
        started_ms=current_ms(),
    )
    feeds: list[Any] = []
    start = PositionedFeed.start

    async def noting_start(feed: PositionedFeed) -> None:
        feeds.append(feed)
        await start(feed)

    def nobody(_client: Any) -> None:
        """No broker."""

    monkeypatch.setattr(PositionedFeed, "start", noting_start)
    async with asyncio.timeout(READY_SECONDS), asyncio.TaskGroup() as running:
        running.create_task(reading.run(stop))
        await eventually(lambda: progress.heard_ms is not None, what="a topic that is read")
        with monkeypatch.context() as fault:
            fault.setattr("aiokafka.client.AIOKafkaClient.get_random_node", nobody)
            feeds[0]._consumer._coordinator.coordinator_dead()
            await eventually(lambda: "bootstrap" in progress.problem, what="a place that is lost")
        since_ms = current_ms()
        await eventually(lambda: (progress.heard_ms or 0) > since_ms, what="a topic that is read again")
        assert progress.problem == ""
        stop.set()


async def test_a_reader_that_cannot_leave_its_group_leaves_nothing_that_keeps_its_place_or_fetches(
    kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would connect again, and hold partitions that nobody reads."""
    monkeypatch.setattr("bot.kafka.STOP_SECONDS", 0.3)
    where = {"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap, "KAFKA_TOPIC_PREFIX": topic_prefix}
    settings = read(BotSettings, {**BASE, **where})
    await make_topic(kafka_bootstrap, settings.topics.jobs)
    feed = PositionedFeed(settings, settings.topics.jobs, f"{topic_prefix}bot", session_seconds=10)
    consumer: Any = feed._consumer  # pyright: ignore[reportPrivateUsage]  # the fault is put exactly there
    await feed.start()

    async def has_place() -> bool:
        await feed.read(wait_seconds=0.2, most=1)
        return bool(feed.unplaced())

    async def unanswered() -> None:
        await asyncio.Event().wait()

    await eventually(has_place, what="partitions of its own")
    monkeypatch.setattr(consumer._coordinator, "_maybe_leave_group", unanswered)
    tasks = [*tasks_of_place(consumer), consumer._fetcher._fetch_task]
    await feed.stop()
    await eventually(lambda: all(task.done() for task in tasks), what="the end of them")
    await consumer._client.close()


async def make_topic(kafka: str, topic: str) -> None:
    admin = aiokafka_admin.AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([aiokafka_admin.NewTopic(topic, 2, 1)])
    finally:
        await admin.close()
