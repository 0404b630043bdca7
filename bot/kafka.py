"""The door to Kafka: the only file that imports aiokafka. Everything is read with read_committed."""

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from tocsin.kafka import client_options
from tocsin.kafka_place import give_up_place
from tocsin.lifecycle import close_within
from tocsin.settings import Settings
from tocsin.times import current_ms

__all__ = [
    "Cluster",
    "Echo",
    "GroupLost",
    "KafkaError",
    "KafkaRecord",
    "PositionedFeed",
    "Replay",
    "Sight",
    "TableFeed",
    "look_at_cluster",
    "topic_exists",
]

log = structlog.get_logger("kafka")

Answer = TypeVar("Answer")

ANSWER_SECONDS = 5.0
START_SECONDS = 20.0
"""For finding the cluster and the topic's leaders, also when some of the named brokers are away."""
STOP_SECONDS = 5.0


class GroupLost(KafkaError):
    """What kept our place in the group has failed for good: this feed delivers nothing any more, another must join."""


@dataclass(frozen=True)
class KafkaRecord:
    """A record as bytes; value None is a tombstone. ts: ms, when it was written, by Kafka's or its writer's clock."""

    partition: int
    offset: int
    key: bytes
    value: bytes | None
    ts: int


@dataclass(frozen=True)
class Sight:
    """How far Kafka was at a moment: partition -> offset after the last. at_ms: our clock, before Kafka was asked."""

    at_ms: int
    ends: Mapping[int, int]


@dataclass(frozen=True)
class Cluster:
    """Kafka as it is now. name: Kafka's own id of the cluster, empty if it gives none."""

    name: str
    topics: frozenset[str]


async def look_at_cluster(settings: Settings) -> Cluster:
    """Ask for the cluster's id and topics. Reading an absent topic could create it wrongly. Raises KafkaError."""
    admin = AIOKafkaAdminClient(**client_options(settings, "bot-admin"))
    try:
        await _within(START_SECONDS, "start of a client", admin.start())
        described: dict[str, Any] = await _within(ANSWER_SECONDS, "look at the cluster", admin.describe_cluster())
        topics: list[str] = await _within(ANSWER_SECONDS, "list of topics", admin.list_topics())
        return Cluster(str(described.get("cluster_id") or ""), frozenset(topics))
    finally:
        await _end(admin.close())


async def topic_exists(settings: Settings, topic: str) -> bool:
    """Whether a topic is there. Raises KafkaError."""
    return topic in (await look_at_cluster(settings)).topics


async def _within(seconds: float, what: str, call: Awaitable[Answer]) -> Answer:
    """Wait for an answer. Raises KafkaError at the deadline, as for every other trouble with Kafka."""
    try:
        async with asyncio.timeout(seconds):
            return await call
    except TimeoutError as late:
        raise KafkaError(f"{what}: no answer in {seconds:g} s") from late
    except asyncio.CancelledError as given_up:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise  # we are to end
        # The client has cancelled what it waited for, as when a producer ends whose record never arrived.
        raise KafkaError(f"{what}: given up by the client") from given_up


async def _end(closing: Coroutine[Any, Any, object]) -> None:
    """Close a client; one that does not get done in time, or fails, is left behind with a word in the log."""
    try:
        await close_within(STOP_SECONDS, closing)
    except (KafkaError, OSError) as failure:
        log.warning("client_not_closed", error=f"{type(failure).__name__}: {failure}"[:200])


