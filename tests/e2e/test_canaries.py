"""A secret put wherever an app can put one is nowhere in what leaves the bridge, nor in what the others make of it."""

import pytest

from tests.bullmq.driver import Major, leave_canaries
from tests.clients import redis
from tests.e2e.arrival import everything_stored
from tests.eventually import eventually
from tests.kafka_reader import KafkaReader, Records
from tests.product import Product
from tests.servers.sandbox import TOKEN

SECRET = "hunter2canary7f3a9b"
QUEUE = "canaries"
TABLES = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine NOT LIKE '%View'"


async def add_dead_letter(redis_url: str) -> None:
    client = redis.from_url(redis_url)
    try:
        await client.xadd(f"bull:{QUEUE}:events", {"jobId": "1", "password": SECRET, "note": f"token={SECRET}"})
    finally:
        await client.aclose()


def was_told(records: Records) -> bool:
    """Whether each place a secret was put in has left its mark in Kafka."""
    told = [event for event in records.jobs if event.queue == QUEUE]
    return (
        sum(bool(event.data) for event in told) >= 4
        and any(event.result for event in told)
        and any(event.progress for event in told)
        and {event.state for event in told if event.error and event.stack} >= {"retrying", "failed"}
        and len(records.logs) >= 12
        and any(scheduler.data for scheduler in records.schedulers)
        and bool(records.deadletter)
    )


@pytest.mark.parametrize("version", [6, 5])
async def test_no_secret_leaves_the_process(tocsin: Product, redis_url: str, version: Major) -> None:
    for service in ("sandbox", "logsvc", "bridge", "bot"):
        await tocsin.start(service)
    await tocsin.ready()
    await leave_canaries(redis_url, QUEUE, SECRET, version=version)
    await add_dead_letter(redis_url)
    async with KafkaReader(tocsin.kafka, tocsin.prefix) as reader:

        async def told() -> bool:
            return was_told(await reader.read())

        await eventually(told, seconds=60, what="every place that held the secret")
        await everything_stored(tocsin)

        async def rung() -> bool:
            return any(QUEUE in message["text"] and "LoginError" in message["text"] for message in await tocsin.chat())

        await eventually(rung, seconds=60, what="the failure in the chat")
        for command in ("/failed canaries", "/job canaries 2", "/queue canaries"):
            await tocsin.say(command)
        answers = await answered(tocsin, 3)
        api = [await tocsin.get(f"/api/v1/{path}") for path in ("jobs", "logs", "queues", f"jobs/main/{QUEUE}/2")]
        records = await reader.read()  # with what all of that has left in Kafka

    for secret in (SECRET, TOKEN):
        assert not [topic for topic, key, value in records.raw if secret.encode() in key + value]
    assert not [header for header in records.headers if SECRET.encode() in header]
    assert not [answer for answer in api if SECRET in str(answer)]
    assert not [text for text in answers if SECRET in text]
    assert await tocsin.stop("logsvc") == 0
    for secret in (SECRET, TOKEN):
        assert not [service for service in ("bridge", "logsvc", "bot") if secret in tocsin.log(service)]
    tables = [str(row[0]) for row in (await tocsin.query(TABLES))[0]]
    assert "journal" in tables
    for table, rows in zip(tables, await tocsin.query(*(f"SELECT * FROM {table}" for table in tables)), strict=True):
        assert SECRET not in str(rows), table


async def answered(tocsin: Product, count: int) -> list[str]:
    """Every text of the chat once so many commands were answered."""

    async def is_answered() -> bool:
        messages = await tocsin.chat()
        asked = next(at for at, message in enumerate(messages) if message.get("text", "").startswith("/failed"))
        return sum(message["from"]["is_bot"] for message in messages[asked:]) >= count

    await eventually(is_answered, what="answers")
    return [str(message) for message in await tocsin.chat()]
