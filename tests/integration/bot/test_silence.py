"""Silence means something only while the bridge tells of the source; and only a Redis' own clock tells its times."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from tests.clients import aiokafka
from tests.eventually import eventually
from tests.integration.bot.house import PARTITIONS, House, failure, snapshot
from tocsin.events import State, encode


async def test_an_incident_stays_open_while_nobody_watches_its_source(house: House) -> None:
    await house.put(snapshot(), snapshot(source="watched"))
    await house.start_bot(BOT_RESOLVE_SECONDS="2")
    await house.put(
        failure(), failure(source="watched", error_type="Other"), failure(error_type="Same", fingerprint="f2")
    )
    await eventually(lambda: house.has_text("Same ×1"), what="the alerts")

    async def resolved(source: str, kind: str) -> bool:
        await house.put(snapshot(source=source))
        return any(text.startswith("✅") and kind in text for text in await house.alerts())

    await eventually(lambda: resolved("watched", "Other"), what="the end of the incident that is watched")
    assert sum(text.startswith("✅") for text in await house.alerts()) == 1
    await eventually(lambda: resolved("main", "Same"), what="the end of the others, once their source is watched")
    await eventually(lambda: resolved("main", "CardError"), what="the end of the last")


async def test_a_failure_rings_though_the_clock_of_its_redis_is_far_behind(house: House) -> None:
    await house.put(snapshot(age_seconds=1200))
    await house.start_bot()
    await eventually(lambda: house.has_text("Watching"), what="the snapshot's arrival")
    await house.put(failure(age_seconds=1200))
    await eventually(lambda: house.has_text("CardError ×1"), what="the alert")
    assert await house.alerts()


@asynccontextmanager
async def busy(house: House) -> AsyncGenerator[None]:
    """Jobs complete on every partition all the time, each in a transaction of its own, as a bridge writes them."""
    producer = aiokafka.AIOKafkaProducer(
        bootstrap_servers=house.kafka, transactional_id=f"{house.topics.prefix}busy", linger_ms=0
    )
    await producer.start()
    done = encode(failure(event="completed", state=State.COMPLETED, error="", error_type=""))
    stop = asyncio.Event()

    async def work() -> None:
        while not stop.is_set():
            async with producer.transaction():
                for partition in range(PARTITIONS):
                    await producer.send(house.topics.jobs, done, partition=partition)

    working = asyncio.create_task(work())
    try:
        yield
    finally:
        stop.set()
        await working
        await producer.stop()


async def test_an_incident_ends_while_others_keep_the_topic_busy(house: House) -> None:
    await house.start_bot(BOT_RESOLVE_SECONDS="3")
    async with busy(house):
        await house.put(failure())
        await eventually(lambda: house.has_text("CardError ×1"), what="the alert")

        async def resolved() -> bool:
            await house.put(snapshot())
            return await house.has_text("quiet again")

        await eventually(resolved, what="the end of the incident")

        async def no_lag() -> bool:
            text, _ = await house.ask("/status", expect="Kafka")
            return "Kafka: 0 records behind" in text

        await eventually(no_lag, what="no lag, though there is always something new")
        await house.put(failure())
        await eventually(lambda: house.has_text("back again"), what="the same failure, rung anew")