class PositionedFeed:
    """A topic read as a member of a group, from positions that the caller keeps.

    A partition newly assigned, or assigned again, delivers nothing until the caller has called `place`. Nor does one
    whose position Kafka no longer has, or has not yet: it is never moved in silence, but waits to be placed again.
    """

    def __init__(self, settings: Settings, topic: str, group: str, *, session_seconds: float) -> None:
        self.topic = topic
        self._unplaced: set[int] = set()
        self._consumer = AIOKafkaConsumer(
            **client_options(settings, "bot"),
            group_id=group,
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="none",
            session_timeout_ms=int(session_seconds * 1000),
            heartbeat_interval_ms=int(session_seconds * 1000 / 4),
            max_poll_interval_ms=300_000,
        )
        self._listener = _Unplacing(self._consumer, self._unplaced)

    async def start(self) -> None:
        """Join the group. Raises KafkaError."""
        await _within(START_SECONDS, "start of a consumer", self._consumer.start())
        self._consumer.subscribe([self.topic], listener=self._listener)

    async def stop(self) -> None:
        """Leave the group, if Kafka lets us in time."""
        await _end(self._consumer.stop())
        give_up_place(self._consumer)

    def unplaced(self) -> list[int]:
        """Partitions that wait for `place`."""
        return sorted(self._unplaced)

    async def bounds(self, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Partition -> (first offset still kept, offset after the last). Raises KafkaError."""
        wanted = [TopicPartition(self.topic, partition) for partition in partitions]
        first = await _within(ANSWER_SECONDS, "first offsets", self._consumer.beginning_offsets(wanted))
        end = await _within(ANSWER_SECONDS, "last offsets", self._consumer.end_offsets(wanted))
        return {one.partition: (first[one], end[one]) for one in wanted}

    def place(self, positions: Mapping[int, int]) -> None:
        """Read on from these positions. Partitions that were taken from us meanwhile are left out."""
        for partition, offset in positions.items():
            one = TopicPartition(self.topic, partition)
            self._unplaced.discard(partition)
            if one in self._consumer.assignment():
                self._consumer.seek(one, offset)
                self._consumer.resume(one)

    def unplace(self, partition: int) -> None:
        """Stop reading a partition until it is placed again."""
        one = TopicPartition(self.topic, partition)
        if one in self._consumer.assignment():
            self._consumer.pause(one)
            self._unplaced.add(partition)

    async def read(self, *, wait_seconds: float, most: int) -> dict[int, list[KafkaRecord]]:
        """The next records of each placed partition, in order. Raises KafkaError, GroupLost if all that follow fail."""
        try:
            batches = await self._consumer.getmany(timeout_ms=int(wait_seconds * 1000), max_records=most)
        except (OffsetOutOfRangeError, NoOffsetForPartitionError) as nowhere:
            # Kafka says it of one partition at a time, with nothing read from the others in the same breath.
            for one in _named(nowhere):
                self.unplace(one.partition)
            return {}
        except (KafkaError, AssertionError) as failure:
            if _has_lost_group(self._consumer) or isinstance(failure, AssertionError):
                raise GroupLost(str(failure) or "Kafka names no broker") from failure
            raise
        return {
            one.partition: [_record(record) for record in records]
            for one, records in batches.items()
            if one.partition not in self._unplaced
        }

    async def look(self) -> Sight | None:
        """How far Kafka is now, over all our partitions; None while we have none, or one that waits for `place`.

        Asks Kafka: an idle consumer does not notice by itself that nobody answers. Raises KafkaError.
        """
        mine = self._consumer.assignment()
        if not mine or self._unplaced:
            return None
        at_ms = current_ms()
        ends = await _within(ANSWER_SECONDS, "last offsets", self._consumer.end_offsets(list(mine)))
        return Sight(at_ms, {one.partition: end for one, end in ends.items()})

    def partition_count(self) -> int:
        """How many partitions the topic has, whoever reads them; 0 = not known yet."""
        return len(self._consumer.partitions_for_topic(self.topic) or ())

    async def behind(self, sight: Sight) -> dict[int, int] | None:
        """How many offsets of what was there then we have not passed; None if our partitions are others now.

        While bridges write there is always something newer than our position, if only the mark that ends a
        transaction: only an end seen some time ago can be passed. Raises KafkaError.
        """
        mine = self._consumer.assignment()
        if self._unplaced or {one.partition for one in mine} != set(sight.ends):
            return None
        missing: dict[int, int] = {}
        for one in mine:
            position = await _within(ANSWER_SECONDS, "position", self._consumer.position(one))
            missing[one.partition] = max(0, sight.ends[one.partition] - position)
        return missing


class _Unplacing(ConsumerRebalanceListener):
    """Holds every newly assigned partition until it is placed."""

    def __init__(self, consumer: AIOKafkaConsumer, unplaced: set[int]) -> None:
        self._consumer = consumer
        self._unplaced = unplaced

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._unplaced.difference_update(one.partition for one in revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._consumer.pause(*assigned)
        for one in assigned:
            self._consumer.seek(one, 0)  # any position: without one it would be asked for, and is in nobody's keeping
        self._unplaced.update(one.partition for one in assigned)


def _has_lost_group(consumer: Any) -> bool:
    """Whether aiokafka gave up over what it did not expect: a Kafka that has just woken and names no broker."""
    keeping = consumer._coordinator._coordination_task
    if keeping.done() and not keeping.cancelled():
        keeping.exception()  # the loop would log it as a mishap
    return keeping.done()


def _alone(settings: Settings, client: str, *topics: str, begins: str) -> AIOKafkaConsumer:
    """A consumer in no group. begins: where it reads a partition from that it was not told to read from elsewhere."""
    return AIOKafkaConsumer(
        *topics,
        **client_options(settings, client),
        group_id=None,
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset=begins,
    )


class TableFeed:
    """A compacted topic read whole, from its start, by no group: the newest value per key."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._ends: dict[TopicPartition, int] | None = None
        self._consumer = _alone(settings, "bot-table", topic, begins="earliest")

    async def start(self) -> None:
        """Take every partition from its start. Raises KafkaError."""
        await _within(START_SECONDS, "start of a consumer", self._consumer.start())
        ends = self._consumer.end_offsets(list(self._consumer.assignment()))
        self._ends = await _within(ANSWER_SECONDS, "last offsets", ends)

    async def stop(self) -> None:
        """Close the connections."""
        await _end(self._consumer.stop())

    async def read(self, *, wait_seconds: float, most: int) -> list[KafkaRecord]:
        """The next records. Raises KafkaError."""
        batches = await self._consumer.getmany(timeout_ms=int(wait_seconds * 1000), max_records=most)
        return [_record(record) for records in batches.values() for record in records]

    async def has_caught_up(self) -> bool:
        """Whether everything that was there at the start has been read. Raises KafkaError."""
        if self._ends is None:
            return False
        for one, end in list(self._ends.items()):
            if await _within(ANSWER_SECONDS, "position", self._consumer.position(one)) >= end:
                del self._ends[one]
        return not self._ends


class Echo:
    """A topic of the bot's own: what it writes there it reads again, so it has passed Kafka."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._place = TopicPartition(topic, 0)
        self._producer = AIOKafkaProducer(**client_options(settings, "bot-probe"), request_timeout_ms=5000)
        self._consumer = _alone(settings, "bot-probe", begins="latest")

    async def start(self) -> None:
        """Open both ends. Raises KafkaError."""
        await _within(START_SECONDS, "start of a producer", self._producer.start())
        await _within(START_SECONDS, "start of a consumer", self._consumer.start())
        self._consumer.assign([self._place])

    async def stop(self) -> None:
        """Close the connections."""
        await _end(self._producer.stop())
        await _end(self._consumer.stop())

    async def hear(self, value: bytes) -> None:
        """Write a value and read it again. Raises KafkaError."""
        sending = self._producer.send_and_wait(self._place.topic, value, partition=self._place.partition)
        sent = await _within(ANSWER_SECONDS, "write of a probe", sending)
        self._consumer.seek(self._place, sent.offset)
        await _within(ANSWER_SECONDS, "read of a probe", self._read(value))

    async def _read(self, value: bytes) -> None:
        while True:
            batches = await self._consumer.getmany(timeout_ms=500)
            if any(record.value == value for records in batches.values() for record in records):
                return


class Replay:
    """Partitions of a topic read from chosen places by no group, beside whoever else reads them."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self.topic = topic
        self._consumer = _alone(settings, "bot-replay", topic, begins="earliest")

    async def start(self) -> int:
        """Connect; return how many partitions the topic has. Raises KafkaError."""
        await _within(START_SECONDS, "start of a consumer", self._consumer.start())
        mine = self._consumer.assignment()
        self._consumer.pause(*mine)
        if not mine:
            raise KafkaError(f"topic {self.topic} is not there")
        return len(mine)

    async def stop(self) -> None:
        """Close the connections."""
        await _end(self._consumer.stop())

    async def ends(self, partitions: Sequence[int]) -> dict[int, int]:
        """Partition -> the offset after the last. Raises KafkaError."""
        wanted = [TopicPartition(self.topic, one) for one in partitions]
        found = await _within(ANSWER_SECONDS, "last offsets", self._consumer.end_offsets(wanted))
        return {one.partition: found[one] for one in wanted}

    async def since(self, partitions: Sequence[int], at_ms: int) -> dict[int, int]:
        """Partition -> the first offset written then or later. Raises KafkaError."""
        wanted = {TopicPartition(self.topic, one): at_ms for one in partitions}
        found = await _within(ANSWER_SECONDS, "offsets of a time", self._consumer.offsets_for_times(wanted))
        ends = await self.ends(partitions)
        return {one.partition: at.offset if (at := found.get(one)) else ends[one.partition] for one in wanted}

    def place(self, positions: Mapping[int, int]) -> None:
        """Read these partitions from these offsets on, and no others."""
        for partition, offset in positions.items():
            one = TopicPartition(self.topic, partition)
            self._consumer.seek(one, offset)
            self._consumer.resume(one)

    async def read(self, *, wait_seconds: float, most: int) -> list[KafkaRecord]:
        """The next records, in order within a partition. Raises KafkaError."""
        batches = await self._consumer.getmany(timeout_ms=int(wait_seconds * 1000), max_records=most)
        return [_record(record) for records in batches.values() for record in records]

    async def position(self, partition: int) -> int:
        """The offset to be read next. Raises KafkaError."""
        return await _within(ANSWER_SECONDS, "position", self._consumer.position(TopicPartition(self.topic, partition)))


def _named(error: KafkaError) -> list[TopicPartition]:
    """The partitions an error is about: aiokafka puts one, or a mapping of them, first."""
    return [one for part in error.args for one in ([part] if isinstance(part, TopicPartition) else part)]


def _record(record: object) -> KafkaRecord:
    return KafkaRecord(
        getattr(record, "partition", 0),
        getattr(record, "offset", 0),
        getattr(record, "key", None) or b"",
        getattr(record, "value", None),
        getattr(record, "timestamp", 0),
    )
