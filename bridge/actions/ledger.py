"""The log of actions in Kafka: one partition, so one order for every replica.

No transactions: that a step counts is decided by what stands before it in the log, so a late or doubled one is void.
It is as good on the in-memory stand-in.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from bridge.kafka import close_client, reader, seek_to_time
from bridge.record import REQUEST_BYTES
from bridge.settings import BridgeSettings
from tocsin.breakers import Breakers
from tocsin.events import ActionRecord, BadRecord, decode, encode
from tocsin.kafka import client_options

KAFKA = "kafka"
"""The breaker's name."""
READ_SECONDS = 12.0
REMEMBERED_SECONDS = 24 * 3600.0
"""So much of the log is read for each request; what stands before it is kept for the audit alone."""
APPEND_SECONDS = 5.0
_SICK = (KafkaError, OSError)


class Ledger:
    """Appends steps, and follows those of one request. Every call goes through the breaker of Kafka."""

    def __init__(self, settings: BridgeSettings, breakers: Breakers) -> None:
        self._settings = settings
        self._breakers = breakers
        self._topic = settings.topics.actions
        self._producer: AIOKafkaProducer | None = None
        self._opening = asyncio.Lock()
        breakers.probe_with(KAFKA, self.probe)

    async def append(self, records: Sequence[ActionRecord]) -> None:
        """Write steps in order; return when all are in the log. Raises Unavailable: they may be there or not."""
        async with self._breakers.guard(KAFKA, timeout=APPEND_SECONDS, errors_that_count=_SICK):
            producer = await self._open()
            try:
                sent = [await self._send(producer, record) for record in records]
                await asyncio.gather(*sent)
            except BaseException:
                if self._producer is producer:
                    self._producer = None  # what it still holds must not follow later under another's order
                await close_client(producer)
                raise

    @asynccontextmanager
    async def follow(self, request_id: str) -> AsyncGenerator["Following"]:
        """Follow one request's steps. Raises Unavailable."""
        consumer = reader(self._settings, f"bridge-{self._settings.bridge_site}-actions")
        place = TopicPartition(self._topic, 0)
        try:
            async with self._breakers.guard(KAFKA, timeout=READ_SECONDS, errors_that_count=_SICK):
                await consumer.start()
                consumer.assign([place])
                await seek_to_time(consumer, place, self._since_ms())
            yield Following(self._breakers, consumer, place, request_id)
        finally:
            await close_client(consumer)

    def _since_ms(self) -> int:
        if not self._settings.kafka_transactions:  # the stand-in, which keeps nothing for long
            return 0
        return int((time.time() - REMEMBERED_SECONDS) * 1000)

    async def probe(self) -> None:
        """Ask Kafka anything."""
        consumer = reader(self._settings, f"bridge-{self._settings.bridge_site}-actions")
        try:
            await consumer.start()
        finally:
            await close_client(consumer)

    async def close(self) -> None:
        """Close the connection to Kafka."""
        if self._producer is not None:
            await close_client(self._producer)

    async def _open(self) -> AIOKafkaProducer:
        async with self._opening:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **client_options(self._settings, f"bridge-{self._settings.bridge_site}-actions"),
                    enable_idempotence=True,
                    acks="all",
                    max_request_size=REQUEST_BYTES,
                    compression_type="zstd",
                    request_timeout_ms=int(APPEND_SECONDS * 1000),
                )
                try:
                    await producer.start()
                except BaseException:
                    await close_client(producer)
                    raise
                self._producer = producer
            return self._producer

    async def _send(self, producer: AIOKafkaProducer, record: ActionRecord) -> Any:
        return await producer.send(self._topic, encode(record), record.request_id.encode(), partition=0)


class Following:
    """One request's steps as they come. records: in the log's order."""

    def __init__(self, breakers: Breakers, consumer: Any, place: TopicPartition, request_id: str) -> None:
        self._breakers = breakers
        self._consumer = consumer
        self._place = place
        self._key = request_id.encode()
        self.records: list[ActionRecord] = []

    async def catch_up(self) -> None:
        """Read up to the log's present end. Raises Unavailable."""
        async with self._breakers.guard(KAFKA, timeout=READ_SECONDS, errors_that_count=_SICK):
            end = (await self._consumer.end_offsets([self._place]))[self._place]
            while await self._consumer.position(self._place) < end:
                for record in (await self._consumer.getmany(timeout_ms=200)).get(self._place, []):
                    if record.key == self._key and record.value is not None:
                        self._keep(record.value)

    def _keep(self, value: bytes) -> None:
        try:
            self.records.append(decode(ActionRecord, value))
        except BadRecord:
            return  # of a release we do not know: it cannot be ours, and claims nothing
