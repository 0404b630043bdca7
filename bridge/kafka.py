"""The bridge's door to Kafka: topics, one fenced transactional writer per partition, and what its cursors say.

aiokafka 0.14 commits a transaction although one of its batches failed, so `Writer.write` awaits every batch first and
treats any failure as the end of this writer. A commit that times out has an unknown outcome; it is never retried.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import Any, Protocol, Self

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    BrokerNotAvailableError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    RequestTimedOutError,
)

from bridge.errors import KafkaResting, WriterLost
from bridge.record import REQUEST_BYTES, Record
from bridge.settings import BridgeSettings
from tocsin.breakers import Breakers, Guard, Unavailable
from tocsin.kafka import client_options
from tocsin.lifecycle import pause

log = structlog.get_logger("bridge.kafka")

BATCH_BYTES = 256 * 1024
TRANSACTION_TIMEOUT_MS = 15_000
SEND_SECONDS = 10.0
COMMIT_SECONDS = 10.0
MAYBE_HANGING = "if that stays, a transaction hangs there: see docs/kafka.md"
RESTORE_SECONDS = 60.0
READ_BACK_SECONDS = 120.0
END_SECONDS = 5.0
START_SECONDS = 20.0
JOIN_AGAIN_SECONDS = 1.0

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

_FAILED = (KafkaError, OSError, TimeoutError, Unavailable)


def guard_by(breakers: Breakers) -> Guard:
    """What holds the relay's calls; one for all partitions."""
    return breakers.guard_loops("kafka-relay", errors_that_count=AWAY, reset_seconds=RESET_SECONDS)


def transactional_id(settings: BridgeSettings, partition: int) -> str:
    """One per site and partition, whichever replica owns it: opening it fences the former owner."""
    return f"{settings.kafka_topic_prefix}bridge-{settings.bridge_site}-{partition}"


def group_id(settings: BridgeSettings) -> str:
    """The group whose assignment of `cursors` partitions is the ownership of queues."""
    return f"{settings.kafka_topic_prefix}bridge-{settings.bridge_site}"


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
        except _FAILED as error:
            await self._discard()
            raise _lost(f"cannot open the writer of partition {self.partition}", error) from error
        except BaseException:
            await self._discard()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._discard()

    def batches(self, records: Iterable[Record] = ()) -> "Batches":
        """These records, packed for one transaction; more can be added."""
        packed = Batches(self.partition, self._producer.create_batch)
        packed.extend(records)
        return packed

    async def write(self, batches: "Batches") -> None:
        """Write what `batches` made in one transaction, in order per topic; return once it is committed.

        Raises WriterLost on any failure: then either all records are in Kafka or none will be, and which is for the
        next owner's cursors to say.
        """
        try:
            async with self._guard(SEND_SECONDS + COMMIT_SECONDS):
                await self._write(batches)
        except (*_FAILED, AssertionError) as error:
            raise _lost(f"transaction of partition {self.partition} failed", error) from error

    async def _write(self, batches: "Batches") -> None:
        async with asyncio.timeout(SEND_SECONDS):
            if self._is_transactional:
                await self._producer.begin_transaction()
            delivered: list[asyncio.Future[Any]] = []
            for where, batch in batches.close():
                delivered.append(await self._send(batch, *where))
                delivered[-1].add_done_callback(_retrieve)  # that we raise for the first failure is enough
            await asyncio.gather(*delivered)
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


class Batches:
    """Records on their way into one transaction, in batches of at most BATCH_BYTES per topic partition, in order.

    They are packed as soon as they are made: once they are out of the processor's cache it takes longer. partition: of
    those that name none.
    """

    def __init__(self, partition: int, create_batch: Callable[[], Any]) -> None:
        self._partition = partition
        self._create_batch = create_batch
        self._batches: list[tuple[tuple[str, int], _Batch]] = []
        self._open: dict[tuple[str, int], _Batch] = {}

    def extend(self, records: Iterable[Record]) -> None:
        """Add records."""
        now_ms = int(time.time() * 1000)
        where, batch = ("", 0), _Batch(None)
        for record in records:
            partition = self._partition if record.partition is None else record.partition
            if record.topic is not where[0] or partition != where[1]:  # most go where the one before went
                where = (record.topic, partition)
                batch = self._open.get(where) or _Batch(None)
            headers = [("ce_id", record.identity), ("ce_type", record.kind)] if record.kind else []
            if batch.append(batch.count, now_ms, record.key, record.value, headers) is None:
                batch = self._open[where] = _Batch(self._create_batch())
                self._batches.append((where, batch))
                if batch.append(0, now_ms, record.key, record.value, headers) is None:
                    raise AssertionError(f"a record of {record.size} bytes does not fit a batch")
            batch.count += 1

    def close(self) -> list[tuple[tuple[str, int], Any]]:
        """The batches, ready to be sent, each with its topic and partition."""
        return [(where, batch.close()) for where, batch in self._batches]


