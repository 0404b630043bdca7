"""Calls of Kafka's clients: what guards them, how they fail, and how a client is closed."""

import asyncio
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import (
    BrokerNotAvailableError,
    IllegalOperation,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    RequestTimedOutError,
)

from bridge.errors import KafkaResting, WriterLost
from tocsin.breakers import Breakers, Guard, Unavailable
from tocsin.kafka_place import give_up_place
from tocsin.lifecycle import close_within

START_SECONDS = 20.0
END_SECONDS = 5.0

RESET_SECONDS = 0.5
"""While its breaker is open: replicas try again by themselves, and BullMQ trims what they do not read."""

AWAY = (
    OSError,
    KafkaConnectionError,
    KafkaTimeoutError,
    NodeNotReadyError,
    RequestTimedOutError,
    BrokerNotAvailableError,
)
"""What a Kafka that is away raises. One that fences a writer, or refuses it, has answered."""

FAILED = (KafkaError, OSError, TimeoutError, Unavailable)

PRODUCER_FAILED = (*FAILED, AssertionError, IllegalOperation)
"""aiokafka asserts that it knows a broker: a Kafka that has just woken may name none. And that a transaction may go on
from its state, for a batch by an error that is none of Kafka's: a failure beside it may have changed that."""


def guard_by(breakers: Breakers) -> Guard:
    """What holds the relay's calls; one for all partitions."""
    return breakers.guard_loops("kafka-relay", errors_that_count=AWAY, reset_seconds=RESET_SECONDS)


async def close_client(client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    """Close a client within END_SECONDS, or as long again when no broker answers any more.

    A producer that cannot flush never comes to close its connections, nor a consumer that cannot leave its group;
    closed under it, what it waits for fails.
    """
    any_client: Any = client
    connections = any_client.client if isinstance(client, AIOKafkaProducer) else any_client._client
    with suppress(KafkaError, OSError):
        return await close_within(END_SECONDS, client.stop())
    connections.force_metadata_update = _cancelled
    if isinstance(client, AIOKafkaProducer):
        _give_up_batches(any_client)
    else:
        give_up_place(any_client)
    with suppress(KafkaError, OSError):
        await close_within(END_SECONDS, connections.close())
    if connections._md_update_fut is not None:
        connections._md_update_fut.cancel()


def _cancelled() -> asyncio.Future[bool]:
    """For whoever waits to hear which brokers there are: of a client that is closed nobody tells any more."""
    never: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    never.cancel()
    return never


def _give_up_batches(producer: Any) -> None:
    """End what sends, and what waits for that."""
    if producer._sender.sender_task is not None:
        producer._sender.sender_task.cancel()
    accumulator = producer._message_accumulator
    for batch in (*accumulator._pending_batches, *(one for some in accumulator._batches.values() for one in some)):
        batch.future.cancel()


def say(error: BaseException) -> str:
    told = error.__cause__ if isinstance(error, Unavailable) else None
    return (str(told) if told is not None else "") or str(error) or type(error).__name__


def lost(what: str, error: BaseException) -> WriterLost:
    was_asked = not isinstance(error, Unavailable) or error.__cause__ is not None
    return (WriterLost if was_asked else KafkaResting)(f"{what}: {say(error)}")
