"""A Kafka that takes connections and never answers keeps nobody waiting for ever."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from aiokafka import AIOKafkaProducer

from bot import kafka
from bot.kafka import Echo, KafkaError, PositionedFeed, TableFeed, look_at_cluster
from tests.eventually import READY_SECONDS
from tests.tcp import listening
from tocsin.settings import Settings


class OnlyKafka(Settings):
    """Settings of something that only speaks to Kafka."""


@pytest.fixture
async def silent(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Settings]:
    """Settings that lead to a silent server; deadlines of a moment."""
    monkeypatch.setattr(kafka, "START_SECONDS", 0.3)
    monkeypatch.setattr(kafka, "STOP_SECONDS", 0.3)

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with listening(say_nothing) as port:
        yield OnlyKafka.model_construct(
            kafka_bootstrap_servers=f"127.0.0.1:{port}",
            kafka_security_protocol="PLAINTEXT",
            kafka_topic_prefix="tocsin.",
        )


async def test_a_look_at_the_cluster_ends(silent: Settings) -> None:
    async with asyncio.timeout(READY_SECONDS):
        with pytest.raises(KafkaError, match="no answer"):
            await look_at_cluster(silent)


async def test_the_start_of_a_feed_ends_and_so_does_its_end(silent: Settings) -> None:
    for feed in (PositionedFeed(silent, "jobs", "bot", session_seconds=6), TableFeed(silent, "queues")):
        async with asyncio.timeout(READY_SECONDS):
            with pytest.raises(KafkaError, match="no answer"):
                await feed.start()
            await feed.stop()


async def test_what_the_client_cancels_is_trouble_with_kafka_and_what_we_cancel_is_our_end(
    silent: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    echo = Echo(silent, "probes")
    ending = asyncio.create_task(echo.start())
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending

    async def give_up(producer: AIOKafkaProducer) -> None:
        raise asyncio.CancelledError  # as a real one does at its end, once its Kafka is gone

    with monkeypatch.context() as patched:
        patched.setattr(AIOKafkaProducer, "start", give_up)
        with pytest.raises(KafkaError, match="given up by the client"):
            await echo.start()
    await echo.stop()