class _Batch:
    """A batch that is being filled, past the builder's own `append`, which takes as long again.

    append: None = it is full, and takes no more; a batch of no builder is full. count: its records.
    """

    __slots__ = ("append", "builder", "count")

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.append: Callable[..., Any] = _is_full if builder is None else builder._builder.append
        self.count = 0

    def close(self) -> Any:
        """The builder, ready to be sent."""
        self.builder._relative_offset = self.count
        self.builder.close()
        return self.builder


def _is_full(*_: object) -> None:
    """What a batch says that takes no record."""


def _left_behind(producer: Any) -> list[asyncio.Future[Any]]:
    """What an aiokafka producer fails when it is fenced, and waits for no more: the loop would log each as a mishap."""
    accumulator, transactions = producer._message_accumulator, producer._txn_manager
    futures = [batch._drain_waiter for batches in accumulator._batches.values() for batch in batches]
    futures += [batch._drain_waiter for batch in accumulator._pending_batches]
    if transactions is not None:
        futures.append(transactions.wait_for_transaction_end())
    return [future for future in futures if future is not None]


def _retrieve(future: asyncio.Future[Any]) -> None:
    if future.done() and not future.cancelled():
        future.exception()


async def close_client(client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    """Close a client within END_SECONDS, also when no broker answers any more.

    A producer that cannot flush never comes to close its connections; closed under it, what it waits for fails.
    """
    any_client: Any = client
    connections = any_client.client if isinstance(client, AIOKafkaProducer) else any_client._client
    for close in (client.stop, connections.close):
        with suppress(KafkaError, OSError):
            try:
                async with asyncio.timeout(END_SECONDS):
                    return await close()
            except TimeoutError:
                continue


def _say(error: BaseException) -> str:
    told = error.__cause__ if isinstance(error, Unavailable) else None
    return (str(told) if told is not None else "") or str(error) or type(error).__name__


def _lost(what: str, error: BaseException) -> WriterLost:
    was_asked = not isinstance(error, Unavailable) or error.__cause__ is not None
    return (WriterLost if was_asked else KafkaResting)(f"{what}: {_say(error)}")


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
        async with asyncio.timeout(RESTORE_SECONDS):
            async with guard(START_SECONDS):
                await consumer.start()
            consumer.assign([place])
            await consumer.seek_to_beginning(place)
            while end is None or at < end:
                for record in (await consumer.getmany(timeout_ms=200)).get(place, []):
                    _keep_newest(values, record.key or b"", record.value)
                at = await consumer.position(place)
                if end is None:
                    end = consumer.highwater(place)  # as of the first fetch
    except _FAILED as error:
        if end is None:
            raise _lost(f"cannot restore partition {partition} of {topic}", error) from error
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
        raise _lost(f"cannot read back what partition {partition} was told", error) from error
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


class Owner(Protocol):
    """Told which partitions are this replica's, one call at a time; `revoked` holds the group up until it ends."""

    async def assigned(self, partitions: Sequence[int]) -> None: ...
    async def revoked(self, partitions: Sequence[int]) -> None: ...


class _Listener(ConsumerRebalanceListener):
    def __init__(self, owner: Owner) -> None:
        self._owner = owner

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._owner.revoked(sorted(place.partition for place in revoked))

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        await self._owner.assigned(sorted(place.partition for place in assigned))


class Membership:
    """This replica's place in the site's group: Kafka's own group protocol says which partitions it owns."""

    def __init__(self, settings: BridgeSettings, owner: Owner, guard: Guard = asyncio.timeout) -> None:
        self._settings = settings
        self._listener = _Listener(owner)
        self._guard = guard

    async def run(self, stop: asyncio.Event) -> None:
        """Stay in the group until stop is set. The cursors themselves are not read here."""
        while not stop.is_set():
            consumer = self._make_consumer()
            try:
                if await self._is_reached(consumer):
                    await self._stay(consumer, stop)
                else:
                    await pause(stop, JOIN_AGAIN_SECONDS)
            finally:
                await close_client(consumer)

    async def _is_reached(self, consumer: AIOKafkaConsumer) -> bool:
        try:
            async with self._guard(START_SECONDS):
                await consumer.start()
        except (*AWAY, TimeoutError, Unavailable) as error:
            log.warning("group_not_reached", reason=_say(error))
            return False
        return True

    async def _stay(self, consumer: AIOKafkaConsumer, stop: asyncio.Event) -> None:
        consumer.subscribe([self._settings.topics.cursors], listener=self._listener)
        while not stop.is_set():
            consumer.pause(*consumer.assignment())
            await consumer.getmany(timeout_ms=500)

    def _make_consumer(self) -> AIOKafkaConsumer:
        session_ms = int(self._settings.bridge_session_seconds * 1000)
        return AIOKafkaConsumer(
            **client_options(self._settings, f"bridge-{self._settings.bridge_site}"),
            group_id=group_id(self._settings),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="latest",
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 3,
            max_poll_interval_ms=60_000,
            rebalance_timeout_ms=20_000,
        )
