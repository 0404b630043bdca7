"""The writer of dead letters."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from logsvc.deadletters.letters import Letter
from logsvc.errors import KafkaDown
from logsvc.kafka.calls import CALL_SECONDS, close, reach, say
from logsvc.settings import LogsvcSettings
from tocsin.kafka import client_options


class DeadLetters:
    """Writes to the dead-letter topic; returns once Kafka has acknowledged. Connects at the first letter."""

    def __init__(self, settings: LogsvcSettings) -> None:
        self._settings = settings
        self._topic = settings.topics.deadletter
        self._producer: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()

    async def _connected(self) -> AIOKafkaProducer:
        async with self._connecting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **client_options(self._settings, "logsvc-deadletter"),
                    acks="all",
                    enable_idempotence=True,
                    compression_type="zstd",
                    # What is not acknowledged fails by itself before we give up: none is left behind to be sent later.
                    request_timeout_ms=int(CALL_SECONDS * 1000 / 3),
                )
                try:
                    await reach(producer.start())
                except BaseException:
                    await close(producer.stop())
                    raise
                self._producer = producer
            return self._producer

    async def close(self) -> None:
        """Disconnect."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await close(producer.stop())

    async def write(self, letters: Sequence[Letter]) -> None:
        """Send letters all together. Raises KafkaDown unless every one was acknowledged; then some may be there.

        The producer goes with a failure: one whose sending has died would never send again.
        """
        producer = await self._connected()
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await asyncio.gather(*[await self._send(producer, letter) for letter in letters])
        except (KafkaError, OSError, TimeoutError) as error:
            if self._producer is producer:
                await self.close()
            raise KafkaDown(f"dead letters not acknowledged: {say(error)}") from error

    async def _send(self, producer: AIOKafkaProducer, letter: Letter) -> Awaitable[Any]:
        """Hand one letter over; returns the future of its acknowledgement."""
        headers = [("ce_id", letter.id.encode()), ("ce_type", b"tocsin.deadletter.v1")]
        return await producer.send(self._topic, letter.body, key=letter.id.encode(), headers=headers)
