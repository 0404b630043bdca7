"""Calls of Kafka's clients: each with a deadline, each failure in our own words."""

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from logsvc.errors import KafkaDown
from logsvc.ingest.batch import Record
from logsvc.partitions import Committed, Place
from logsvc.settings import LogsvcSettings
from tocsin.kafka import client_options
from tocsin.lifecycle import close_within

log = structlog.get_logger("logsvc.kafka")

FAILED = (KafkaError, OSError, TimeoutError, AssertionError)
"""What Kafka's clients raise. aiokafka asserts that it knows a broker: a Kafka that has just woken may name none."""

CALL_SECONDS = 15.0
CLOSE_SECONDS = 5.0
POLL_MS = 200
POLL_RECORDS = 2_000
"""What is handled at once, so that the loop turns in between."""


class OutOfRange(KafkaDown):
    """Kafka does not hold what was to be read next in these places; begin again from what it holds."""

    def __init__(self, places: Sequence[Place]) -> None:
        super().__init__(f"Kafka does not hold what comes next in {places[0].topic}")
        self.places = places


class NotPlaced(KafkaDown):
    """A partition came to us a moment ago and has no place to read from yet; its lane will choose one."""


async def survey(settings: LogsvcSettings, topics: Sequence[str]) -> tuple[str, list[Place]]:
    """The cluster's id and every partition of the topics. Raises KafkaDown, also while one is missing."""
    admin = AIOKafkaAdminClient(**client_options(settings, "logsvc-admin"), request_timeout_ms=int(CALL_SECONDS * 1000))
    try:
        await reach(admin.start())
        described: Sequence[Mapping[str, Any]] = await reach(admin.describe_topics(list(topics)))
        found = {str(one["topic"]): [int(part["partition"]) for part in one["partitions"]] for one in described}
        if missing := [topic for topic in topics if not found.get(topic)]:
            raise KafkaDown(f"topic {missing[0]} is not there yet")
        return await cluster_id(admin), [Place(topic, number) for topic in topics for number in sorted(found[topic])]
    finally:
        await close(admin.close())


async def cluster_id(admin: AIOKafkaAdminClient) -> str:
    described: Mapping[str, Any] = await reach(admin.describe_cluster())
    return str(described.get("cluster_id") or "unknown")


async def committed(admin: AIOKafkaAdminClient, group: str, places: Sequence[Place]) -> dict[Place, Committed]:
    """What a group last committed for each place. Asks its coordinator: our own client would not tell the metadata.

    aiokafka passes over an error of the whole group (its coordinator has just begun, or is another broker now): then
    nothing is told of any partition. "Nothing committed yet" Kafka does tell, as -1.
    """
    keys = [partition(place) for place in places]
    answer: Mapping[Any, Any] = await reach(admin.list_consumer_group_offsets(group, partitions=keys))
    if untold := [key for key in keys if key not in answer]:
        raise KafkaDown(f"the coordinator of {group} does not tell how far {untold[0].topic} is read")
    return {place: _committed(answer[key]) for place, key in zip(places, keys, strict=True)}


def _committed(told: Any) -> Committed:
    return Committed(int(told.offset), str(told.metadata or "")) if told.offset >= 0 else Committed(None, "")


async def peek(options: Mapping[str, Any], place: Place, offset: int) -> Record | None:
    """The record at exactly this offset; None if Kafka has none there (expired, compacted, a marker)."""
    consumer = AIOKafkaConsumer(
        **options, enable_auto_commit=False, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    try:
        await reach(consumer.start())
        end: Mapping[Any, int] = await reach(consumer.end_offsets([partition(place)]))
        if offset >= end[partition(place)]:
            return None
        consumer.assign([partition(place)])
        consumer.seek(partition(place), offset)
        async with asyncio.timeout(CALL_SECONDS):
            while await consumer.position(partition(place)) <= offset:
                got: Mapping[Any, Sequence[Record]] = await consumer.getmany(timeout_ms=POLL_MS, max_records=1)
                for record in got.get(partition(place), ()):
                    return record if record.offset == offset else None
        return None
    except FAILED as error:
        raise KafkaDown(f"cannot read offset {offset} of {place.topic}: {say(error)}") from error
    finally:
        await close(consumer.stop())


async def reach(call: Awaitable[Any]) -> Any:
    try:
        async with asyncio.timeout(CALL_SECONDS):
            return await call
    except FAILED as error:
        raise KafkaDown(f"Kafka does not answer: {say(error)}") from error


async def close(closing: Coroutine[Any, Any, object]) -> None:
    """Close a client, or leave it after CLOSE_SECONDS: an unreachable Kafka must not hold up our own end."""
    try:
        await close_within(CLOSE_SECONDS, closing)
    except FAILED as error:
        log.info("client_left_open", reason=say(error))


def hear_out(request: str) -> None:
    """Hear what comes of requests that go on though who waited for them was cancelled.

    aiokafka shields them, and what nobody hears asyncio logs as an error. request: the name of their coroutine.
    """
    for task in asyncio.all_tasks():
        if getattr(task.get_coro(), "__name__", "") == request:
            task.add_done_callback(_heard)


def _heard(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


def answered(consumer: Any, places: Iterable[TopicPartition]) -> list[int]:
    """When Kafka last answered a fetch of each partition, ms; nothing as long as one has had no answer at all."""
    times: list[int | None] = [consumer.last_poll_timestamp(place) for place in places]
    return [] if None in times else [time for time in times if time is not None]


async def poll(consumer: AIOKafkaConsumer, most: int = POLL_RECORDS) -> dict[Place, Sequence[Record]]:
    try:
        got: Mapping[Any, Sequence[Record]] = await consumer.getmany(timeout_ms=POLL_MS, max_records=most)
    except OffsetOutOfRangeError as error:
        places: Iterable[TopicPartition] = error.args[0]
        raise OutOfRange([Place(place.topic, place.partition) for place in places]) from error
    except NoOffsetForPartitionError as error:
        raise NotPlaced("a partition has no place yet") from error
    except FAILED as error:
        raise KafkaDown(f"reading failed: {say(error)}") from error
    return {Place(place.topic, place.partition): records for place, records in got.items()}


def partition(place: Place) -> TopicPartition:
    return TopicPartition(place.topic, place.partition)


def say(error: BaseException) -> str:
    return str(error) or type(error).__name__
