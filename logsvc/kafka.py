"""The one door to Kafka: a member of the ingest group, readers without a group, and the dead-letter writer.

Every reader reads committed records only.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)

from logsvc.batch import Record
from logsvc.errors import Fenced, KafkaDown
from logsvc.letters import Letter
from logsvc.places import Bounds, Committed, Place
from logsvc.settings import LogsvcSettings
from tocsin.kafka import client_options

log = structlog.get_logger("logsvc.kafka")

CALL_SECONDS = 15.0
CLOSE_SECONDS = 5.0
POLL_MS = 200
POLL_RECORDS = 2_000
"""What is handled at once, so that the loop turns in between."""
REPLAY_RECORDS = 500
REPLAY_BYTES = 256 * 1024
"""Of one partition at once: several viewers may be reading again."""


class OutOfRange(KafkaDown):
    """Kafka does not hold what was to be read next in these places; begin again from what it holds."""

    def __init__(self, places: Sequence[Place]) -> None:
        super().__init__(f"Kafka does not hold what comes next in {places[0].topic}")
        self.places = places


class NotPlaced(KafkaDown):
    """A partition came to us a moment ago and has no place to read from yet; its lane will choose one."""


Rebalanced = Callable[[Sequence[Place]], Awaitable[None]]


class Member:
    """This replica's place in the ingest group.

    on_assigned and on_revoked are awaited inside the rebalance, one at a time; the group waits for on_revoked, so when
    it returns nothing of ours may touch those partitions any more. Assigned partitions start paused.

    on_out_of_range is called by poll when Kafka does not hold what is to be read next: it has expired, or the log was
    cut. The partition is paused then, at that place; Kafka is never asked to choose another.
    """

    def __init__(
        self,
        settings: LogsvcSettings,
        topics: Sequence[str],
        *,
        on_assigned: Rebalanced,
        on_revoked: Rebalanced,
        on_out_of_range: Callable[[Place], None],
    ) -> None:
        self._on_out_of_range = on_out_of_range
        self._group = settings.consumer_group
        self._options = client_options(settings, "logsvc")
        self._topics = topics
        self._consumer = AIOKafkaConsumer(
            **self._options,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_max_wait_ms=settings.fetch_wait_ms,
            session_timeout_ms=int(settings.logsvc_session_seconds * 1000),
            heartbeat_interval_ms=int(settings.logsvc_session_seconds * 300),
            max_poll_interval_ms=60_000,
            rebalance_timeout_ms=20_000,
        )
        self._admin = AIOKafkaAdminClient(**self._options, request_timeout_ms=int(CALL_SECONDS * 1000))
        self._listener = _Listener(self._consumer, on_assigned, on_revoked)

        self.cluster_id = "unknown"
        """Kafka's name for this cluster, known before the first assignment."""

    async def __aenter__(self) -> "Member":
        try:
            await _reach(self._admin.start())
            self.cluster_id = await _cluster_id(self._admin)
            self._consumer.subscribe(list(self._topics), listener=self._listener)
            await _reach(self._consumer.start())
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await _close(self._consumer.stop())
        await _close(self._admin.close())

    async def poll(self) -> dict[Place, Sequence[Record]]:
        """Return what has arrived for partitions that are not paused; waits up to POLL_MS for the first record."""
        try:
            return await _poll(self._consumer)
        except OutOfRange as error:
            for place in error.places:
                self.pause(place)
                self._on_out_of_range(place)
            return {}
        except NotPlaced:
            return {}

    async def committed(self, place: Place) -> Committed:
        """Ask the group's coordinator; our own client would not tell the metadata."""
        answer: Mapping[Any, Any] = await _reach(
            self._admin.list_consumer_group_offsets(self._group, partitions=[_tp(place)])
        )
        found = answer.get(_tp(place))
        if found is None or found.offset < 0:
            return Committed(None, "")
        return Committed(int(found.offset), str(found.metadata or ""))

    async def bounds(self, place: Place) -> Bounds:
        """The offsets Kafka holds now."""
        begin: Mapping[Any, int] = await _reach(self._consumer.beginning_offsets([_tp(place)]))
        end: Mapping[Any, int] = await _reach(self._consumer.end_offsets([_tp(place)]))
        return Bounds(begin[_tp(place)], end[_tp(place)])

    async def peek(self, place: Place, offset: int) -> Record | None:
        """The record at exactly this offset; None if Kafka has none there (expired, compacted, a marker)."""
        consumer = AIOKafkaConsumer(
            **self._options, enable_auto_commit=False, auto_offset_reset="earliest", isolation_level="read_committed"
        )
        try:
            await _reach(consumer.start())
            consumer.assign([_tp(place)])
            consumer.seek(_tp(place), offset)
            async with asyncio.timeout(CALL_SECONDS):
                while await consumer.position(_tp(place)) <= offset:
                    got: Mapping[Any, Sequence[Record]] = await consumer.getmany(timeout_ms=POLL_MS, max_records=1)
                    for record in got.get(_tp(place), ()):
                        return record if record.offset == offset else None
            return None
        except (KafkaError, OSError, TimeoutError) as error:
            raise KafkaDown(f"cannot read offset {offset} of {place.topic}: {_say(error)}") from error
        finally:
            await _close(consumer.stop())

    async def commit(self, place: Place, offset: int, metadata: str) -> None:
        """Commit under our generation. Raises Fenced if the group has moved on without us."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._consumer.commit({_tp(place): (offset, metadata)})
        except (CommitFailedError, IllegalStateError) as error:
            raise Fenced(f"{place.topic}/{place.partition} is no longer ours") from error
        except (KafkaError, OSError, TimeoutError) as error:
            raise KafkaDown(f"commit failed: {_say(error)}") from error

    def seek(self, place: Place, offset: int) -> None:
        """Read on from offset. Raises Fenced if the partition is not ours."""
        try:
            self._consumer.seek(_tp(place), offset)
        except IllegalStateError as error:
            raise Fenced(f"{place.topic}/{place.partition} is no longer ours") from error

    def pause(self, place: Place) -> None:
        """Read nothing from a partition until resume. A partition that is not ours is left alone."""
        if _tp(place) in self._consumer.assignment():
            self._consumer.pause(_tp(place))

    def resume(self, place: Place) -> None:
        """Undo pause."""
        if _tp(place) in self._consumer.assignment():
            self._consumer.resume(_tp(place))

    async def position(self, place: Place) -> int | None:
        """Offset after the last one passed, aborted records and markers included; None if it is not ours."""
        if _tp(place) not in self._consumer.assignment():
            return None
        with suppress(TimeoutError, IllegalStateError):
            async with asyncio.timeout(1):
                return int(await self._consumer.position(_tp(place)))
        return None

    def heard_at(self) -> int | None:
        """Up to when Kafka told us everything, ms: the oldest of our partitions' latest answers; None = not known."""
        return min(_answered(self._consumer, self._consumer.assignment()), default=None)

    def stable_end(self, place: Place) -> int | None:
        """Last stable offset as of the latest fetch; None before the first."""
        if _tp(place) not in self._consumer.assignment():
            return None
        end: int | None = self._consumer.last_stable_offset(_tp(place))
        if end is None or end < 0:
            end = self._consumer.highwater(_tp(place))
        return end


