"""Transactions that hang: their coordinator holds them for ended, their partitions do not. docs/kafka.md tells why.

Whoever reads committed records stops before the first record of one, for ever. A transaction under way looks the same,
so its age decides: bridge's are aborted by Kafka after 15 s.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from tocsin.doctor.finding import Finding, bad
from tocsin.kafka import client_options
from tocsin.lifecycle import close_within
from tocsin.settings import Settings

HANGING_SECONDS = 120.0
_SECONDS = 3.0


async def hanging_transactions(settings: Settings, partitions: Mapping[str, int]) -> list[Finding]:
    """partitions: how many each topic has. What may not be read, or not in time, is left out."""
    committed, everything = _reader(settings, "read_committed"), _reader(settings, "read_uncommitted")
    places = [TopicPartition(topic, number) for topic, count in partitions.items() for number in range(count)]
    old: dict[TopicPartition, int] = {}
    try:
        with suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(_SECONDS):
                await committed.start()
                await everything.start()
                stable, ends = await committed.end_offsets(places), await everything.end_offsets(places)
                behind = {place: stable[place] for place in places if stable[place] < ends[place]}
                async for place, age_seconds in _ages(everything, behind):
                    if age_seconds > HANGING_SECONDS:
                        old[place] = behind[place]
    finally:
        for consumer in (committed, everything):
            with suppress(KafkaError, OSError):
                await close_within(_SECONDS, consumer.stop())
    return [_hangs(settings, dict(sorted(old.items())))] if old else []


def _reader(settings: Settings, isolation: str) -> Any:
    return AIOKafkaConsumer(
        **client_options(settings, "tocsin-doctor"), isolation_level=isolation, enable_auto_commit=False
    )


async def _ages(consumer: Any, behind: Mapping[TopicPartition, int]) -> AsyncGenerator[tuple[TopicPartition, float]]:
    """How old the record at each offset is."""
    consumer.assign(list(behind))
    for place, offset in behind.items():
        consumer.seek(place, offset)
    left = set(behind)
    while left:
        for place, records in (await consumer.getmany(timeout_ms=500, max_records=len(behind))).items():
            if place in left:
                left.remove(place)
                consumer.pause(place)
                yield place, time.time() - records[0].timestamp / 1000


def _hangs(settings: Settings, found: Mapping[TopicPartition, int]) -> Finding:
    where = ", ".join(f"{place.topic}-{place.partition} from offset {offset}" for place, offset in found.items())
    tool = f"kafka-transactions.sh --bootstrap-server {settings.kafka_bootstrap_servers} abort"
    mends = [f"{tool} --topic {at.topic} --partition {at.partition} --start-offset {found[at]}" for at in found]
    return bad(
        "Kafka transactions",
        f"one hangs in {where}: nothing newer is seen there by anybody. {_exactness(settings, list(found))}",
        " && ".join(mends) + "   (why, and which Kafka does not do it: docs/kafka.md)",
    )


def _exactness(settings: Settings, places: Sequence[TopicPartition]) -> str:
    """What ending it costs: nothing while the events and the position that was kept with them hang together."""
    numbers = {topic: {at.partition for at in places if at.topic == topic} for topic in {at.topic for at in places}}
    jobs = numbers.get(settings.topics.jobs, set[int]())
    cursors = numbers.get(settings.topics.cursors, set[int]())
    if jobs - cursors:
        return f"Ended, the events in it are missing from {settings.topics.jobs}: their position was kept"
    if cursors - jobs:
        return f"Ended, the events it went with are read again: {settings.topics.jobs} has them already"
    return "Ended everywhere, what was in it is read from Redis again"
