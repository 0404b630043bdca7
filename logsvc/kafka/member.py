"""This replica's place in the group that shares the ingest."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CommitFailedError, IllegalStateError

from logsvc.errors import Fenced, KafkaDown
from logsvc.ingest.batch import Record
from logsvc.kafka.calls import (
    CALL_SECONDS,
    FAILED,
    NotPlaced,
    OutOfRange,
    close,
    cluster_id,
    committed,
    hear_out,
    partition,
    peek,
    poll,
    reach,
    say,
)
from logsvc.partitions import Bounds, Committed, Place
from logsvc.settings import LogsvcSettings
from tocsin.kafka import client_options
from tocsin.kafka_place import give_up_place

COMMITTING = "_do_commit_offsets"
"""aiokafka's request of a commit, which it does not let be cancelled."""

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
            await reach(self._admin.start())
            self.cluster_id = await cluster_id(self._admin)
            self._consumer.subscribe(list(self._topics), listener=self._listener)
            await reach(self._consumer.start())
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await close(self._consumer.stop())
        give_up_place(self._consumer)
        await close(self._admin.close())

    async def poll(self) -> dict[Place, Sequence[Record]]:
        """Return what has arrived for partitions that are not paused; waits up to POLL_MS for the first record."""
        try:
            return await poll(self._consumer)
        except OutOfRange as error:
            for place in error.places:
                self.pause(place)
                self._on_out_of_range(place)
            return {}
        except NotPlaced:
            return {}

    async def committed(self, place: Place) -> Committed:
        """What the group last committed for a partition, whoever owned it then."""
        return (await committed(self._admin, self._group, [place]))[place]

    async def bounds(self, place: Place) -> Bounds:
        """The offsets Kafka holds now."""
        begin: Mapping[Any, int] = await reach(self._consumer.beginning_offsets([partition(place)]))
        end: Mapping[Any, int] = await reach(self._consumer.end_offsets([partition(place)]))
        return Bounds(begin[partition(place)], end[partition(place)])

    def places(self) -> list[Place]:
        """Every partition of the topics, whoever owns it; none as long as not all of the topics are known."""
        found = {topic: self._consumer.partitions_for_topic(topic) for topic in self._topics}
        if not all(found.values()):
            return []
        return [Place(topic, number) for topic, numbers in found.items() for number in sorted(numbers or ())]

    async def done(self, places: Sequence[Place]) -> dict[Place, int]:
        """How far the group has stored partitions, by what their owners committed; one without a commit is left out."""
        found = await committed(self._admin, self._group, places)
        return {place: one.offset for place, one in found.items() if one.offset is not None}

    async def ends(self, places: Sequence[Place]) -> dict[Place, int]:
        """Where partitions end now: at the last stable offset, which is not included."""
        found: Mapping[Any, int] = await reach(self._consumer.end_offsets([partition(place) for place in places]))
        return {place: found[partition(place)] for place in places}

    async def peek(self, place: Place, offset: int) -> Record | None:
        """The record at exactly this offset; None if Kafka has none there (expired, compacted, a marker)."""
        return await peek(self._options, place, offset)

    async def commit(self, place: Place, offset: int, metadata: str) -> None:
        """Commit under our generation. Raises Fenced if the group has moved on without us."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._consumer.commit({partition(place): (offset, metadata)})
        except asyncio.CancelledError:
            hear_out(COMMITTING)
            raise
        except (CommitFailedError, IllegalStateError) as error:
            raise Fenced(f"{place.topic}/{place.partition} is no longer ours") from error
        except FAILED as error:
            hear_out(COMMITTING)
            raise KafkaDown(f"commit failed: {say(error)}") from error

    def seek(self, place: Place, offset: int) -> None:
        """Read on from offset. Raises Fenced if the partition is not ours."""
        try:
            self._consumer.seek(partition(place), offset)
        except IllegalStateError as error:
            raise Fenced(f"{place.topic}/{place.partition} is no longer ours") from error

    def pause(self, place: Place) -> None:
        """Read nothing from a partition until resume. A partition that is not ours is left alone."""
        if partition(place) in self._consumer.assignment():
            self._consumer.pause(partition(place))

    def resume(self, place: Place) -> None:
        """Undo pause."""
        if partition(place) in self._consumer.assignment():
            self._consumer.resume(partition(place))

    async def position(self, place: Place) -> int | None:
        """Offset after the last one passed, aborted records and markers included; None if it is not ours."""
        if partition(place) not in self._consumer.assignment():
            return None
        with suppress(TimeoutError, IllegalStateError):
            async with asyncio.timeout(1):
                return int(await self._consumer.position(partition(place)))
        return None

    def stable_end(self, place: Place) -> int | None:
        """Last stable offset as of the latest fetch; None before the first."""
        if partition(place) not in self._consumer.assignment():
            return None
        end: int | None = self._consumer.last_stable_offset(partition(place))
        if end is None or end < 0:
            end = self._consumer.highwater(partition(place))
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
