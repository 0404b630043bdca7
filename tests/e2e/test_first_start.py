"""First contact with an app that has run for long: one message, no alarm for the past."""

import time

import pytest

from tests.clients import asyncpg
from tests.eventually import READY_SECONDS, eventually
from tests.kafka_positions import Committed
from tests.old_queues import fill
from tests.product import Product

QUEUES, FAILED = 300, 5_000
SIZES = [1_000, pytest.param(10_000, marks=pytest.mark.chaos)]
"""Events per queue. The three million of the larger past take minutes, and are told in nothing but their number."""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("events", SIZES)
async def test_the_past_makes_one_message_and_no_incident(tocsin: Product, redis_url: str, events: int) -> None:
    await fill(redis_url, queues=QUEUES, events=events, failed=FAILED)
    for service in ("sandbox", "bridge", "bot"):
        await tocsin.start(service)
    await tocsin.ready("sandbox", "bridge", "bot")

    async def greeted() -> bool:
        headline = f"Watching {QUEUES} queues. {QUEUES} already in trouble"
        return any(headline in message["text"] for message in await tocsin.chat())

    await eventually(greeted, what="the first message")

    async def all_relayed() -> bool:
        return await tocsin.metric("bridge", "bridge_events_relayed_total") >= QUEUES * events

    await eventually(all_relayed, seconds=700, what="the backfill")
    async with Committed(tocsin.kafka, [f"{tocsin.prefix}jobs"]) as committed:
        assert await committed.count() == QUEUES * events

    written = time.time()

    async def all_read() -> bool:
        return await tocsin.metric("bot", "bot_kafka_heard_timestamp_seconds") > written

    await eventually(all_read, seconds=300, what="the bot at the end of Kafka")
    await eventually(lambda: _nothing_waits(tocsin), what="an outbox with nothing to send")
    assert [one["text"].splitlines()[0] for one in await tocsin.chat()] == [
        f"🟠 Watching {QUEUES} queues. {QUEUES} already in trouble:"
    ]
    assert await _value(tocsin, "SELECT count(*) FROM incidents") == 0


async def _nothing_waits(tocsin: Product) -> bool:
    return await _value(tocsin, "SELECT count(*) FROM cards WHERE wanted > sent") == 0


async def _value(tocsin: Product, query: str) -> int:
    connection = await asyncpg.connect(tocsin.environ["DATABASE_URL"].replace("+asyncpg", "", 1), timeout=READY_SECONDS)
    try:
        return await connection.fetchval(query, timeout=READY_SECONDS)
    finally:
        await connection.close()
