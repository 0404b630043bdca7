"""How far Kafka and a consumer group are, by what consumers see: committed records only, markers not counted."""

from collections.abc import Sequence
from typing import Any

from tests.clients import aiokafka, aiokafka_admin


async def last_offsets(bootstrap: str, topics: Sequence[str]) -> dict[tuple[str, int], tuple[int, int]]:
    """(topic, partition) -> (offset of its last committed record, number of committed records); empty ones left out."""
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    await consumer.start()
    found: dict[tuple[str, int], tuple[int, int]] = {}
    try:
        places = await _places(bootstrap, topics)
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        while [place for place in places if await consumer.position(place) < ends[place]]:
            for place, records in (await consumer.getmany(timeout_ms=200)).items():
                _, count = found.get((place.topic, place.partition), (0, 0))
                found[place.topic, place.partition] = (records[-1].offset, count + len(records))
    finally:
        await consumer.stop()
    return found


async def committed_records(bootstrap: str, topic: str) -> int:
    """How many records of a topic a read_committed consumer sees."""
    return sum(count for _, count in (await last_offsets(bootstrap, [topic])).values())


async def is_at_the_end(bootstrap: str, group: str, topics: Sequence[str]) -> bool:
    """Whether a group has committed past the last record of each partition."""
    admin = aiokafka_admin.AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    committed = {(place.topic, place.partition): kept.offset for place, kept in offsets.items()}
    last = await last_offsets(bootstrap, topics)
    return all(committed.get(place, -1) > offset for place, (offset, _) in last.items())


async def _places(bootstrap: str, topics: Sequence[str]) -> list[Any]:
    """Every partition of these topics that exist."""
    admin = aiokafka_admin.AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        described = await admin.describe_topics(list(topics))
    finally:
        await admin.close()
    return [
        aiokafka.TopicPartition(topic["topic"], partition["partition"])
        for topic in described
        for partition in topic["partitions"]
    ]