class _Listener(ConsumerRebalanceListener):
    def __init__(self, consumer: AIOKafkaConsumer, on_assigned: Rebalanced, on_revoked: Rebalanced) -> None:
        self._consumer = consumer
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._on_revoked(sorted(Place(place.topic, place.partition) for place in revoked))

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        for place in assigned:
            self._consumer.pause(place)
            self._consumer.seek(place, 0)  # any place: without one aiokafka would look for its own
        await self._on_assigned(sorted(Place(place.topic, place.partition) for place in assigned))


class Reader:
    """Reads every partition of some topics, belonging to no group: each process sees all records.

    from_start: begin at the oldest record kept, else at the end as of now. resume: begin there instead, if Kafka still
    holds all of it. newest: of these topics, from_start means so many offsets before the end.
    """

    def __init__(
        self,
        settings: LogsvcSettings,
        name: str,
        topics: Sequence[str],
        *,
        from_start: bool,
        resume: Mapping[Place, int] | None = None,
        newest: Mapping[str, int] | None = None,
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._from_start = from_start
        self._newest = newest or {}
        self._resume = resume or {}
        self._consumer = AIOKafkaConsumer(
            **client_options(settings, f"logsvc-{name}"),
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_max_wait_ms=settings.fetch_wait_ms,
        )
        self.start: dict[Place, int] = {}
        """Where reading began."""
        self.begin: dict[Place, int] = {}
        self.end: dict[Place, int] = {}
        """What Kafka held of the partitions when reading began; end is not included."""
        self.is_resumed = False
        self.cluster_id = "unknown"

    async def __aenter__(self) -> "Reader":
        try:
            await self._begin()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _begin(self) -> None:
        self.cluster_id, places = await _survey(self._settings, self._topics)
        await _reach(self._consumer.start())
        keys = [_tp(place) for place in places]
        begin: Mapping[Any, int] = await _reach(self._consumer.beginning_offsets(keys))
        end: Mapping[Any, int] = await _reach(self._consumer.end_offsets(keys))
        self.end = {place: end[_tp(place)] for place in places}
        self.begin = {place: begin[_tp(place)] for place in places}
        self.start = {place: self._oldest(place) for place in places} if self._from_start else dict(self.end)
        if self._resume and all(
            begin[_tp(place)] <= self._resume.get(place, -1) <= self.end[place] for place in places
        ):
            self.start = {place: self._resume[place] for place in places}
            self.is_resumed = True
        self._consumer.assign(keys)
        for place, offset in self.start.items():
            self._consumer.seek(_tp(place), offset)

    def _oldest(self, place: Place) -> int:
        newest = self._newest.get(place.topic)
        return self.begin[place] if newest is None else max(self.begin[place], self.end[place] - newest)

    async def __aexit__(self, *_: object) -> None:
        await _close(self._consumer.stop())

    async def poll(self) -> dict[Place, Sequence[Record]]:
        """Return what has arrived; waits up to POLL_MS for the first record."""
        return await _poll(self._consumer)

    async def positions(self) -> dict[Place, int]:
        """Offset after the last one passed, of every partition."""
        return {place: int(await self._consumer.position(_tp(place))) for place in self.start}

    def heard_at(self) -> int | None:
        """Up to when Kafka told us everything, ms: the oldest of the partitions' latest answers; None = not known."""
        return min(_answered(self._consumer, [_tp(place) for place in self.start]), default=None)


class Replay:
    """Reads some partitions again from given offsets on, belonging to no group: what a viewer missed."""

    def __init__(self, settings: LogsvcSettings, start: Mapping[Place, int]) -> None:
        self._start = start
        self._consumer = AIOKafkaConsumer(
            **client_options(settings, "logsvc-replay"),
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_max_wait_ms=settings.fetch_wait_ms,
            max_partition_fetch_bytes=REPLAY_BYTES,
        )

    async def open(self) -> None:
        """Connect. Raises OutOfRange if Kafka no longer holds all of it, KafkaDown if it does not answer."""
        keys = [_tp(place) for place in self._start]
        await _reach(self._consumer.start())
        begin: Mapping[Any, int] = await _reach(self._consumer.beginning_offsets(keys))
        if gone := [place for place, offset in self._start.items() if offset < begin[_tp(place)]]:
            raise OutOfRange(gone)
        self._consumer.assign(keys)
        for place, offset in self._start.items():
            self._consumer.seek(_tp(place), offset)

    async def close(self) -> None:
        """Disconnect."""
        await _close(self._consumer.stop())

    async def poll(self) -> dict[Place, Sequence[Record]]:
        """Return what has arrived; waits up to POLL_MS for the first record."""
        return await _poll(self._consumer, REPLAY_RECORDS)

    async def positions(self) -> dict[Place, int]:
        """Offset after the last one passed, of every partition."""
        return {place: int(await self._consumer.position(_tp(place))) for place in self._start}


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
                    await _reach(producer.start())
                except BaseException:
                    await _close(producer.stop())
                    raise
                self._producer = producer
            return self._producer

    async def close(self) -> None:
        """Disconnect."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _close(producer.stop())

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
            raise KafkaDown(f"dead letters not acknowledged: {_say(error)}") from error

    async def _send(self, producer: AIOKafkaProducer, letter: Letter) -> Awaitable[Any]:
        """Hand one letter over; returns the future of its acknowledgement."""
        headers = [("ce_id", letter.id.encode()), ("ce_type", b"tocsin.deadletter.v1")]
        return await producer.send(self._topic, letter.body, key=letter.id.encode(), headers=headers)


async def _survey(settings: LogsvcSettings, topics: Sequence[str]) -> tuple[str, list[Place]]:
    """The cluster's id and every partition of the topics. Raises KafkaDown, also while one is missing."""
    admin = AIOKafkaAdminClient(**client_options(settings, "logsvc-admin"), request_timeout_ms=int(CALL_SECONDS * 1000))
    try:
        await _reach(admin.start())
        described: Sequence[Mapping[str, Any]] = await _reach(admin.describe_topics(list(topics)))
        found = {str(one["topic"]): [int(part["partition"]) for part in one["partitions"]] for one in described}
        if missing := [topic for topic in topics if not found.get(topic)]:
            raise KafkaDown(f"topic {missing[0]} is not there yet")
        return await _cluster_id(admin), [Place(topic, number) for topic in topics for number in sorted(found[topic])]
    finally:
        await _close(admin.close())


async def _cluster_id(admin: AIOKafkaAdminClient) -> str:
    described: Mapping[str, Any] = await _reach(admin.describe_cluster())
    return str(described.get("cluster_id") or "unknown")


async def _reach(call: Awaitable[Any]) -> Any:
    try:
        async with asyncio.timeout(CALL_SECONDS):
            return await call
    except (KafkaError, OSError, TimeoutError) as error:
        raise KafkaDown(f"Kafka does not answer: {_say(error)}") from error


async def _close(closing: Awaitable[Any]) -> None:
    """Close a client, or leave it after CLOSE_SECONDS: an unreachable Kafka must not hold up our own end."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await closing
    except (KafkaError, OSError, TimeoutError) as error:
        log.info("client_left_open", reason=_say(error))


def _answered(consumer: Any, places: Iterable[TopicPartition]) -> list[int]:
    """When Kafka last answered a fetch of each partition, ms; nothing as long as one has had no answer at all."""
    times: list[int | None] = [consumer.last_poll_timestamp(place) for place in places]
    return [] if None in times else [time for time in times if time is not None]


async def _poll(consumer: AIOKafkaConsumer, most: int = POLL_RECORDS) -> dict[Place, Sequence[Record]]:
    try:
        got: Mapping[Any, Sequence[Record]] = await consumer.getmany(timeout_ms=POLL_MS, max_records=most)
    except OffsetOutOfRangeError as error:
        places: Iterable[TopicPartition] = error.args[0]
        raise OutOfRange([Place(place.topic, place.partition) for place in places]) from error
    except NoOffsetForPartitionError as error:
        raise NotPlaced("a partition has no place yet") from error
    except (KafkaError, OSError) as error:
        raise KafkaDown(f"reading failed: {_say(error)}") from error
    return {Place(place.topic, place.partition): records for place, records in got.items()}


def _tp(place: Place) -> TopicPartition:
    return TopicPartition(place.topic, place.partition)


def _say(error: BaseException) -> str:
    return str(error) or type(error).__name__
