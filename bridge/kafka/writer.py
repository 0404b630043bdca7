"""One fenced transactional writer per partition.

aiokafka 0.14 commits a transaction although one of its batches failed, so `Writer.write` awaits every batch first and
treats any failure as the end of this writer. A commit that times out has an unknown outcome; it is never retried.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Self

from aiokafka import AIOKafkaProducer

from bridge.kafka.batches import BATCH_BYTES, Batches
from bridge.kafka.calls import PRODUCER_FAILED, START_SECONDS, close_client, lost
from bridge.record import REQUEST_BYTES, Record
from bridge.settings import BridgeSettings
from tocsin.breakers import Guard
from tocsin.kafka import client_options

TRANSACTION_TIMEOUT_MS = 15_000
SEND_SECONDS = 10.0
COMMIT_SECONDS = 10.0


def transactional_id(settings: BridgeSettings, partition: int) -> str:
    """One per site and partition, whichever replica owns it: opening it fences the former owner."""
    return f"{settings.kafka_topic_prefix}bridge-{settings.bridge_site}-{partition}"


class Writer:
    """Exactly-once writes of one partition's owner. Opening it ends the former owner's transaction and fences it.

    Not for concurrent use. After WriterLost it is of no use: close it and open another.
    """

    def __init__(self, settings: BridgeSettings, partition: int, guard: Guard = asyncio.timeout) -> None:
        self.partition = partition
        self._guard = guard
        self._is_transactional = settings.kafka_transactions
        identity: dict[str, Any] = {"enable_idempotence": True}
        if self._is_transactional:
            identity = {
                "transactional_id": transactional_id(settings, partition),
                "transaction_timeout_ms": TRANSACTION_TIMEOUT_MS,
            }
        self._producer = AIOKafkaProducer(
            **client_options(settings, f"bridge-{settings.bridge_site}-{partition}"),
            **identity,
            acks="all",
            linger_ms=0,
            max_batch_size=BATCH_BYTES,
            max_request_size=REQUEST_BYTES,
            compression_type="zstd",
            request_timeout_ms=int(SEND_SECONDS * 1000),
        )

    async def __aenter__(self) -> Self:
        try:
            async with self._guard(START_SECONDS):
                await self._producer.start()
        except PRODUCER_FAILED as error:
            await self._discard()
            raise lost(f"cannot open the writer of partition {self.partition}", error) from error
        except BaseException:
            await self._discard()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._discard()

    def batches(self, records: Iterable[Record] = ()) -> Batches:
        """These records, packed for one transaction; more can be added."""
        packed = Batches(self.partition, self._producer.create_batch)
        packed.extend(records)
        return packed

    async def write(self, batches: Batches) -> None:
        """Write what `batches` made in one transaction, in order per topic; return once it is committed.

        Raises WriterLost on any failure: then either all records are in Kafka or none will be, and which is for the
        next owner's cursors to say.
        """
        try:
            async with self._guard(SEND_SECONDS + COMMIT_SECONDS):
                await self._write(batches)
        except PRODUCER_FAILED as error:
            raise lost(f"transaction of partition {self.partition} failed", error) from error

    async def _write(self, batches: Batches) -> None:
        async with asyncio.timeout(SEND_SECONDS):
            if self._is_transactional:
                await self._producer.begin_transaction()
            delivered: list[asyncio.Future[Any]] = []
            for where, batch in batches.close():
                delivered.append(await self._send(batch, *where))
                delivered[-1].add_done_callback(_retrieve)  # that we raise for the first failure is enough
            await _all(delivered)
        if self._is_transactional:
            await self._commit()

    async def _commit(self) -> None:
        async with asyncio.timeout(COMMIT_SECONDS):
            await self._producer.commit_transaction()

    async def _send(self, batch: Any, topic: str, partition: int) -> asyncio.Future[Any]:
        return await self._producer.send_batch(batch, topic, partition=partition)

    async def _discard(self) -> None:
        await close_client(self._producer)
        for future in _left_behind(self._producer):
            _retrieve(future)


def _left_behind(producer: Any) -> list[asyncio.Future[Any]]:
    """What an aiokafka producer fails when it is fenced, and waits for no more: the loop would log each as a mishap."""
    accumulator, transactions = producer._message_accumulator, producer._txn_manager
    futures = [batch._drain_waiter for batches in accumulator._batches.values() for batch in batches]
    futures += [batch._drain_waiter for batch in accumulator._pending_batches]
    if transactions is not None:
        futures.append(transactions.wait_for_transaction_end())
    return [future for future in futures if future is not None]


async def _all(delivered: Sequence[asyncio.Future[Any]]) -> None:
    """Wait for all of them, or for the first failure, which is raised.

    None is cancelled with us: aiokafka shields the batch behind it, which would fail later and be heard by nobody.
    """
    if delivered:
        done, _ = await asyncio.wait(delivered, return_when=asyncio.FIRST_EXCEPTION)
        for one in done:
            one.result()


def _retrieve(future: asyncio.Future[Any]) -> None:
    if future.done() and not future.cancelled():
        future.exception()
