"""What Kafka holds: a partition's newest value per key, and what was told lately. Committed records only."""

import asyncio
from collections.abc import AsyncGenerator, Collection

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from bridge.errors import WriterLost
from bridge.kafka.calls import FAILED, START_SECONDS, close_client, lost
from bridge.settings import BridgeSettings
from tocsin.breakers import Guard, Unavailable
from tocsin.kafka import client_options

MAYBE_HANGING = "if that stays, a transaction hangs there: see docs/kafka.md"
RESTORE_SECONDS = 60.0
"""Without a step forward: how long it may take in all follows what is there."""

READ_BACK_SECONDS = 120.0


async def read_cursors(settings: BridgeSettings, partition: int, guard: Guard = asyncio.timeout) -> dict[bytes, bytes]:
    """What `read_newest` returns of the cursors."""
    return await read_newest(settings, settings.topics.cursors, partition, guard)


async def read_newest(
    settings: BridgeSettings, topic: str, partition: int, guard: Guard = asyncio.timeout
) -> dict[bytes, bytes]:
    """Return the newest value per key of one partition of a compacted topic; tombstoned keys are left out.

    Call it after the partition's Writer was opened: only then is no older owner's transaction still open. Reads
    committed records from the start up to the log's end as it is now. That end is the high watermark, not the last
    stable offset which a read_committed consumer is told as the end: another site's open transaction would hide what
    was committed after its beginning. Raises WriterLost if Kafka does not answer, or that transaction does not end.
    """
    place = TopicPartition(topic, partition)
    consumer = reader(settings, f"bridge-{settings.bridge_site}-restore-{partition}")
    values: dict[bytes, bytes] = {}
    at, end = 0, None
    try:
        async with asyncio.timeout(RESTORE_SECONDS) as deadline:
            async with guard(START_SECONDS):
                await consumer.start()
            consumer.assign([place])
            await consumer.seek_to_beginning(place)
            while end is None or at < end:
                for record in (await consumer.getmany(timeout_ms=200)).get(place, []):
                    _keep_newest(values, record.key or b"", record.value)
                before, at = at, await consumer.position(place)
                if at > before:
                    deadline.reschedule(asyncio.get_running_loop().time() + RESTORE_SECONDS)
                if end is None:
                    end = consumer.highwater(place)  # as of the first fetch
    except FAILED as error:
        if end is None:
            raise lost(f"cannot restore partition {partition} of {topic}", error) from error
        why = f"read up to offset {at} of {end}; {MAYBE_HANGING}"
        raise WriterLost(f"cannot restore partition {partition} of {topic}: {why}") from error
    finally:
        await close_client(consumer)
    return values


async def read_back(
    settings: BridgeSettings,
    partition: int,
    keys: Collection[bytes],
    since_ms: int,
    guard: Guard = asyncio.timeout,
) -> AsyncGenerator[tuple[bytes, bytes]]:
    """Yield key and value of the jobs topic's committed records with these keys, appended from `since_ms` up to now.

    since_ms: our own clock. Raises TimeoutError after READ_BACK_SECONDS, WriterLost if Kafka refuses.
    """
    place = TopicPartition(settings.topics.jobs, partition)
    consumer = reader(settings, f"bridge-{settings.bridge_site}-told-{partition}")
    try:
        async with asyncio.timeout(READ_BACK_SECONDS):
            async with guard(START_SECONDS):
                await consumer.start()
            consumer.assign([place])
            async with guard(START_SECONDS):
                await seek_to_time(consumer, place, since_ms if settings.kafka_transactions else 0)
            end: int | None = None
            while end is None or await consumer.position(place) < end:
                for record in (await consumer.getmany(timeout_ms=200)).get(place, []):
                    if record.key is not None and record.key in keys and record.value is not None:
                        yield record.key, record.value
                await asyncio.sleep(0)  # what is fetched already keeps nobody else from its turn
                if end is None:
                    end = consumer.highwater(place)
    except TimeoutError:
        raise
    except (KafkaError, OSError, Unavailable) as error:
        raise lost(f"cannot read back what partition {partition} was told", error) from error
    finally:
        await close_client(consumer)


async def seek_to_time(consumer: AIOKafkaConsumer, place: TopicPartition, since_ms: int) -> None:
    """Go to the first record appended then or later; since_ms 0: to the start.

    The in-memory stand-in cannot be asked.
    """
    if since_ms <= 0:
        await consumer.seek_to_beginning(place)
        return
    end = (await consumer.end_offsets([place]))[place]  # before we ask: what is appended meanwhile is not passed over
    found = (await consumer.offsets_for_times({place: since_ms}))[place]
    consumer.seek(place, end if found is None else found.offset)


def reader(settings: BridgeSettings, client_id: str) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        **client_options(settings, client_id),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=50,
    )


def _keep_newest(values: dict[bytes, bytes], key: bytes, value: bytes | None) -> None:
    if value is None:
        values.pop(key, None)
    else:
        values[key] = value
