"""What a writer leaves behind when it is lost: nothing, and no noise."""

import asyncio
import gc
from typing import Any

import pytest
from aiokafka import TopicPartition

from bridge import kafka
from bridge.errors import WriterLost
from bridge.kafka import Writer
from bridge.record import Record
from tests.eventually import eventually
from tests.integration.bridge.test_sites import site
from tocsin.topic_admin import until_topics_fit


async def test_fenced_writer_says_so_once(kafka_bootstrap: str, topic_prefix: str) -> None:
    settings = site("eu", kafka_bootstrap, topic_prefix)
    await until_topics_fit(settings, asyncio.Event())
    mishaps: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: mishaps.append(context))
    records = [Record.of(topic, b"k", b"1") for topic in (settings.topics.cursors, settings.topics.jobs)]
    async with Writer(settings, 0) as former:
        await former.write(records)
        async with Writer(settings, 0) as owner:
            with pytest.raises(WriterLost):
                await former.write(records)
            await owner.write(records)
    del former, owner
    gc.collect()
    await asyncio.sleep(0)
    assert mishaps == []


async def test_transaction_of_many_batches_keeps_the_order_in_each_topic(
    kafka_bootstrap: str, topic_prefix: str
) -> None:
    settings = site("eu", kafka_bootstrap, topic_prefix)
    await until_topics_fit(settings, asyncio.Event())
    jobs, letters, cursors = settings.topics.jobs, settings.topics.deadletter, settings.topics.cursors
    filling = b"x" * 60_000  # four to a batch
    written = {
        jobs: [Record.of(jobs, b"%d" % at, filling, b"id", b"kind") for at in range(30)],
        letters: [Record.of(letters, b"%d" % at, filling, b"id", b"kind", partition=0) for at in range(30)],
        cursors: [Record.of(cursors, b"%d" % at, b"1" if at % 3 else None) for at in range(30)],
    }
    async with Writer(settings, 0) as writer:
        await writer.write([record for three in zip(*written.values(), strict=True) for record in three])
    consumer = kafka.reader(settings, "test")
    await consumer.start()
    consumer.assign([TopicPartition(topic, 0) for topic in written])
    found: dict[str, list[Any]] = {topic: [] for topic in written}
    async with asyncio.timeout(60):
        while any(len(records) < 30 for records in found.values()):
            for place, records in (await consumer.getmany(timeout_ms=200)).items():
                found[place.topic] += records
    await consumer.stop()
    for topic, records in written.items():
        read = found[topic]
        assert [(one.key, one.value) for one in read] == [(record.key, record.value) for record in records]
        assert {one.headers for one in read} == {() if topic == cursors else (("ce_id", b"id"), ("ce_type", b"kind"))}


async def test_writer_that_cannot_flush_is_closed_all_the_same(
    kafka_bootstrap: str, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka falls silent for good: the connections are closed, and what waited for them ends."""
    monkeypatch.setattr(kafka, "END_SECONDS", 0.5)
    settings = site("eu", kafka_bootstrap, topic_prefix)
    await until_topics_fit(settings, asyncio.Event())
    before = asyncio.all_tasks()
    writer = await Writer(settings, 0).__aenter__()
    producer: Any = writer._producer  # pyright: ignore[reportPrivateUsage]  # the fault is put exactly there
    asked, never = asyncio.Event(), asyncio.Event()

    async def unanswered(*_: object, **__: object) -> None:
        asked.set()
        await never.wait()

    send = producer.client.send
    producer.client.send = unanswered
    writing = asyncio.create_task(writer.write([Record.of(settings.topics.jobs, b"k", b"1")]))
    await asked.wait()
    closed = asyncio.Event()
    close = producer.client.close

    async def noting_close() -> None:
        closed.set()
        never.set()
        producer.client.send = send
        await close()

    producer.client.close = noting_close
    await writer.__aexit__()
    assert closed.is_set()
    writing.cancel()
    await asyncio.wait({writing})
    await eventually(lambda: not asyncio.all_tasks() - before, what="every task of the writer ended")
