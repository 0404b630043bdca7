"""Without Java the in-memory Kafka stands in, says so, and is never mistaken for one that keeps anything."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.clients import aiokafka
from tocsin.stack.kafka.mock import NOTICE
from tocsin.stack.ports import Ports
from tocsin.stack.stack import Stack, StandInLost, can_run_kafka
from tocsin.topics import Topics

GIVEN = {"REDIS_URL": "redis://127.0.0.1:1", "DATABASE_URL": "postgresql://x", "CLICKHOUSE_URL": "chdb:///x"}


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncGenerator[Stack]:
    """Only the stand-in: the other servers count as given."""
    stack = Stack(tmp_path, Ports(tmp_path), GIVEN, lambda _: None, is_stand_in=True)
    await stack.start()
    yield stack
    await stack.stop()


async def test_without_java_a_notice_says_what_stands_in(tmp_path: Path) -> None:
    said: list[str] = []
    environ = {"TOCSIN_JAVA": "/nowhere/java", "TOCSIN_CACHE_DIR": str(tmp_path)}
    assert not await can_run_kafka(environ, said.append)
    assert said[-1] == NOTICE
    assert "TOCSIN_JAVA" in said[0], "and why"


async def test_a_kafka_of_ones_own_needs_no_java() -> None:
    assert await can_run_kafka({"KAFKA_BOOTSTRAP_SERVERS": "k:9092", "TOCSIN_JAVA": "/nowhere"}, print)


async def test_services_are_told_that_it_has_no_transactions(stack: Stack) -> None:
    assert stack.settings["KAFKA_TRANSACTIONS"] == "false"


async def test_every_topic_is_there_and_records_pass_through_a_fixed_port(stack: Stack) -> None:
    address, topics = stack.settings["KAFKA_BOOTSTRAP_SERVERS"], Topics()
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=address) as producer:
        for spec in topics.specs():
            await producer.send_and_wait(spec.name, b"x")
        assert len(await producer.partitions_for(topics.jobs)) == 8
        assert len(await producer.partitions_for(topics.deadletter)) == 1
    async with aiokafka.AIOKafkaConsumer(
        topics.jobs, bootstrap_servers=address, group_id="g", auto_offset_reset="earliest"
    ) as consumer:
        assert (await consumer.getone()).value == b"x"


async def test_its_end_is_the_end_of_all_data(stack: Stack) -> None:
    for server in stack.running():
        server.child.process.kill()
    with pytest.raises(ExceptionGroup) as lost:
        await stack.keep_running()
    assert lost.group_contains(StandInLost)
