"""A secret put wherever an app can put one is nowhere in what leaves the bridge, nor in what the others make of it."""

import json
from collections.abc import Mapping

import pytest

from bridge.redaction.names import HIDDEN
from tests.bullmq.driver import Major, leave_canaries
from tests.clients import redis
from tests.e2e.arrival import everything_stored
from tests.eventually import eventually
from tests.kafka_reader import KafkaReader, Records
from tests.product import Product
from tests.servers.sandbox import TOKEN

SECRET = "hunter2canary7f3a9b"
CANARIES = (SECRET, TOKEN)
QUEUE = "canaries"
TABLES = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine NOT LIKE '%View'"
API = (
    *("jobs", "logs", "queues", "schedulers", "errors", "dead-letters", "system"),
    *(f"jobs/main/{QUEUE}/{number}" for number in (2, 4, 5, 6)),
)
ENTRY = {
    "jobId": "1",
    "password": SECRET,
    "note": f"token={SECRET}",
    "data": json.dumps({"login": {"credentials": {"all": [{"of": SECRET}]}}}),
    "body": json.dumps({"m": f"err {json.dumps({'tokens': ['x', SECRET]})}"}),
    "text": f"400 from API: {json.dumps({'credentials': {'id': 'a', 'value': SECRET}})}",
    "ran": f"mysqldump --password '{SECRET}'",
    "said": f"ALTER ROLE app WITH PASSWORD '{SECRET}'",
    "page": f'<input name="csrf_token" value="{SECRET}">',
    "hook": f"POST https://discord.com/api/webhooks/123456789012345678/{SECRET}{SECRET}",
    "totp": SECRET,
    "printed": f"{{ tokens: [ 'x', '{SECRET}' ] }}",
}
"""It names no event."""


async def add_dead_letter(redis_url: str) -> None:
    client = redis.from_url(redis_url)
    try:
        await client.xadd(f"bull:{QUEUE}:events", ENTRY)
    finally:
        await client.aclose()


def was_told(records: Records, shapes: int) -> bool:
    """Whether each place a secret was put in has left its mark in Kafka."""
    told = [event for event in records.jobs if event.queue == QUEUE]
    failed = [event for event in told if event.job_name == "shape" and event.state == "failed"]
    return (
        sum(bool(event.data) for event in told) >= 4 + shapes
        and any(event.result for event in told)
        and any(event.progress for event in told)
        and {event.state for event in told if event.error and event.stack} >= {"retrying", "failed"}
        and len({event.job_id for event in failed if HIDDEN in event.error and HIDDEN in str(event.stack)}) == shapes
        and len(records.logs) >= 12 + shapes
        and any(scheduler.data for scheduler in records.schedulers)
        and any(letter.body.count(HIDDEN) == len(ENTRY) - 1 for letter in records.deadletter)
    )


def found_in(texts: Mapping[str, str | bytes]) -> list[str]:
    """Which of these texts hold a canary."""
    seen = {name: text.encode(errors="replace") if isinstance(text, str) else text for name, text in texts.items()}
    return [name for name, raw in seen.items() if any(canary.encode() in raw for canary in CANARIES)]


@pytest.mark.parametrize("version", [6, 5])
async def test_no_secret_leaves_the_process(tocsin: Product, redis_url: str, version: Major) -> None:
    for service in ("sandbox", "logsvc", "bridge", "bot"):
        await tocsin.start(service)
    await tocsin.ready()
    shapes = await leave_canaries(redis_url, QUEUE, SECRET, version=version)
    await add_dead_letter(redis_url)
    async with KafkaReader(tocsin.kafka, tocsin.prefix) as reader:

        async def told() -> bool:
            return was_told(await reader.read(), shapes)

        await eventually(told, what="every place that held the secret")
        await everything_stored(tocsin)

        async def rung() -> bool:
            return any(QUEUE in message["text"] and "LoginError" in message["text"] for message in await tocsin.chat())

        await eventually(rung, what="the failure in the chat")
        commands = ("/failed canaries", "/queue canaries", *(f"/job canaries {number}" for number in (2, 4, 5, 6)))
        for command in commands:
            await tocsin.say(command)
        await answered(tocsin, len(commands))
        api = {path: str(await tocsin.get(f"/api/v1/{path}")) for path in API}
        records = await reader.read()  # with what all of that has left in Kafka

    assert found_in({f"{topic} {at}": key + value for at, (topic, key, value) in enumerate(records.raw)}) == []
    assert found_in({str(at): header for at, header in enumerate(records.headers)}) == []
    assert found_in(api) == []
    assert found_in(everything_sent(tocsin)) == []
    assert await tocsin.stop("logsvc") == 0
    assert found_in({service: tocsin.log(service) for service in ("bridge", "logsvc", "bot")}) == []
    tables = [str(row[0]) for row in (await tocsin.query(TABLES))[0]]
    assert "journal" in tables
    rows = await tocsin.query(*(f"SELECT * FROM {table}" for table in tables))
    assert found_in({table: str(row) for table, row in zip(tables, rows, strict=True)}) == []


async def answered(tocsin: Product, count: int) -> None:
    """Wait until so many commands were answered."""

    async def is_answered() -> bool:
        messages = await tocsin.chat()
        asked = next(at for at, message in enumerate(messages) if message.get("text", "").startswith("/failed"))
        return sum(message["from"]["is_bot"] for message in messages[asked:]) >= count

    await eventually(is_answered, what="answers")


def everything_sent(tocsin: Product) -> dict[str, bytes]:
    """Every file the sandbox keeps: its journal has each message as it was sent, and each edit of it."""
    kept = {str(path): path.read_bytes() for path in (tocsin.data / "sandbox").rglob("*") if path.is_file()}
    assert any(b"LoginError" in raw for raw in kept.values())
    return kept
